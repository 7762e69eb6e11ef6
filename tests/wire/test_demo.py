"""`weir demo`: what it tells, how it ends, and that nothing of it stays."""

import fcntl
import os
import pathlib
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest

from weirtest import Client, binary, poll, request, run
from weirtest.proxy import environment, no_reports

SECONDS = 60        # that a run may take on a busy machine
SUMMARY = re.compile(r"^[\d.]+ seconds: (\d+) requests, (\d+) failed$", re.M)
KILLS = re.compile(r"origins +(\d+) killed, (\d+) of them in the middle of an answer")
ADDRESS = re.compile(r"https?://(127\.0\.0\.1):(\d+)/")


def origins_of(pid):
    """The processes that say they are children of that one."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"demo-origin" in words and words[words.index(b"--parent") + 1] == str(pid).encode():
            found.append(int(entry.name))
    return found


class Demo:
    def __init__(self, folder, *args, stdout=subprocess.PIPE, **env):
        self.folder = folder / "cwd"
        self.temporary = folder / "tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        self.reports = folder
        self.out = []
        self.process = subprocess.Popen(
            [binary(), "demo", *args], cwd=self.folder, process_group=0, text=True,
            env=environment(folder, TMPDIR=str(self.temporary), **env),
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT
            if stdout == subprocess.PIPE else stdout)
        if self.process.stdout:
            self.reader = threading.Thread(target=self._collect, daemon=True)
            self.reader.start()

    pid = property(lambda self: self.process.pid)
    text = property(lambda self: "".join(self.out))

    def _collect(self):
        for line in self.process.stdout:
            self.out.append(line)

    def wait_text(self, pattern):
        return poll(lambda: re.search(pattern, self.text, re.M),
                    lambda: f"no {pattern!r}:\n{self.text}", SECONDS)

    def addresses(self):
        """The balancer's listeners, then the origins."""
        self.wait_text(r"It ends|Ctrl-C ends")
        places = {}
        for match in ADDRESS.finditer(self.text):
            places[(match[1], int(match[2]))] = None
        return list(places)

    def end(self, code):
        """Until it exits; nothing of it may be left then. Returns what it said."""
        got = self.process.wait(SECONDS)
        if self.process.stdout:
            self.reader.join(SECONDS)
        assert got == code, f"exit code {got}, not {code}:\n{self.text}"
        no_reports(self.reports)
        self.nothing_left()
        return self.text

    def nothing_left(self):
        assert origins_of(self.pid) == []
        assert list(self.folder.iterdir()) == [] and list(self.temporary.iterdir()) == []

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


@pytest.fixture
def demo(tmp_path):
    started = []

    def start(*args, **options):
        started.append(Demo(tmp_path, *args, **options))
        return started[-1]
    yield start
    for d in started:
        d.kill()


def test_three_seconds(demo):
    d = demo("--for", "3")
    places = d.addresses()
    text = d.end(0)
    requests, failed = map(int, SUMMARY.search(text).groups())
    killed, busy = map(int, KILLS.search(text).groups())
    assert failed == 0 and 100 <= requests <= 610, text
    assert killed >= 1 and busy >= 1, text
    assert "\x1b" not in text and "\r" not in text       # it is not a terminal
    assert len(re.findall(r"^\d+s  \d+ requests  0 failed  reuse ", text, re.M)) >= 1, text
    assert float(re.search(r"used again \d+ times \(([\d.]+) %\)", text)[1]) > 80, text
    for place in places:
        with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            sock.connect(place)


def test_each_way_has_half(demo):
    text = demo("--for=1").end(0)
    ways = re.search(r"(\d+) answers over plain HTTP, (\d+) over TLS", text)
    plain, tls = map(int, ways.groups())
    assert plain > 80 and abs(plain - tls) <= 1, text


def test_a_failed_request_is_a_failed_demo(demo):
    text = demo("--for", "1", "--broken-origin").end(1)
    requests, failed = map(int, SUMMARY.search(text).groups())
    assert 0 < failed < requests and "status 500: origin 2 here" in text, text


def test_guests_are_served(demo):
    d = demo()
    client = Client(d.addresses()[0])
    for i in range(5):
        response = client.ask(request("GET", f"/guest/{i}"))
        assert response.status == 200
        assert re.fullmatch(rb"origin [123] here: /guest/\d\n", response.body)
    client.close()
    d.process.send_signal(signal.SIGINT)
    d.end(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
                         ids=lambda n: n.name)
def test_signals_end_it_with_a_summary(demo, number):
    d = demo()
    d.wait_text(r"^1s ")
    os.killpg(d.pid, number)        # as a terminal does: the origins get it too
    text = d.end(0)
    assert SUMMARY.search(text)[2] == "0", text


def test_a_signal_before_it_begins(demo):
    d = demo()
    poll(lambda: origins_of(d.pid), "origins")
    d.process.send_signal(signal.SIGTERM)
    d.end(0)


def test_origins_die_with_it(demo):
    d = demo()
    d.wait_text(r"^1s ")
    assert origins_of(d.pid) != []
    d.process.kill()
    d.process.wait()
    poll(lambda: origins_of(d.pid) == [], "the end of the origins")
    d.nothing_left()


def test_nobody_reads(demo):
    d = demo()
    d.wait_text(r"Ctrl-C ends")
    reader, writer = os.pipe()
    os.close(reader)
    other = subprocess.run([binary(), "demo", "--for", "30"], stdout=writer, stderr=subprocess.PIPE,
                           env=environment(d.reports), timeout=20)
    os.close(writer)
    assert other.returncode == 1
    d.process.send_signal(signal.SIGINT)
    d.end(0)


def on_terminal(demo, columns, **env):
    """What it writes to a terminal of that width within a second."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    d = demo("--for", "1", stdout=slave, TERM="xterm", **env)
    os.close(slave)
    data = b""
    try:
        while piece := os.read(master, 65536):
            data += piece
    except OSError:
        pass                        # EIO: the last one has closed it
    os.close(master)
    d.end(0)
    return data.decode().replace("\r\n", "\n")


COLOUR = re.compile("\x1b\\[[0-9;]*m")


def drawn(text):
    """The states of the line that lives, without colours."""
    lines = [x.partition("\x1b[K") for x in COLOUR.sub("", text).split("\r")]
    return [line for line, erased, _ in lines if erased and "requests" in line]


@pytest.mark.parametrize("columns", [24, 40, 80, 200])
def test_a_line_that_lives(demo, columns):
    text = on_terminal(demo, columns)
    lines = drawn(text)
    assert len(lines) >= 2 and max(map(len, lines)) < columns, lines
    assert all(re.search(r"\d+ requests", x) for x in lines)
    assert "\x1b[32m0 failed" in text
    if columns >= 80:
        states = re.compile(r"0 failed .*1 (up|DOWN) .*2 (up|DOWN) .*3 (up|DOWN) +\d+/s$")
        assert all(states.search(x) for x in lines), lines


def test_no_color(demo):
    text = on_terminal(demo, 80, NO_COLOR="1")
    assert drawn(text) and not COLOUR.search(text)


@pytest.mark.quick
@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1x", "99999999999"])
def test_wrong_length(tmp_path, value):
    done = run(tmp_path, "demo", "--for", value)
    assert done.returncode == 2 and "--for" in done.stderr and done.stdout == "", done


@pytest.mark.quick
def test_help(tmp_path):
    done = run(tmp_path, "help", "demo")
    assert done.returncode == 0 and "--for SECONDS" in done.stdout and "--workers" in done.stdout
    assert "broken" not in done.stdout
    done = run(tmp_path, "help")
    assert re.search(r"^  demo ", done.stdout, re.M) and "demo-origin" not in done.stdout


@pytest.mark.quick
def test_an_origin_alone(tmp_path):
    """It is the demo's, or nobody's."""
    done = run(tmp_path, "demo-origin", "--listen", "127.0.0.1:0", "--index", "0", "--parent", "1")
    assert done.returncode == 1 and done.stderr, done

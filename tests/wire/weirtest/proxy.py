"""The real `weir` binary: started, watched, and held to account at its end.

A proxy owns a folder (logs, sanitizer reports, sockets) and a process group. `finish` is where a
test fails that otherwise looked fine: the process must be alive, have given back every descriptor,
drain and exit with 0 on SIGTERM, and no sanitizer may have spoken.
"""

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from .client import Client
from .message import WAIT

ROOT = pathlib.Path(__file__).resolve().parents[3]
READY = re.compile(r"^listening on (?:unix:(?P<path>\S+)|(?P<host>\[.*\]|[\d.]+):(?P<port>\d+))"
                   r" \((?P<proto>[\w,+/. -]+)\)$")
SPLICE_PIPES = 64               # descriptors that may stay with the pool of pipes


def binary():
    """The program under test: $WEIR_BIN, or what ./dev build makes."""
    return os.environ.get("WEIR_BIN") or str(ROOT / "build/release/gateway/weir")


def poll(condition, what, seconds=WAIT):
    """Waits until `condition()` is true and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else f"not in time: {what}"
        time.sleep(0.002)
    return value


def environment(folder, **more):
    """Sanitizers write into the folder and never change what a passing run does."""
    common = f"log_path={folder}/sanitizer:exitcode=99:print_stacktrace=1"
    env = {k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}
    env["ASAN_OPTIONS"] = common + ":detect_stack_use_after_return=0:abort_on_error=0"
    env["UBSAN_OPTIONS"] = common + ":halt_on_error=1"
    env["TSAN_OPTIONS"] = common + ":halt_on_error=0"
    env["LC_ALL"] = "C"
    env.update(more)
    return env


def run(folder, *args, **more):
    """Runs the binary to its end: for usage, start-up errors and the like."""
    done = subprocess.run([binary(), *args], capture_output=True, text=True, timeout=WAIT,
                          cwd=folder, env=environment(folder, **more), stdin=subprocess.DEVNULL)
    no_reports(folder)
    return done


def no_reports(folder):
    for report in sorted(pathlib.Path(folder).glob("sanitizer*")):
        raise AssertionError(f"sanitizer report:\n{report.read_text(errors='replace')[:6000]}")


class Proxy:
    def __init__(self, folder, *args, listen=("127.0.0.1:0",), listen_tls=(), log=True, env=None,
                 under=(), program=None, cwd=None):
        """`program`: not `weir proxy`, but one that knows where it listens; then `listen` only
        tells how many ready lines there will be."""
        self.folder = pathlib.Path(folder)
        self.log_path = self.folder / "access.log"
        self.clients = []
        self.lines = []             # all of its stderr so far
        self.changed = threading.Condition()
        self.over = False           # the test has ended it itself
        command = [*under, str(program)] if program else [*under, binary(), "proxy"]
        for address in () if program else listen:
            command += ["--listen", address]
        for address in listen_tls:
            command += ["--listen-tls", address]
        if log:
            command += ["--access-log", str(self.log_path)]
        self.command = command + [str(a) for a in args]
        self.process = subprocess.Popen(
            self.command, cwd=cwd or folder, env=environment(folder, **(env or {})), process_group=0,
            stdin=subprocess.DEVNULL, stdout=open(self.folder / "stdout", "wb"),
            stderr=subprocess.PIPE)
        threading.Thread(target=self._collect, daemon=True).start()
        try:
            ready = self.wait_text(READY, len(listen) + len(listen_tls))
        except AssertionError:
            self.kill()
            raise
        self.addresses = [m["path"] or (m["host"].strip("[]"), int(m["port"])) for m in ready]
        self.before = self.descriptors()

    pid = property(lambda self: self.process.pid)
    text = property(lambda self: "".join(self.lines))

    def client(self, listener=0, **options):
        client = Client(self.addresses[listener], **options)
        self.clients.append(client)     # maybe beside those of other threads
        return client

    def ask(self, data, method=None):
        """A request on a connection of its own."""
        client = self.client()
        response = client.ask(data, method)
        client.close()
        return response

    # what it says

    def _collect(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.decode("latin-1"))
                self.changed.notify_all()
        with self.changed:
            self.process.stderr.close()
            self.changed.notify_all()

    def wait_text(self, pattern, count=1):
        """Until `pattern` occurs in its stderr `count` times; the matches."""
        pattern = re.compile(getattr(pattern, "pattern", pattern), re.M)

        def found():
            return (len(list(pattern.finditer(self.text))) >= count
                    or self.process.stderr.closed)
        with self.changed:
            self.changed.wait_for(found, WAIT)
            matches = list(pattern.finditer(self.text))
        assert len(matches) >= count, f"no {pattern.pattern!r} in stderr:\n{self.text}"
        return matches

    def log(self, count=1, path=None):
        """The access log's records, once there are at least `count`."""
        path = path or self.log_path

        def lines():
            if not path.exists():
                return []
            return [x for x in path.read_bytes().decode("latin-1").split("\n")[:-1] if x]
        poll(lambda: len(lines()) >= count, lambda: f"not {count} log lines: {lines()}\n{self.text}")
        return [json.loads(line) for line in lines()]

    # its descriptors

    def descriptors(self):
        """How many it has open of each kind."""
        kinds = collections.Counter()
        folder = f"/proc/{self.pid}/fd"
        for fd in os.listdir(folder):
            try:
                kinds[re.sub(r":?\[.*\]$", "", os.readlink(f"{folder}/{fd}"))] += 1
            except FileNotFoundError:
                pass
        return kinds

    def settle(self):
        """Until no descriptor is left of what the test did. Clients and origins are gone by now."""
        def leaked():
            allowed = self.before + collections.Counter(pipe=SPLICE_PIPES)
            return self.descriptors() - allowed
        poll(lambda: not leaked(), lambda: f"descriptors leaked: {dict(leaked())}\n{self.text}")

    # its end

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, code=0, seconds=WAIT):
        """Until it exits, with this code."""
        self.over = True
        try:
            got = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.text}") from None
        assert got == code, f"exit code {got}, not {code}:\n{self.text}\n{self._reports()}"
        return got

    def _reports(self):
        return "".join(p.read_text(errors="replace") for p in self.folder.glob("sanitizer*"))

    def close_clients(self):
        for client in self.clients:
            client.close()

    def finish(self):
        """The end of a test: see the head of this file."""
        try:
            if not self.over:
                assert self.process.poll() is None, \
                    f"died: {self.process.returncode}\n{self.text}\n{self._reports()}"
                self.settle()
                self.signal(signal.SIGTERM)
                self.wait(0)
        finally:
            self.kill()
        no_reports(self.folder)

    def kill(self):
        """Whatever happened, nothing of it stays."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

"""The process: usage, start, ready lines, signals, the end."""

import os
import re
import signal
import socket

import pytest

from weirtest import OK, Client, Ended, poll, request, run

quick = pytest.mark.quick
UP = "127.0.0.1:9"


@quick
@pytest.mark.parametrize("args", [["--version"], ["-v"], ["proxy", "--version"]])
def test_version(tmp_path, args):
    done = run(tmp_path, *args)
    assert done.returncode == 0 and done.stderr == ""
    assert re.fullmatch(r"weir \d+\.\d+\.\d+ \(commit \S+\), OpenSSL 3\.\d+\.\d+\S*\n", done.stdout)


@quick
@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"], ["help", "proxy"], ["proxy", "--help"], ["proxy", "-h"]])
def test_help(tmp_path, args):
    done = run(tmp_path, *args)
    assert done.returncode == 0 and done.stderr == "" and "usage" in done.stdout.lower()
    assert max(map(len, done.stdout.splitlines())) <= 100
    if "proxy" in args:
        for option in ("--listen", "--workers", "--pool", "--access-log", "--timeout-header", "--max-head", "--grace"):
            assert option in done.stdout


WRONG = [
    # arguments, what the message must contain
    ([], "usage|command"),
    (["prox"], "proxy"),
    (["nonsense"], "nonsense"),
    (["help", "nonsense"], "nonsense"),
    (["--nonsense"], "nonsense"),
    *((words, f'"x": nothing may follow {words[0]}') for words in (
        ["--version", "x"], ["-v", "x", "y"], ["--help", "x"], ["-h", "x"], ["help", "proxy", "x"],
        ["help", "help", "x"])),
    (["proxy"], "UPSTREAM|upstream"),
    (["proxy", "--liste", "127.0.0.1:0", UP], "--listen"),
    (["proxy", "--worker", "2", UP], "--workers"),
    (["proxy", "--timeout-heade", "2s", UP], "--timeout-header"),
    (["proxy", "--timeout_idle", "2s", UP], "--timeout-idle"),
    (["proxy", "-x", UP], "-x"),
    (["proxy", "--listen"], "--listen"),
    (["proxy", "--workers"], "--workers"),
    *((["proxy", "--listen", a, UP], re.escape(a)) for a in (
        "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "[::1]", "::1:80", "[::1:80",
        "300.0.0.1:80", "unix:relative", "unix:/" + "x" * 200, "http://127.0.0.1:80", "127.0.0.1:80x")),
    *((["proxy", a], re.escape(a)) for a in (
        "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "[::1]", "::1:80", "unix:relative",
        "http://127.0.0.1:80", "a b:80", "a..b:80", ":80", "127.0.0.1:0", "[::1]:00", "localhost:0")),
    *((["proxy", "--timeout-header", v, UP], "--timeout-header") for v in (
        "0", "5", "0s", "-1s", "1x", "s", "1.5.s", "", "1 s", "+1s", "99999999999999h")),
    *((["proxy", "--grace", v, UP], "--grace") for v in ("0", "7", "soon")),
    *((["proxy", "--max-head", v, UP], "--max-head") for v in (
        "x", "-1", "1KB", "1k", "0", "", "1 KiB", "99999999999GiB", "1.5.KiB")),
    *((["proxy", "--max-fields", v, UP], "--max-fields") for v in ("0", "-1", "x", "1KiB", "")),
    *((["proxy", "--workers", v, UP], "--workers") for v in ("0", "-1", "x", "1000000", "", "2x")),
    *((["proxy", "--pool", v, UP], "--pool") for v in ("-1", "x")),
    (["proxy", "--retry-budget", "200", UP], "--retry-budget.*percentage.*100"),
    (["proxy", "--timeout-send", "99999999999999h", UP], "--timeout-send.*too large"),
    (["proxy", "--max-body", "99999999999GiB", UP], "--max-body.*too large"),
    *((["proxy", "--server-name", v, UP], "--server-name") for v in ("a\r\nX: b", "\xe9", "x" * 201)),
    *((["proxy", "--error-page", v + "=page.html", UP], "--error-page") for v in (
        "", "x", "200", "399", "600", "1", "3", "6", "44", "-404", "+404", " 404", "4 ", "4044", "9" * 30)),
]


@quick
@pytest.mark.parametrize("args, words", [pytest.param(a, w, id=" ".join(a)[:50] or "nothing") for a, w in WRONG])
def test_wrong_usage(tmp_path, args, words):
    """Exit code 2 and what is wrong, in a line or two on stderr."""
    done = run(tmp_path, *args)
    assert done.returncode == 2, done
    assert done.stdout == "" and re.search(words, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) <= 4 or not args


@quick
@pytest.mark.parametrize("option, first, last", [("--workers", "2", "1"), ("--timeout-idle", "1s", "1s"), ("--health", "tcp", "off")])
def test_given_more_than_once(tmp_path, option, first, last):
    """Scripts add to what others have written: the last one counts, and nobody has to wonder
    which."""
    done = run(tmp_path, "proxy", "-t", option, first, UP, f"{option}={last}")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"weir: warning: {option} is given more than once: the last one counts",
                                        "configuration ok"]
    done = run(tmp_path, "proxy", "-t", option, first, UP, f"{option}=nonsense")
    assert done.returncode == 2 and f"{option}: \"nonsense\"" in done.stderr


@quick
def test_what_may_be_given_more_than_once(tmp_path):
    (tmp_path / "page").write_text("sorry")
    done = run(tmp_path, "proxy", "-t", *["--listen", "127.0.0.1:0"] * 2, "--trusted=::1", "--trusted=::2", "--via", "--via",
               "--error-page", "4=page", "--error-page", "503=page", UP, UP)
    assert (done.returncode, done.stderr) == (0, "configuration ok\n")


@quick
def test_address_in_use(tmp_path):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        done = run(tmp_path, "proxy", "--listen", address, UP)
    assert done.returncode == 1 and address in done.stderr
    assert "listening on" not in done.stderr


@quick
@pytest.mark.parametrize("args, word", [
    (["--listen", "[::2]:0"], r"\[::2\]:0"), (["--listen", "unix:/nonexistent/x"], "/nonexistent/x"),
    (["--access-log", "/nonexistent/x"], "/nonexistent/x"), (["--error-log", "/nonexistent/x"], "/nonexistent/x"),
])
def test_start_failures(tmp_path, args, word):
    done = run(tmp_path, "proxy", "--listen", "127.0.0.1:0", *args, UP)
    assert done.returncode == 1 and re.search(word, done.stderr), done
    assert "listening on" not in done.stderr


def test_unix_socket_is_removed_and_taken_over(weir, origin, tmp_path):
    """A socket file that a dead process left is taken over; a stopped one leaves none."""
    path = str(tmp_path / "w")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    p = weir(origin(), listen=[f"unix:{path}"])
    assert p.client().ask(request()).body == b"ok"
    p.close_clients()
    p.signal()
    p.wait(0)
    assert not os.path.exists(path)


def test_unix_socket_in_use(weir, origin, tmp_path):
    """That of a living process is not."""
    listen = f"unix:{tmp_path}/w"
    p = weir(origin(), listen=[listen])
    done = run(tmp_path, "proxy", "--listen", listen, UP)
    assert done.returncode == 1
    assert p.client().ask(request()).body == b"ok"


@quick
def test_ready_lines(weir, origin, tmp_path):
    """One line for each listener, in order, and nothing before."""
    p = weir(origin(), listen=["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/w"])
    lines = [line for line in p.text.splitlines() if line.startswith("listening on")]
    assert re.fullmatch(r"listening on 127\.0\.0\.1:\d+ \(http\)", lines[0])
    assert re.fullmatch(r"listening on \[::1\]:\d+ \(http\)", lines[1])
    assert lines[2] == f"listening on unix:{tmp_path}/w (http)"


@quick
@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_notification(weir, origin, tmp_path, kind):
    name = f"{tmp_path}/notify" if kind == "path" else f"@weir-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.settimeout(10)
        weir(origin(), env={"NOTIFY_SOCKET": name})
        assert "READY=1" in sock.recv(100).decode().splitlines()


def waiting(origin):
    """An origin that answers when it is told to."""
    def script(conn):
        while conn.request() is not None:
            conn.wait(o.go)
            conn.send(OK)
    o = origin(script)
    o.go = o.event()
    return o


def refused(address):
    try:
        Client(address).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:    # it stood in the backlog of a listener that just went
        pass
    return False


@quick
def test_drain(weir, origin):
    """SIGTERM: idle connections end at once, nobody new is let in, what runs is answered with
    Connection: close, then the process ends with 0."""
    o = waiting(origin)
    p = weir(o)
    idle = p.client()
    fresh = p.client()
    o.go.set()
    assert idle.ask(request()).body == b"ok"
    o.go.clear()
    busy = p.client()
    busy.send(request())
    o.wait_requests(2)
    p.signal()
    assert idle.closed() == "fin" and fresh.closed() == "fin"
    poll(lambda: refused(p.addresses[0]), "the listener closed")
    o.go.set()
    res = busy.receive()
    assert res.body == b"ok" and res.get("Connection") == "close"
    assert busy.closed() == "fin"
    p.wait(0)


def test_drain_with_an_upload(weir, origin):
    """A running upload is finished."""
    o = origin()
    p = weir(o)
    c = p.client()
    c.send(request("POST", "/", "Content-Length: 10") + b"12345")
    o.wait_requests(1)
    p.signal()
    poll(lambda: refused(p.addresses[0]), "the listener closed")
    c.send(b"67890")
    assert c.receive("POST").body == b"ok" and c.closed() == "fin"
    assert o.one().body == b"1234567890"
    p.wait(0)


def test_drain_with_a_pipeline(weir, origin):
    """Requests behind the running one are not served any more, and that is said."""
    o = waiting(origin)
    p = weir("--workers", 1, o)
    c = p.client()
    c.send(request() * 3)
    o.wait_requests(1)
    p.signal()
    poll(lambda: refused(p.addresses[0]), "the listener closed")
    o.go.set()
    assert c.receive().get("Connection") == "close" and c.closed() == "fin"
    p.wait(0)
    assert len(o.requests) == 1


@pytest.mark.alone
def test_grace(weir, origin):
    """What runs longer than the grace is cut off."""
    o = waiting(origin)
    p = weir("--grace", "200ms", o)
    c = p.client()
    c.send(request())
    o.wait_requests(1)
    p.signal()
    try:
        assert c.receive().status == 503
    except Ended:
        pass
    p.wait(0)


@quick
@pytest.mark.parametrize("signals", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT], [signal.SIGTERM, signal.SIGINT]])
def test_end_at_once(weir, origin, signals):
    """A second SIGTERM, or SIGINT, does not wait for what runs."""
    o = waiting(origin)
    p = weir("--grace", "60s", o)
    c = p.client()
    c.send(request())
    o.wait_requests(1)
    p.signal(signals[0])
    for number in signals[1:]:
        poll(lambda: refused(p.addresses[0]), "the listener closed")
        p.signal(number)
    p.wait()
    with pytest.raises((Ended, AssertionError)):
        assert c.receive().status == 503
        raise Ended("fin", "after a 503")


def test_terminate_without_work(weir, origin):
    p = weir(origin())
    p.signal()
    p.wait(0)


def test_rlimit_is_raised(weir, origin):
    """The soft limit of descriptors becomes the hard one."""
    p = weir(origin())
    line = next(x for x in open(f"/proc/{p.pid}/limits") if x.startswith("Max open files"))
    assert line.split()[3] == line.split()[4]
    # and the kernel's table has room for them from the start: to grow it later takes 20 ms
    size = next(x for x in open(f"/proc/{p.pid}/status") if x.startswith("FDSize:"))
    assert int(size.split()[1]) >= min(int(line.split()[4]), 65536)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers(weir, origin, workers):
    """That many threads run requests; the rest of the process does not depend on it."""
    counts = []
    for n in (workers, workers + 3):
        p = weir("--workers", n, origin())
        assert p.ask(request()).body == b"ok"
        counts.append(len(os.listdir(f"/proc/{p.pid}/task")))
    assert counts[1] - counts[0] == 3


def test_sigpipe_and_sighup(weir, origin):
    """SIGPIPE is ignored: clients that leave amid an answer do not kill the process."""
    o = origin(lambda conn: (conn.request(), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"),
                             conn.send(b"x" * 9999999)))
    p = weir(o)
    for _ in range(3):
        c = p.client()
        c.send(request())
        c.receive(body=False)
        c.reset()
    p.log(3)

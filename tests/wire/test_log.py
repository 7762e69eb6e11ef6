"""The logs: one JSON line for each request, nothing a peer can forge, nothing that is secret."""

import json
import os
import re
import signal

import pytest

from weirtest import OK, poll, request, serve, why

quick = pytest.mark.quick


@quick
def test_access_record(weir, origin):
    o = origin(serve(b"HTTP/1.1 201 Made\r\nContent-Length: 7\r\n\r\ncreated"))
    p = weir(o)
    c = p.client()
    c.ask(request("POST", "/a?b=c", "User-Agent: tester/1", "Referer: http://r.test/", body=b"hello", host="a.test"))
    c.ask(request("GET", "/two", version="HTTP/1.0", host=None))
    one, two = p.log(2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])
    assert re.fullmatch(r"127\.0\.0\.1:\d+", one["client"])
    want = {"method": "POST", "host": "a.test", "target": "/a?b=c", "version": "HTTP/1.1", "status": 201,
            "sent": 7, "received": 5, "upstream": o.name, "agent": "tester/1", "referer": "http://r.test/"}
    assert {k: one.get(k) for k in want} == want
    assert float(one["duration"]) >= 0 and "why" not in one
    assert one["id"] != two["id"] and len(one["id"]) >= 8
    assert two["version"] == "HTTP/1.0" and two["received"] == 0


@quick
def test_refused_requests_are_logged(weir, origin):
    """Malformed ones as well, with the reason, in both logs under one id."""
    p = weir("--workers", 1, origin())
    for raw in (b"nonsense\r\n\r\n", request(host=None), request(version="HTTP/2.0"), request("CONNECT", "h:80")):
        c = p.client()
        c.send(raw)
        c.receive("POST")
    records = p.log(4)
    assert [r["status"] for r in records] == [400, 400, 505, 405]
    assert [r["why"] for r in records] == ["bad_head", "bad_host", "version", "method"]
    for r in records:
        p.wait_text(re.escape(r["id"]))


@pytest.mark.parametrize("status", [200, 404, 502])
def test_head_and_errors_are_logged(weir, origin, status):
    o = origin(serve(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n" % status))
    p = weir(o)
    p.ask(request("HEAD"))
    record, = p.log(1)
    assert (record["method"], record["status"], record["sent"]) == ("HEAD", status, 0)


HOSTILE = ["/a\"b", "/a\\", "/<script>", "/\x01", "/\x1b[31m", "/\x7f", "/\xff", "/\xe2\x80\xae", "/a b", "/\r", "/\n{}"]


@quick
def test_nothing_can_be_forged(weir, origin):
    """Each line is one record, pure printable ASCII, whatever clients and origins send."""
    p = weir("--workers", 1, origin(serve(b"HTTP/1.1 200 O\xffK\r\nContent-Length: 0\r\n\r\n")))
    count = 0
    for text in HOSTILE:
        for raw in (f"GET {text} HTTP/1.1\r\nHost: h\r\n\r\n", f"{text} / HTTP/1.1\r\nHost: h\r\n\r\n",
                    f"GET / HTTP/1.1\r\nHost: h{text}\r\n\r\n",
                    f"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: {text}\r\nReferer: {text}\r\n\r\n"):
            c = p.client()
            c.send(raw.encode("latin-1"))
            c.receive()
            c.close()
            count += 1
    p.log(count)
    raw = p.log_path.read_bytes()
    lines = raw.split(b"\n")
    assert re.fullmatch(rb"[\x20-\x7e\n]*", raw) and lines[-1] == b""
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines[:-1])
    assert re.fullmatch(r"[\x20-\x7e\n]*", p.text)


@quick
def test_secrets_are_not_logged(weir, origin):
    """Authorization and Cookie never, in neither log, not even of failed requests."""
    o = origin(serve(OK), serve(b"garbage\r\n\r\n"))
    p = weir("--workers", 1, o)
    secrets = ["Authorization: Bearer s3cret", "Cookie: id=s3cret", "Proxy-Authorization: Basic s3cret"]
    p.ask(request("GET", "/", *secrets))
    p.ask(request("GET", "/", *secrets, "Connection: Host"))
    c = p.client()
    c.send(request("GET", "/", *secrets, "Authorization : s3cret"))
    c.receive()
    p.log(3)
    why(p, "bad_connection")
    assert "s3cret" not in p.text and b"s3cret" not in p.log_path.read_bytes()


def test_long_values_are_cut(weir, origin):
    p = weir(origin())
    p.ask(request("GET", "/" + "x" * 7000, "User-Agent: " + "u" * 9000))
    record, = p.log(1)
    assert 4000 < len(record["target"]) < 4200 and 4000 < len(record["agent"]) < 4200


@quick
def test_reopening(weir, origin):
    """SIGUSR1: a log that was moved away goes on under its own name."""
    p = weir(origin())
    p.ask(request("GET", "/1"))
    p.log(1)
    moved = p.folder / "moved"
    p.log_path.rename(moved)
    p.signal(signal.SIGUSR1)
    poll(p.log_path.exists, "a new log file")
    p.ask(request("GET", "/2"))
    assert [r["target"] for r in p.log(1)] == ["/2"]
    assert [r["target"] for r in p.log(1, moved)] == ["/1"]


def test_no_log(weir, origin):
    p = weir("--access-log", "off", origin(), log=False)
    p.ask(request())
    p.close_clients()
    p.signal()
    p.wait(0)
    assert (p.folder / "stdout").read_bytes() == b""


def test_log_to_stdout(weir, origin):
    """The default; and all of it is written before the process ends."""
    p = weir("--workers", 1, origin(), log=False)
    for i in range(50):
        p.ask(request("GET", f"/{i}"))
    p.close_clients()
    p.signal()
    p.wait(0)
    records = p.log(50, p.folder / "stdout")
    assert [r["target"] for r in records] == [f"/{i}" for i in range(50)]


@quick
def test_log_to_a_named_pipe(weir, origin, tmp_path):
    """Its reader may come later, or never: the start does not wait, nor does the end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    p = weir("--access-log", pipe, origin(), log=False)
    p.ask(request("GET", "/early"))
    with open(pipe, encoding="ascii") as reader:
        assert json.loads(reader.readline())["target"] == "/early"
    p.ask(request("GET", "/late"))
    p.close_clients()
    p.signal()
    p.wait(0)


@quick
def test_closed_standard_files(weir, origin):
    """No descriptor of ours takes the place of standard output, where the log would be written to
    it."""
    p = weir(origin(), log=False, under=("sh", "-c", 'exec "$@" <&- >&-', "sh"))
    assert p.ask(request()).body == b"ok"
    assert [os.readlink(f"/proc/{p.process.pid}/fd/{fd}") for fd in (0, 1)] == ["/dev/null"] * 2


def test_ids_are_unique(weir, origin):
    p = weir("--workers", 4, origin())
    clients = [p.client() for _ in range(20)]
    for _ in range(10):
        for c in clients:
            c.send(request())
        for c in clients:
            c.receive()
    assert len({r["id"] for r in p.log(200)}) == 200


def test_log_goes_on_while_it_cannot_be_written(weir, origin):
    """A full disk loses lines, not requests."""
    p = weir("--access-log", "/dev/full", origin(), log=False)
    for _ in range(20):
        assert p.ask(request()).body == b"ok"

"""docs/http1.md is true of the binary. Each request of the page is sent: what the client is told
and what the origin received is what the page says. Each response of the page is given by an origin:
what the client gets, and whether the upstream connection is used again, is what the page says."""

import re

import pytest

from weirtest import Ended, refused, request
from weirtest.proxy import ROOT

ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "|": "|", "\\": "\\"}
BOUNDS = ("--max-head", "2KiB", "--max-field", "512B", "--max-target", "256B", "--max-fields", "20")
HALF = ("--max-head", "1KiB", "--max-field", "256B", "--max-target", "128B", "--max-fields", "10")
FENCE = request("GET", "/fence")


def decode(code):
    """The bytes of a code span of the page."""
    text = re.fullmatch(r"`` (.*) ``|`(.*)`|\(nothing\)", code)
    text = text[1] or text[2] or ""
    text = re.sub(r"(\\.|.)\{(\d+)\}", lambda m: m[1] * int(m[2]), text)
    return re.sub(r"\\(x..|.)", lambda m: ESCAPES.get(m[1]) or chr(int(m[1][1:], 16)), text)


def sections(part):
    """The titles of a part of the page, with their rows (to which method, input, answer, next)."""
    here, title, rows = False, None, {}
    for line in (ROOT / "docs/http1.md").read_text().splitlines():
        if line.startswith("## "):
            here = line == f"## {part}"
        elif line.startswith("### "):
            title = line[4:]
        elif here and line.startswith("| ") and not line.startswith("| input"):
            cells = line[2:-2].split(" | ")
            to, code = re.fullmatch(r"(?:to (\w+): )?(.*)", cells[0]).groups()
            rows.setdefault(title, []).append((to or "GET", decode(code), cells[1], cells[2] == "yes"))
    return rows


def inside(brackets):
    return re.findall(r" [{[](.*?)[]}](?= |$)", brackets)


def understood(answer):
    """What a request is understood as: method, target, host, fields, body, trailers."""
    parts = re.fullmatch(r"(\S+) (\S+) (\S*)((?: \{[^}]*\})*)(?: '(.*)')?((?: \[[^]]*\])*)(?: \+\d+)?",
                         decode(answer), re.DOTALL)
    assert parts, answer
    method, target, host, fields, body, trailers = parts.groups()
    return method, target, host, inside(fields), body or "", inside(trailers)


def check_good(client, origin, answer, goes_on):
    method, target, host, fields, body, trailers = understood(answer)
    res = client.receive(method)
    assert res.status == 200
    got = origin.requests[-1]
    assert (got.method, got.target) == (method, target)
    assert host in ("-", got.get("Host"))
    assert got.body.decode("latin-1") == body
    lines = [f"{name}: {value}" for name, value in got.fields]
    assert [line for line in lines if line in fields] == fields
    assert [f"{name}: {value}" for name, value in got.trailers] == trailers
    assert (res.get("Connection") == "close") == (not goes_on)


def cut_off(origin):
    return sum(conn.incomplete is not None for conn in origin.conns)


def check(proxy, origin, raw, answer, goes_on):
    before, cut = len(origin.requests), cut_off(origin)
    client = proxy.client()
    client.send(raw.encode("latin-1"))
    if answer == "incomplete":
        client.finish()
        try:
            assert client.receive().status == 413   # told by the length alone
        except Ended:
            pass
    elif answer.startswith("**"):
        refused(client, int(answer[2:5]), "POST")
    else:
        check_good(client, origin, answer, goes_on)
        client.finish()
        client.reader.rest()
        assert len(origin.requests) == before + 1, origin.seen()
        return
    client.close()
    # What of it went upstream was cut off there, and nothing but a body may be known too late.
    assert proxy.ask(FENCE).status == 200
    seen = [r for r in origin.requests[before:] if r.target != "/fence"]
    assert not seen or answer == "incomplete" or "bad_body" in answer
    origin.wait(lambda: cut_off(origin) == cut + len(seen), "the end of what was cut off")


@pytest.mark.quick
@pytest.mark.parametrize("title, rows", sections("Requests").items())
def test_requests(weir, origin, title, rows):
    o = origin()
    p = weir("--workers", 1, *BOUNDS, o)
    for _, raw, answer, goes_on in rows:
        if raw.startswith(("CONNECT", "TRACE")) and not answer.startswith("**"):
            continue                # whether it is allowed is a matter of the service
        try:
            check(p, o, raw, answer, goes_on)
        except Exception as error:
            raise AssertionError(f"{raw!r}: {answer}") from error


def answered(answer):
    """What a response is understood as: interim statuses, status, fields, stated length, body,
    trailers."""
    parts = re.fullmatch(r"((?:\d+(?: \{[^}]*\})*, )*)(\d+)((?: \{[^}]*\})*)(?: \((\d+)\))?(?: '(.*)')?"
                         r"((?: \[[^]]*\])*)(?: \+\d+)?", decode(answer), re.DOTALL)
    assert parts, answer
    interim, status, fields, stated, body, trailers = parts.groups()
    return ([int(i) for i in re.findall(r"(\d+)(?: \{[^}]*\})*, ", interim)], int(status), inside(fields), stated,
            body or "", inside(trailers))


def gives(rows):
    """A script: gives the response of the row that the target names. It closes where the origin's
    close is part of the row; otherwise whether there is another request is for the proxy to say."""
    def script(conn):
        while (req := conn.request()) is not None:
            if req.target == "/fence":
                conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            _, raw, answer, goes_on = rows[int(req.target[1:])]
            conn.send(raw.encode("latin-1"))
            if answer == "incomplete" or not (goes_on or answer.startswith("**")):
                conn.finish()
    return script


def check_response(proxy, origin, number, method, answer, goes_on):
    client = proxy.client()
    client.send(request(method, f"/{number}"))
    if answer == "incomplete" or answer.startswith("**"):
        try:
            assert client.receive(method).status == 502
        except Ended as end:        # cut off behind its head
            assert end.partial is not None and "incomplete" in answer or "bad_response_body" in answer
    else:
        interim, status, fields, stated, body, trailers = answered(answer)
        res = client.receive(method)
        assert [i.status for i in res.interim] == interim
        assert res.status == status
        assert [line for line in (f"{n}: {v}" for n, v in res.fields) if line in fields] == fields
        assert stated is None or res.get("Content-Length") == stated
        assert res.body.decode("latin-1") == body
        assert [f"{name}: {value}" for name, value in res.trailers] == trailers
    client.close()
    conns = len(origin.conns)
    assert proxy.ask(FENCE).body == b"ok"
    assert (len(origin.conns) == conns) == goes_on


@pytest.mark.quick
@pytest.mark.parametrize("title, rows", sections("Responses").items())
def test_responses(weir, origin, title, rows):
    o = origin(gives(rows))
    p = weir("--workers", 1, *HALF, o)
    for number, (method, raw, answer, goes_on) in enumerate(rows):
        if method == "CONNECT" or "101" in answer:
            continue                # tunnels have tests of their own
        try:
            check_response(p, o, number, method, answer, goes_on)
        except Exception as error:
            raise AssertionError(f"{method} {raw!r}: {answer}") from error

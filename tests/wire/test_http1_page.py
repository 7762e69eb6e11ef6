"""docs/http1.md is true of the binary: each request of the page is sent, and what the client is told and
what the origin received is what the page says."""

import re

import pytest

from weirtest import Ended, refused, request
from weirtest.proxy import ROOT

ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "|": "|", "\\": "\\"}
BOUNDS = ("--max-head", "2KiB", "--max-field", "512B", "--max-target", "256B", "--max-fields", "20")
FENCE = request("GET", "/fence")


def decode(code):
    """The bytes of a code span of the page."""
    text = re.fullmatch(r"`` (.*) ``|`(.*)`|\(nothing\)", code)
    text = text[1] or text[2] or ""
    text = re.sub(r"(\\.|.)\{(\d+)\}", lambda m: m[1] * int(m[2]), text)
    return re.sub(r"\\(x..|.)", lambda m: ESCAPES.get(m[1]) or chr(int(m[1][1:], 16)), text)


def sections():
    """The titles of the page's requests, with their rows (input, answer, next)."""
    requests, title, rows = False, None, {}
    for line in (ROOT / "docs/http1.md").read_text().splitlines():
        if line.startswith("## "):
            requests = line == "## Requests"
        elif line.startswith("### "):
            title = line[4:]
        elif requests and line.startswith("| ") and not line.startswith("| input"):
            cells = line[2:-2].split(" | ")
            rows.setdefault(title, []).append((decode(cells[0]), cells[1], cells[2] == "yes"))
    return rows


def understood(answer):
    """What a request is understood as: method, target, host, fields, body, trailers."""
    parts = re.fullmatch(r"(\S+) (\S+) (\S*)((?: \{[^}]*\})*)(?: '(.*)')?((?: \[[^]]*\])*)(?: \+\d+)?",
                         decode(answer), re.DOTALL)
    assert parts, answer
    method, target, host, fields, body, trailers = parts.groups()
    return (method, target, host, re.findall(r" \{([^}]*)\}", fields), body or "",
            re.findall(r" \[([^]]*)\]", trailers))


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


@pytest.mark.parametrize("title, rows", sections().items())
def test_page(weir, origin, title, rows):
    o = origin()
    p = weir("--workers", 1, *BOUNDS, o)
    for raw, answer, goes_on in rows:
        if raw.startswith(("CONNECT", "TRACE")) and not answer.startswith("**"):
            continue                # whether it is allowed is a matter of the service
        try:
            check(p, o, raw, answer, goes_on)
        except Exception as error:
            raise AssertionError(f"{raw!r}: {answer}") from error

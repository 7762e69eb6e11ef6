"""What several test files assert about an answer of the proxy itself."""

import re

from .client import request
from .proxy import poll

FENCE = "/fence"


def own_answer(res, status, version="HTTP/1.1"):
    """An error answer: small, plain, complete, and with nothing of the inside."""
    allowed = status if isinstance(status, (tuple, set)) else (status,)
    assert res.status in allowed, f"{res.status} instead of {status}: {res} {res.body!r}"
    assert res.version == version
    assert res.get("Server") == "weir"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", res.get("Date") or "")
    assert (res.get("Content-Type") or "").startswith("text/plain")
    assert res.framing in ("length", "none") and len(res.body) <= 200
    assert b"127.0.0.1" not in res.body and b".c:" not in res.body
    return res


def refused(client, status, method="GET"):
    """The proxy answers with this status and ends the connection so that the client sees it."""
    res = own_answer(client.receive(method), status)
    assert res.get("Connection") == "close", res
    assert client.closed() == "fin", "the end of a refused connection must not be a reset"
    return res


def nothing_upstream(proxy, origin):
    """No byte of what was refused went upstream. A good request behind it is the fence: with one
    worker, whatever the refused one caused was sent before."""
    assert proxy.ask(request("GET", FENCE)).status == 200
    assert [r.target for r in origin.requests] == [FENCE], origin.seen()
    raw = b"".join(c.raw for c in origin.conns)
    assert raw == origin.requests[0].raw_head, f"more than the fence went upstream: {origin.seen()}"
    assert all(c.incomplete is None for c in origin.conns)


def why(proxy, word):
    """The proxy's logs name this reason."""
    pattern = re.compile(rf'"?why"?[=:]"?{word}\b')

    def said():
        text = proxy.text
        if proxy.log_path.exists():
            text += proxy.log_path.read_text(errors="replace")
        return pattern.search(text)
    poll(said, lambda: f"no why={word}:\n{proxy.text}\n"
                       + (proxy.log_path.read_text() if proxy.log_path.exists() else "no log"))

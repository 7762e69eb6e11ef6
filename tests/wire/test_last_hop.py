"""Max-Forwards (RFC 9110 7.6.2): counted down for OPTIONS and TRACE, and at 0 we answer
ourselves."""

import pytest

from weirtest import own_answer, request, why


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
@pytest.mark.parametrize("value, want", [("1", "0"), ("7", "6"), ("0010", "9"), ("99999", "255"),
                                         (str(1 << 70), "255")])
def test_counts_down(weir, origin, method, value, want):
    o = origin()
    assert weir(o).ask(request(method, "/", f"Max-Forwards: {value}")).status == 200
    assert o.one().get("Max-Forwards") == want


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "options"])
@pytest.mark.parametrize("value", ["0", "5", "x"])
def test_other_methods(weir, origin, method, value):
    """For them it says nothing, and is passed on as it came."""
    o = origin()
    assert weir(o).ask(request(method, "/", f"Max-Forwards: {value}")).status == 200
    assert o.one().get("Max-Forwards") == value


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
@pytest.mark.parametrize("fields", [["Max-Forwards: x"], ["Max-Forwards: -1"], ["Max-Forwards:"],
                                    ["Max-Forwards: 1", "Max-Forwards: 1"]])
def test_wrong(weir, origin, method, fields):
    o = origin()
    p = weir(o)
    own_answer(p.ask(request(method, "/", *fields)), 400)
    why(p, "bad_head")
    assert not o.requests


@pytest.mark.parametrize("target", ["/x", "*"])
def test_options(weir, origin, target):
    o = origin()
    p = weir(o)
    c = p.client()
    for _ in range(2):
        res = c.ask(request("OPTIONS", target, "Max-Forwards: 0"))
        assert (res.status, res.body, res.get("Server")) == (200, b"", "weir")
        assert "GET" in res.get("Allow") and "CONNECT" not in res.get("Allow")
    assert not o.requests


def test_trace(weir, origin):
    """What came is sent back, but for what a script of the client must not see."""
    o = origin()
    res = weir(o).ask(request("TRACE", "/a?b", "Max-Forwards: 0", "X-One: 1", "Cookie: secret",
                              "Authorization: secret", "Proxy-Authorization: secret"))
    assert res.status == 200 and res.get("Content-Type") == "message/http"
    assert res.body == (b"TRACE /a?b HTTP/1.1\r\nHost: origin.test\r\nMax-Forwards: 0\r\n"
                        b"X-One: 1\r\n\r\n")
    assert not o.requests

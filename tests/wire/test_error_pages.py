"""What clients and the error log are told when a request fails: pages by status,
suppress_error_log, request_summary."""

import json

import pytest

from weirtest import own_answer, poll, request, run
from weirtest.h2 import h2

from test_phases import phases, told  # noqa: F401


@pytest.fixture
def pages(tmp_path):
    """Options, and the texts."""
    texts = {"502": b"<h1>Sorry</h1>\n", "4": b"<h1>Your fault</h1>\n", "404": b"", "5": b"x" * 100000}
    args = []
    for status, text in texts.items():
        (tmp_path / f"{status}.html").write_bytes(text)
        args += ["--error-page", f"{status}={tmp_path}/{status}.html"]
    return args, texts


def dead(origin):
    o = origin()
    o.refuse()
    return o


@pytest.mark.parametrize("data, status, page", [
    (request(), 502, "502"), (b"GET / HTTP/1.1\r\n\r\n", 400, "4"),
    (request("POST", "/", "Expect: 5", body=b"x"), 417, "4"), (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "5")])
def test_pages(weir, origin, pages, data, status, page):
    args, texts = pages
    p = weir(*args, dead(origin))
    res = p.ask(data)
    assert (res.status, res.body) == (status, texts[page])
    assert res.get("Content-Type") == "text/html; charset=utf-8"
    assert res.get("Content-Length") == str(len(texts[page]))


def test_head(weir, origin, pages):
    """The length, and nothing more."""
    args, texts = pages
    res = weir(*args, dead(origin)).ask(request("HEAD"))
    assert (res.status, res.body, res.get("Content-Length")) == (502, b"", str(len(texts["502"])))


def test_http2(weir, origin, pages):
    args, texts = pages
    st = h2(weir("--h2c", *args, dead(origin))).get()
    assert (st.status, st.body) == (502, texts["502"])


def test_no_page_for_it(weir, origin, pages):
    p = weir(*pages[0][:2], dead(origin))
    own_answer(p.ask(b"GET / HTTP/1.1\r\n\r\n"), 400)


def test_answers_of_upstreams_pass(weir, origin, pages):
    p = weir(*pages[0], origin(lambda c: (c.request(), c.send(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"))))
    assert p.ask(request()).body == b"no"


@pytest.mark.parametrize("value, code, words", [
    ("404=/nowhere/x.html", 1, "cannot be read"), ("404", 2, "STATUS=FILE"), ("99=x", 2, "STATUS=FILE"),
    ("200=x", 2, "no error's"), ("3=x", 2, "no error's"), ("=x", 2, "STATUS=FILE"),
    ("404=", 2, "STATUS=FILE"), ("404=.", 1, "cannot be read")])
def test_wrong_pages(tmp_path, value, code, words):
    """Said before anything starts."""
    done = run(tmp_path, "proxy", "-t", "--error-page", value, "127.0.0.1:1")
    assert done.returncode == code and words in done.stderr, done.stderr


def test_page_that_is_too_large(tmp_path):
    (tmp_path / "x").write_bytes(b"x" * (1024 * 1024 + 1))
    done = run(tmp_path, "proxy", "-t", "--error-page", "404=x", "127.0.0.1:1")
    assert done.returncode == 1 and "larger than 1 MiB" in done.stderr


# The error log.

def errors(p):
    return [json.loads(x) for x in p.text.splitlines() if x.startswith("{")]


def test_suppress_error_log(phases, origin):  # noqa: F811
    """The access log keeps its line; others are logged as before."""
    p = phases(origin())
    p.ask(request("GET", "/quiet", "Do: request_filter=fail", "Suppress: filter"))
    p.ask(request("GET", "/loud", "Do: request_filter=fail", "Suppress: upstream_closed"))
    poll(lambda: errors(p), "a record")
    assert [e["target"] for e in errors(p)] == ["/loud"]
    assert [r["why"] for r in p.log(2)] == ["filter", "filter"]


def test_suppress_what_is_tried_again(phases, origin):  # noqa: F811
    o = origin(lambda conn: conn.request())
    p = phases(o, "--max-tries", 2, "--retry-backoff", "off")
    p.ask(request("GET", "/quiet", "Do: error_while_proxy=retry", "Fixed: 1",
                  "Suppress: upstream_closed"))
    p.ask(request("GET", "/loud", "Do: error_while_proxy=retry", "Fixed: 1"))
    poll(lambda: len(errors(p)) == 2, "two records")
    assert [(e["target"], e["level"]) for e in errors(p)] == [("/loud", "warning"), ("/loud", "error")]


def test_request_summary(phases, origin):  # noqa: F811
    p = phases(origin())
    p.ask(request("GET", "/a", "Do: request_filter=fail", 'Summary: order "7"'))
    p.ask(request("GET", "/b", "Do: request_filter=fail"))
    poll(lambda: len(errors(p)) == 2, "two records")
    first, second = errors(p)
    assert first["summary"] == 'order "7"' and "target" not in first and first["why"] == "filter"
    assert "summary" not in second and second["target"] == "/b"


def test_what_never_parsed(phases, origin):  # noqa: F811
    """fail_to_proxy has seen it, and there is a record without a target."""
    p = phases(origin())
    c = p.client()
    c.send(b"nonsense\r\n\r\n")
    assert c.receive().status == 400
    assert "fail_to_proxy" in told(p.trace())
    poll(lambda: errors(p), "a record")
    assert errors(p)[0]["why"] == "bad_head"


def test_what_never_parsed_of_http2(phases, origin):  # noqa: F811
    p = phases("--h2c", origin())
    c = h2(p)
    st = c.receive(c.request("GET", "/", "host: other.test"))
    assert st.status == 400 and "fail_to_proxy" in told(p.trace())

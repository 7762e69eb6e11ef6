"""Requests that ask several services at once (programs/subrequests.c): a thousand of them, scopes
that end before their fetches, and calls that are none."""

import pathlib

import pytest

from weirtest import binary, poll, request

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/subrequests"


@pytest.fixture
def ask(weir):
    """ask(path, fields...): what comes of it. What it fetches it asks of itself; so its pool keeps
    its own connections until it ends."""
    p = weir("--listen", "127.0.0.1:0", "--timeout-connect", "60s", "127.0.0.1:1", program=PROGRAM)

    def it(path, *fields):
        c = p.client()
        c.sock.settimeout(60)           # a thousand of them may take long, on a busy machine
        res = c.ask(request("GET", path, *fields, host="%s:%d" % p.addresses[0]))
        assert res.status == 200
        return res.body.decode()
    it.proxy = p
    yield it
    p.signal()
    p.wait(0)


def record_of(p, path):
    """The log's record of the only request for `path`, once it is there."""
    return poll(lambda: [r for r in p.log() if r["target"] == path], f"no record of {path}")[0]


@pytest.mark.parametrize("fields", [[], ["By-H2: 1"]], ids=["h1", "h2"])
@pytest.mark.parametrize("path", ["/many", "/nested"])
def test_a_thousand_at_once(ask, path, fields):
    """Of one request; and of a thousand requests."""
    assert ask(path, "How-Many: 1000", *fields) == "1000, "


def test_the_first_answer_wins(ask):
    """That others are cancelled for it fails only them."""
    assert ask("/first") == "closed, 200"
    assert "why" not in record_of(ask.proxy, "/first")


@pytest.mark.parametrize("fields", [[], ["By-H2: 1"]], ids=["h1", "h2"])
def test_cancelled_at_every_step(ask, fields):
    assert ask("/races", *fields) == "some came"


@pytest.mark.parametrize("fields", [[], ["By-H2: 1"]], ids=["h1", "h2"])
def test_client_leaves_a_scope(ask, fields):
    """All that is asked in it is cancelled with it."""
    p = ask.proxy
    client = p.client()
    client.send(request("GET", "/wait", *fields, host="%s:%d" % p.addresses[0]))
    p.wait_text(r"\[slow begins\]", 3)
    client.reset()
    assert record_of(p, "/wait")["why"] == "client_gone"
    assert [r["why"] for r in p.log(4) if r["target"] == "/slow"] == ["client_gone"] * 3


def test_the_time_of_a_request_ends_its_scopes(weir):
    p = weir("--listen", "127.0.0.1:0", "--timeout-request", "200ms", "--timeout-idle", "500ms",
             "127.0.0.1:1", program=PROGRAM)
    assert p.ask(request("GET", "/wait", host="%s:%d" % p.addresses[0])).status == 504
    assert record_of(p, "/wait")["why"] == "request_timeout"


def test_the_limit_of_a_scope(ask):
    assert ask("/limit") == "0, timeout"


@pytest.mark.parametrize("path, words", [("/none", "nothing"), ("/behind", "canceled"),
                                         ("/thread", "refused"), ("/computed", "in time"),
                                         ("/own", "as documented")])
def test_calls(ask, path, words):
    assert ask(path) == words

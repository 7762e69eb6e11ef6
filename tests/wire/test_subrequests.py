"""Requests that ask several services at once (programs/subrequests.c): a thousand of them, scopes
that end before their fetches, and calls that are none."""

import pathlib

import pytest

from weirtest import binary, request

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/subrequests"


@pytest.fixture
def ask(weir):
    """ask(path, fields...): what comes of it. What it fetches it asks of itself; so its pool keeps
    its own connections until it ends."""
    p = weir("--listen", "127.0.0.1:0", "127.0.0.1:1", program=PROGRAM)

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


@pytest.mark.parametrize("path", ["/many", "/nested"])
def test_a_thousand_at_once(ask, path):
    """Of one request; and of a thousand requests."""
    assert ask(path, "How-Many: 1000") == "1000, "


def test_the_first_answer_wins(ask):
    """That others are cancelled for it fails only them."""
    assert ask("/first") == "closed, 200"
    mine = [record for record in ask.proxy.log(4) if record["target"] == "/first"]
    assert len(mine) == 1 and "why" not in mine[0]


def test_cancelled_at_every_step(ask):
    assert ask("/races") == "some came"


def test_the_limit_of_a_scope(ask):
    assert ask("/limit") == "0, timeout"


@pytest.mark.parametrize("path, words", [("/none", "nothing"), ("/thread", "refused"),
                                         ("/computed", "in time"), ("/own", "as documented")])
def test_calls(ask, path, words):
    assert ask(path) == words

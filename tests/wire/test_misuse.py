"""A program that uses the library wrongly (programs/misuse.c): its request fails with words that
say what was wrong, and the next one is served."""

import pathlib
import signal

import pytest

from weirtest import binary, echo, poll, request, serve
from weirtest.h2 import h2

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/misuse"
BEFORE = ["request_filter", "upstream_peer", "upstream_request_filter"]
PHASES = BEFORE + ["response_filter"]

WRONG = [
    ("send_nothing", PHASES, "weir_send needs a head"),
    ("send_request", PHASES, "weir_send needs a head"),
    ("no_editor", PHASES, "weir_edit_body needs an editor"),
    ("editor", ["upstream_request_filter", "request_body_filter", "response_filter",
                "response_body_filter"], "weir_edit_body comes too late"),
    ("no_module", PHASES, "weir_use needs a module"),
    ("bad_module", PHASES, "weir_basic_auth needs users"),
    ("no_peer", PHASES, "weir_peer_address needs"),
    ("no_address", PHASES, "weir_peer_address needs"),
    ("no_balancer", PHASES, "weir_lb_pick needs"),
    ("no_format", PHASES, "weir_printf needs a format"),
    ("no_function", PHASES, "weir_defer needs a function"),
    ("no_deadline", PHASES, "no such deadline"),
    ("fail_well", PHASES, "weir_fail: 200 is no status of 400 to 599: all is well"),
    ("fail_twice", PHASES, "weir_fail: 600 is no status of 400 to 599"),
]
RIGHT = [
    ("no_word", PHASES, b"answered\n"),
    ("no_head", PHASES, b"nothing\n"),
    ("odd_body", PHASES, b""),
    ("no_options", BEFORE, b""),
    ("odd_piece", BEFORE, b""),
]


@pytest.fixture
def proxy(weir, origin):
    return weir("--listen", "127.0.0.1:0", origin(serve(echo)), program=PROGRAM)


def ask(p, version, what, phase):
    """The response to a request with a body; both sides agree on where it ends."""
    if version == "h1":
        return p.ask(request("POST", f"/{what}", f"At: {phase}", body=b"hello"))
    c = h2(p)
    return c.receive(c.request("POST", f"/{what}", f"at: {phase}", body=b"hello"))


@pytest.mark.parametrize("version", ["h1", "h2"])
@pytest.mark.parametrize("what, phases, words", WRONG, ids=[w[0] for w in WRONG])
def test_wrong(proxy, version, what, phases, words):
    for phase in phases:
        assert ask(proxy, version, what, phase).status == 500
    poll(lambda: proxy.text.count(words) == len(phases), f"no {words!r} for each of {phases}")
    assert ask(proxy, version, "", "").status == 200


@pytest.mark.parametrize("version", ["h1", "h2"])
@pytest.mark.parametrize("what, phases, body", RIGHT, ids=[w[0] for w in RIGHT])
def test_right(proxy, version, what, phases, body):
    for phase in phases:
        r = ask(proxy, version, what, phase)
        assert (r.status, r.body) == (200, body)
    assert ask(proxy, version, "", "").status == 200


@pytest.mark.parametrize("phase", PHASES)
def test_overflow(proxy, phase):
    """A stack that ends is a bug of the program: the process says whose, and aborts."""
    proxy.client().send(request("GET", "/overflow", f"At: {phase}"))
    proxy.wait_text(f"weir: stack overflow in misuse, phase {phase} ")
    proxy.wait(-signal.SIGABRT)

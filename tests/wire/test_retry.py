"""What is sent again, and what is not: each cell of the tables of docs/retry.md, and the bounds."""

import re
import threading
import time

import pytest

from weirtest import OK, chunks, request, serve, why
from weirtest import h2 as wire
from weirtest.h2origin import h2_script
from weirtest.pairs import Down, ends
from weirtest.proxy import ROOT

from test_phases import Phases, phases, told  # noqa: F401

LONG = b"0123456789abcdef" * 5000       # 80,000 bytes: more than is kept
COLUMNS = {"GET": ("GET", b""), "PUT, body kept": ("PUT", b"kept"), "PUT, body too long": ("PUT", LONG),
           "POST, no body": ("POST", b""), "POST, body kept": ("POST", b"kept"),
           "POST, body too long": ("POST", LONG)}


def cells():
    """(table, row, column, cell) of docs/retry.md."""
    text = (ROOT / "docs/retry.md").read_text()
    tables = re.findall(r"^\| what happened \|(.*)\|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.M)
    assert len(tables) == 2
    for word, (columns, rows) in zip(("default", "retry"), tables):
        columns = [c.strip() for c in columns.split("|")]
        assert columns == list(COLUMNS)
        for row in rows.splitlines():
            name, *values = (c.strip() for c in row.strip("|").split("|"))
            for column, value in zip(columns, values, strict=True):
                yield pytest.param(word, name, column, value, id=f"{word}-{name}-{column}")


# What happens: a function that makes the case's origins and options; the first try meets it.

class Case:
    """`scripts` of the origin; `reused`: a first request goes well; `do`: what phases do."""

    def __init__(self, *scripts, options=(), reused=False, do=None):
        self.scripts, self.options, self.reused, self.do = scripts, options, reused, do


def closes(conn):
    conn.request()


def warm_then_closes(conn):
    conn.request()
    conn.send(OK)
    conn.request()


def warm_then_reset(conn):
    conn.request()
    conn.send(OK)
    conn.wait(conn.origin.go)
    conn.reset()


def half_a_head(conn):
    conn.request()
    conn.send(b"HTTP/1.1 200 ")


def silent(conn):
    if conn.request():
        conn.wait_end()


def cut_body(conn):
    conn.request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")


def good_h2(peer):
    while (st := peer.accept()) is not None:
        st.read()
        st.answer(200, b"ok")


def h2_then(fn):
    """The first request fares so, the others well."""
    def script(peer):
        st = peer.accept()
        st.read()
        fn(peer, st)
        good_h2(peer)
    return h2_script(script)


def goes_away(peer, st):
    peer.goaway(st.number - 2 if st.number > 1 else 0)


def h2_warm_then_closes(peer):
    st = peer.accept()
    st.answer(200, b"ok")
    peer.accept().read()


H2 = ["--upstream-h2"]
QUICK = ["--timeout-upstream", "300ms"]
CASES = {
    "no connection": Case(serve(OK)),
    "a new connection ends before the response": Case(closes, serve(OK)),
    "a reused connection ends before the response": Case(warm_then_closes, serve(OK), reused=True),
    "a reused connection ends before anything was sent":
        Case(warm_then_reset, serve(OK), reused=True, do="connected_to_upstream=hold1"),
    "part of a response head comes, then the end": Case(half_a_head, serve(OK)),
    "HTTP/2: the stream is refused":
        Case(h2_then(lambda peer, st: st.reset(wire.REFUSED_STREAM)), options=H2),
    "HTTP/2: the connection is given up (GOAWAY) before the stream":
        Case(h2_then(goes_away), h2_script(good_h2), options=H2),
    "HTTP/2: the stream is reset otherwise":
        Case(h2_then(lambda peer, st: st.reset(wire.INTERNAL_ERROR)), options=H2),
    "HTTP/2: a reused connection ends before the response":
        Case(h2_script(h2_warm_then_closes), h2_script(good_h2), options=H2, reused=True),
    "no response within `upstream_timeout`": Case(silent, serve(OK), options=QUICK),
    "no response within `try_timeout`":
        Case(silent, serve(OK), options=["--timeout-try", "300ms"]),
    "the body of the response breaks off": Case(cut_body, serve(OK)),
    "a filter fails before anything was sent":
        Case(serve(OK), do="upstream_request_filter=fail1"),
}


def fields_of(case, name, word):
    asked = [case.do] if case.do else []
    if word == "retry":
        asked.append("fail_to_connect=retry" if name == "no connection" else "error_while_proxy=retry")
    return ["Do: " + ", ".join(asked)] if asked else []


def let_it_die(p, o):
    """While the request has a connection and has not written."""
    p.wait_text("waiting in connected_to_upstream")
    o.go.set()
    o.wait(lambda: o.conns[0].sock.fileno() == -1, "the reset")
    (p.proxy.folder / "go").touch()


@pytest.mark.parametrize("word, name, column, cell", cells())
def test_table(weir, phases, origin, word, name, column, cell):  # noqa: F811
    case, (method, body) = CASES[name], COLUMNS[column]
    o = origin(*case.scripts)
    o.go = o.event()
    fields = fields_of(case, name, word)
    if name != "no connection":
        p = phases(o, *case.options, "--retry-backoff", "1ms")
        fields.append("Fixed: 1")
    else:
        dead = origin()
        dead.refuse()   # the program has a phase, so that there is no default
        p = phases(dead, o) if word == "retry" else weir("--workers", 1, dead, o)
    if case.reused:
        assert p.ask(request()).status == 200
    c = p.client()
    c.send(request(method, "/", *fields, body=body))
    if "hold" in "".join(fields):
        let_it_die(p, o)
    if cell == "cut":
        assert c.truncated(method).body == b"half"
    else:
        assert c.receive(method).status == (200 if cell == "again" else int(cell))
    sent = o.requests[1 if case.reused else 0:]
    if cell == "again":
        assert {(r.method, bytes(r.body)) for r in sent} == {(method, body)}, "each is whole"
    else:
        assert len(sent) == (0 if "filter" in name or "anything was sent" in name else 1)


# The body.

@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("options, size, again", [
    ([], 65536, True), ([], 65537, False), (["--replay", "1KiB"], 1024, True),
    (["--replay", "1KiB"], 1025, False), (["--replay", "off"], 1, False),
    (["--replay", "off"], 0, True), (["--replay-file", "1MiB"], 65536 + (1 << 20), True),
    (["--replay-file", "1MiB"], 65537 + (1 << 20), False),
    (["--replay", "off", "--replay-file", "1MiB"], 1 << 20, True),
    (["--replay", "off", "--replay-file", "1MiB"], (1 << 20) + 1, False)])
def test_bounds_of_what_is_kept(phases, origin, options, size, again, framing):  # noqa: F811
    """To the byte; and what is sent again is what came."""
    body = bytes(i * 7 % 251 for i in range(256)) * (size // 256 + 1)
    body = body[:size]
    o = origin(closes, closes, serve(OK))
    p = phases(o, *options, "--retry-backoff", "off")
    fields = ["Do: error_while_proxy=retry", "Fixed: 1"]
    if framing == "chunked":
        data = request("POST", "/", *fields, "Transfer-Encoding: chunked") + chunks(
            *[body[i:i + 5000] for i in range(0, size, 5000)])
    else:
        data = request("POST", "/", *fields, body=body)
    assert p.ask(data).status == (200 if again else 502)
    assert [bytes(r.body) for r in o.requests] == [body] * (3 if again else 1)


def test_no_file_can_be_made(phases, origin):  # noqa: F811
    """Then the body is not kept, and goes up all the same, once."""
    body = b"x" * 300000      # a read takes at most 64 KiB, and so much is kept
    o = origin(closes, serve(OK))
    p = phases(o, "--replay-file", "1MiB", env={"TMPDIR": "/nowhere"})
    assert p.ask(request("POST", "/", "Do: error_while_proxy=retry", "Fixed: 1",
                         body=body)).status == 502
    assert [bytes(r.body) for r in o.requests] == [body]
    assert p.ask(request("POST", "/", body=body)).status == 200


def test_body_that_is_still_on_its_way(phases, origin):  # noqa: F811
    """The second try begins with what came, and goes on with what comes."""
    def first(conn):
        conn.head()
        conn.reset()
    o = origin(first, serve(OK))
    p = phases(o)
    c = p.client()
    c.send(request("PUT", "/", "Do: error_while_proxy=retry", "Fixed: 1", "Content-Length: 10")
           + b"hello")
    o.wait(lambda: len(o.conns) > 1, "a second try")
    c.send(b"world")
    assert c.receive("PUT").status == 200
    assert bytes(o.requests[-1].body) == b"helloworld"


def test_trailers_are_repeated(phases, origin):  # noqa: F811
    o = origin(closes, serve(OK))
    p = phases(o)
    data = request("POST", "/", "Do: error_while_proxy=retry", "Fixed: 1", "TE: trailers",
                   "Transfer-Encoding: chunked") + chunks(b"abc", trailers="Sum: 6\r\n")
    assert p.ask(data).status == 200
    assert [dict(r.trailers)["Sum"] for r in o.requests] == ["6", "6"]


def test_filter_sees_the_body_anew(phases, origin):  # noqa: F811
    o = origin(closes, serve(OK))
    p = phases(o)
    assert p.ask(request("POST", "/", "Fixed: 1", body=b"abc",
                         *["Do: error_while_proxy=retry, request_body_filter=upper"])).status == 200
    assert [bytes(r.body) for r in o.requests] == [b"ABC", b"ABC"]


def test_the_client_is_told_to_go_on_once(phases, origin):  # noqa: F811
    """And the second try does not wait for a 100 either."""
    def first(conn):
        req = conn.head()
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.body(req)
    o = origin(first, serve(OK))
    p = phases(o)
    c = p.client()
    c.send(request("POST", "/", "Do: error_while_proxy=retry", "Fixed: 1", "Expect: 100-continue",
                   "Content-Length: 5"))
    o.wait_requests(1)
    c.send(b"hello")
    res = c.receive("POST")
    assert res.status == 200 and len(res.interim) == 1
    assert [r.get("Expect") for r in o.requests] == ["100-continue", None]


# How often.

@pytest.mark.parametrize("tries", [1, 2, 5])
def test_max_tries(phases, origin, tries):  # noqa: F811
    o = origin(closes)
    p = phases(o, "--max-tries", tries, "--retry-backoff", "1ms")
    assert p.ask(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1")).status == 502
    assert len(o.requests) == tries


def test_nothing_is_sent_again(weir, origin):
    """With one try neither a stale connection nor one that fails."""
    dead = origin()
    dead.refuse()
    o = origin(warm_then_closes, serve(OK))
    p = weir("--workers", 1, "--max-tries", 1, o, dead.name)
    assert [p.ask(request()).status for _ in range(3)] == [200, 502, 502]


def test_budget(phases, origin):  # noqa: F811
    """Ten seconds' worth at the start; then only what is earned, and 502 for the others."""
    o = origin(closes)
    p = phases(o, "--retry-rate", 1, "--retry-budget", 1, "--max-tries", 2, "--retry-backoff", "off")
    for _ in range(100):
        assert p.ask(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1")).status == 502
    more = len(o.requests) - 100
    assert 10 <= more < 30
    p.wait_text('"budget_spent":true')


def test_budget_is_no_bound_for_failed_connects(weir, origin):
    """They have cost no upstream anything."""
    dead, o = origin(), origin()
    dead.refuse()
    p = weir("--workers", 1, "--retry-rate", 1, "--retry-budget", 1, dead.name, o)
    assert all(p.ask(request()).status == 200 for _ in range(60))


def test_budget_off(phases, origin):  # noqa: F811
    o = origin(closes)
    p = phases(o, "--retry-budget", "off", "--retry-rate", 1, "--max-tries", 2, "--retry-backoff",
               "off")
    for _ in range(40):
        assert p.ask(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1")).status == 502
    assert len(o.requests) == 80


def test_client_leaves_between_two_tries(phases, origin):  # noqa: F811
    o = origin(closes)
    p = phases(o, "--retry-backoff", "1h")
    c = p.client()
    c.send(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1"))
    p.wait_text('"level":"warning"')
    c.reset()
    assert "logging:client_gone" in told(p.trace()) and len(o.requests) == 1


def test_request_timeout_between_two_tries(phases, origin):  # noqa: F811
    o = origin(closes)
    p = phases(o, "--retry-backoff", "1h")
    res = p.ask(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1", "Set-Request: 200ms"))
    assert res.status == 504 and "logging:request_timeout" in told(p.trace())


# Time for a try.

def test_try_timeout_goes_elsewhere(weir, origin):
    """The slow one is not asked again while there is another."""
    slow, quick = origin(silent), origin()
    p = weir("--workers", 1, "--timeout-try", "200ms", slow, quick)
    assert p.ask(request()).status == 200
    assert len(slow.requests) == 1 and p.log()[0]["tries"] == 2


def test_try_timeout_for_ever(weir, origin):
    o = origin(silent)
    p = weir("--workers", 1, "--timeout-try", "100ms", "--retry-backoff", "1ms", o)
    assert p.ask(request()).status == 504
    assert len(o.requests) == 4 and p.log()[0]["why"] == "try_timeout"


def test_try_timeout_is_over_with_the_head(weir, origin):
    """A body may take as long as it takes."""
    go = threading.Event()

    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        assert go.wait(10)
        conn.send(b"k")
    o = origin(script)
    p = weir("--workers", 1, "--timeout-try", "200ms", "--timeout-upstream", "10s", o)
    c = p.client()
    c.send(request())
    o.wait_requests(1)
    threading.Timer(0.4, go.set).start()
    assert c.receive().body == b"ok" and len(o.requests) == 1


def test_try_timeout_while_the_request_is_sent(weir, origin):
    """An upstream that takes nothing is too slow as well."""
    go = threading.Event()
    o = origin(lambda conn: go.wait(10), serve(OK))
    p = weir("--workers", 1, "--timeout-try", "2s", "--replay", "64MiB", o)
    body = b"x" * (16 << 20)      # more than the kernel keeps for it
    assert p.ask(request("PUT", "/", body=body)).status == 200
    go.set()
    assert bytes(o.requests[-1].body) == body


def test_try_timeout_begins_after_the_wait(weir, origin):
    """A wait that is longer than a try leaves the try its time."""
    o = origin(silent, serve(OK))
    p = weir("--workers", 1, "--timeout-try", "300ms", "--retry-backoff", "1s", o)
    assert p.ask(request()).status == 200 and p.log()[0]["tries"] == len(o.requests)


@pytest.mark.alone
@pytest.mark.parametrize("up", ["h1", "h2"])
@pytest.mark.parametrize("down", ["h1", "h2"])
def test_try_timeout_is_not_for_slow_clients(weir, origin, down, up):
    """The upstream has nothing to answer yet; when it has, its time goes on."""
    slow = []

    def answer(x):
        body = x.read()
        if x.target == "/slow" and not slow:
            slow.append(x)
            x.gone()
        x.begin(200, length=len(body))
        x.piece(body)
    o = origin(ends(answer)[up])
    p = weir("--h2c", *(["--upstream-h2"] if up == "h2" else []), "--workers", 1, "--timeout-try",
             "300ms", "--retry-backoff", "1ms", o)
    for i, target in enumerate(("/good", "/slow")):
        sent = Down(p, down).request("PUT", target, length=10)
        for piece in (b"hello", b"world"):
            time.sleep(0.7)
            sent.piece(piece)
        if down == "h2":
            sent.finish()
        assert sent.answer().body == b"helloworld"
        assert p.log(i + 1)[i]["tries"] > i


def test_try_timeout_is_not_for_pauses_in_what_passes_unseen(weir, origin):
    """Of a body that is not kept, which the kernel moves on."""
    body = b"x" * 1000000
    got = threading.Event()

    def script(conn):
        conn.head()
        conn.reader.exactly(len(body) // 2)
        got.set()
        conn.reader.exactly(len(body) // 2)
        conn.send(OK)
    p = weir("--workers", 1, "--timeout-try", "3s", origin(script))
    c = p.client()
    c.send(request("PUT", "/", f"Content-Length: {len(body)}") + body[:len(body) // 2])
    assert got.wait(10)
    time.sleep(3.5)
    c.send(body[len(body) // 2:])
    assert c.receive().status == 200 and p.log()[0]["tries"] == 1


def test_try_timeout_is_over_with_a_head_that_comes_early(weir, origin):
    """What is sent behind it may wait for the upstream."""
    body = b"x" * (16 << 20)      # more than the kernel keeps for it
    go = threading.Event()

    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        assert go.wait(10)
        conn.reader.exactly(len(body))
        conn.send(b"k")
    c = weir("--workers", 1, "--timeout-try", "2s", origin(script)).client()
    c.send(request("PUT", "/", f"Content-Length: {len(body)}") + body[:10])
    head = b""
    while not head.endswith(b"\r\n\r\no"):
        head += c.sock.recv(1)
    threading.Timer(2.5, go.set).start()
    c.send(body[10:])
    assert c.sock.recv(1) == b"k"


def test_try_timeout_with_a_body_in_a_file(weir, origin):
    """Each try has all of it, from the file and from memory."""
    body = bytes(i * 7 % 251 for i in range(251)) * 1000
    o = origin(silent, silent, serve(OK))
    p = weir("--workers", 1, "--timeout-try", "500ms", "--retry-backoff", "1ms", "--replay", "1KiB",
             "--replay-file", "1MiB", o)
    assert p.ask(request("PUT", "/", body=body)).status == 200
    assert {bytes(r.body) for r in o.requests} == {body} and len(o.requests) == p.log()[0]["tries"]


def test_refused_beyond_the_budget(weir, origin):
    """What was not processed may be sent again, but not for ever by everybody."""
    def refuse(peer):
        while (st := peer.accept()) is not None:
            st.reset(wire.REFUSED_STREAM)
    o = origin(h2_script(refuse))
    p = weir("--workers", 1, "--retry-rate", 1, "--retry-budget", 1, "--retry-backoff", "off",
             "--upstream-h2", o)
    tries = []
    for i in range(30):
        assert p.ask(request("POST", "/", body=b"x")).status == 503
        tries.append(p.log(i + 1)[i]["tries"])
    assert tries[0] == 4 and min(tries) == 1 and 10 <= sum(tries) - 30 < 20
    p.wait_text('"budget_spent":true')


@pytest.mark.parametrize("down", ["h1", "h2"])
@pytest.mark.parametrize("size, status", [(65536, 200), (65537, 503)])
def test_refused_at_the_bound(weir, origin, size, status, down):
    """A body whose length nobody said, kept to its last byte; one more, and it goes up once."""
    bodies = []

    def script(peer):
        st = peer.accept()
        bodies.append(st.read())
        st.reset(wire.REFUSED_STREAM)
        while (st := peer.accept()) is not None:
            bodies.append(st.read())
            st.answer(200, b"ok")
    p = weir("--h2c", "--upstream-h2", origin(h2_script(script)))
    body = bytes(i * 7 % 251 for i in range(size))
    assert Down(p, down).ask("POST", "/", body=body, known=False).status == status
    assert bodies == [body] * (2 if status == 200 else 1)


@pytest.mark.parametrize("down", ["h1", "h2"])
def test_client_leaves_the_wait_before_a_try(weir, origin, down):
    """Nothing goes out for who is gone, however long it would still have waited."""
    o = origin(silent, serve(OK))
    p = weir("--h2c", "--workers", 1, "--timeout-try", "100ms", "--retry-backoff", "1h", o)
    sent = Down(p, down).request("GET")
    p.wait_text('"level":"warning"')
    sent.leave()
    why(p, "client_gone")
    assert len(o.requests) <= 1     # of the first try, whose origin may be too slow to have read it


# In the log.

def test_log(phases, origin):  # noqa: F811
    o = origin(closes, serve(OK))
    p = phases(o)
    assert p.ask(request("GET", "/", "Do: error_while_proxy=retry", "Fixed: 1")).status == 200
    p.wait_text('"level":"warning".*"why":"upstream_closed"')
    assert p.log(path=p.proxy.folder / "access.log")[0]["tries"] == 2

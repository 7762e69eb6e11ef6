"""HTTP/1 and HTTP/2 on either side: the same exchanges, whatever the versions, one table for
all."""

import random
import threading

import pytest

from weirtest import h2 as wire
from weirtest import poll, why
from weirtest.pairs import HOST, VERSIONS, Down, ends

quick = pytest.mark.quick


@pytest.fixture(params=[(d, u) for d in VERSIONS for u in VERSIONS], ids="{0[0]}-{0[1]}".format)
def pair(request, weir, origin):
    """pair(handler) makes an origin and a proxy; then .down() a client of it."""
    class Pair:
        versions = request.param

        def __call__(self, handler, *options, **more):
            self.seen = []

            def kept(x):
                self.seen.append(x)
                handler(x)
            self.origin = origin(ends(kept, **more)[self.versions[1]])
            self.proxy = weir("--h2c", *(["--upstream-h2"] if self.versions[1] == "h2" else []),
                              *options, self.origin)
            return Down(self.proxy, self.versions[0])

        def down(self):
            return Down(self.proxy, self.versions[0])

        def one(self):
            assert len(self.seen) == 1, self.seen
            return self.seen[0]
    return Pair()


def hello(x):
    x.read()
    x.begin(length=5)
    x.piece(b"hello")


# Bodies.

@quick
def test_get(pair):
    c = pair(hello)
    for i in range(3):
        res = c.ask("GET", "/a?b=c", "X-Own: yes")
        assert (res.status, res.body, res.get("Content-Length"), res.whole) == (200, b"hello", "5", True)
        assert res.get("Date")
        pair.proxy.log(i + 1)       # behind that its connection is back
    x = pair.seen[0]
    assert (x.method, x.target, x.host, x.get("X-Own")) == ("GET", "/a?b=c", HOST, "yes")
    assert "transfer-encoding" not in x.names and "content-length" not in x.names
    assert len(pair.origin.conns) == 1          # one connection for all
    assert pair.proxy.log()[0]["version"] == {"h1": "HTTP/1.1", "h2": "HTTP/2.0"}[pair.versions[0]]


@pytest.mark.parametrize("known", [True, False], ids=["length", "unknown"])
@pytest.mark.parametrize("size", [1, 5, 4096, 4097, 65535, 65536, 300_000, 3_000_000])
def test_echo(pair, size, known):
    """Up and down again, each as long as it was, with the length where it is known."""
    def echo(x):
        body = x.read()
        x.begin(length=len(body) if known else None)
        x.piece(body)
        x.finish()
    c = pair(echo)
    data = bytes(i * 7 % 251 for i in range(min(size, 4099))) * (size // 4099 + 1)
    res = c.ask("POST", "/", body=data[:size], known=known)
    assert res.whole and res.body == data[:size]
    assert res.get("Content-Length") == (str(size) if known else None)
    assert pair.one().get("Content-Length") == (str(size) if known else None)


@pytest.mark.parametrize("status, body", [(200, True), (204, False), (304, False), (404, True)])
def test_no_response_body(pair, status, body):
    def empty(x):
        x.read()
        x.begin(status, length=0 if body else None, body=body)
    res = pair(empty).ask("GET")
    assert (res.status, res.body, res.whole) == (status, b"", True)
    assert res.get("Content-Length") in ((("0", None) if pair.versions[0] == "h2" else ("0",))
                                         if body else (None,))


@pytest.mark.parametrize("length", [None, 12345])
def test_head(pair, length):
    """A length that is stated passes; a body does not follow."""
    def answer(x):
        x.read()
        fields = [] if length is None else [f"Content-Length: {length}"]
        x.begin(200, "X-Own: yes", *fields, body=False)
    c = pair(answer)
    for i in range(2):
        res = c.ask("HEAD")
        assert (res.status, res.body, res.get("X-Own"), res.whole) == (200, b"", "yes", True)
        assert res.get("Content-Length") == (None if length is None else str(length))
        pair.proxy.log(i + 1)
    assert pair.seen[0].method == "HEAD" and len(pair.origin.conns) == 1


def test_post_without_content(pair):
    c = pair(hello)
    assert c.ask("POST", "/", "Content-Length: 0").whole
    assert pair.one().get("Content-Length") == "0"


@pytest.mark.parametrize("pause", [False, True])
def test_pieces_as_they_come(pair, pause):
    """Nothing is held back until more is there, in either direction."""
    def talk(x):
        x.begin(200)
        for i in range(3):
            wait_for(x, b"ping%d" % i)
            x.piece(b"pong%d" % i)
        x.read()
        x.finish()

    def wait_for(x, data):
        if x.version == "h2":
            x.st.wait(lambda: x.st.body.endswith(data))
        else:
            size = x.conn.reader.line()
            assert int(size, 16) == len(data) and x.conn.reader.exactly(len(data)) == data
            x.conn.reader.exactly(2)
    c = pair(talk)
    sent = c.request("POST", "/", length=None)
    if pause:
        pair.origin.wait_requests(1)
    for i in range(3):
        sent.piece(b"ping%d" % i)
        if i == 0:
            assert sent.head().status == 200
        receive(c, sent, b"pong%d" % i)
    sent.finish()


def receive(c, sent, data):
    """The next piece of a body, framed as the version does."""
    if c.version == "h2":
        c.conn.until(lambda: sent.stream.body.endswith(data) or sent.stream.over)
        assert sent.stream.body.endswith(data)
    else:
        assert int(c.client.reader.line(), 16) == len(data)
        assert c.client.reader.exactly(len(data) + 2) == data + b"\r\n"


def test_pieces_of_odd_sizes(pair):
    """A peer that gives back the bytes of each frame at once gets no ever smaller frames."""
    rnd = random.Random(7)
    pieces = [b"x" * rnd.randint(1, 6000) for _ in range(1000)]

    def answer(x):
        got = len(x.read())
        x.begin(200, f"X-Got: {got}")
        for piece in pieces:
            x.piece(piece)
        x.finish()
    c = pair(answer)
    total = sum(len(p) for p in pieces)
    sent = c.request("POST", "/", length=None)
    for piece in pieces:
        sent.piece(piece)
    sent.finish()
    res = sent.answer()
    assert res.whole and len(res.body) == total and res.get("X-Got") == str(total)
    if c.version == "h2":
        sizes = [len(f.payload) for f in c.conn.frames if f.kind == wire.DATA]
        assert sum(s < 256 for s in sizes) < 100, sorted(sizes)[:200]


# Trailers.

@quick
@pytest.mark.parametrize("body", [b"", b"x" * 100, b"y" * 100_000])
def test_trailers_both_ways(pair, body):
    def answer(x):
        got = x.read()
        x.begin(200, "Trailer: x-sum")
        if got:
            x.piece(got)
        x.finish("X-Sum: 42", "X-More: a b", "Set-Cookie: no=trailer")
    c = pair(answer)
    for _ in range(2):
        res = c.ask("POST", "/", body=body, trailers=[("x-up", "1"), ("x-own", "two")])
        assert res.whole and res.body == body
        assert sorted((n.lower(), v) for n, v in res.trailers) == [("x-more", "a b"), ("x-sum", "42")]
    for x in pair.seen:
        assert sorted(x.trailers) == [("x-own", "two"), ("x-up", "1")]


# Fields.

def test_hop_by_hop(pair):
    """What belongs to one hop stays there, both ways."""
    def answer(x):
        x.read()
        more = ["Connection: x-hop", "Keep-Alive: timeout=5", "Proxy-Connection: close", "X-Hop: 1"]
        x.begin(200, "X-End: 1", *(more if x.version == "h1" else []), length=0)
    c = pair(answer)
    more = ["Connection: x-hop", "X-Hop: 1", "Keep-Alive: 5", "Proxy-Connection: keep-alive"]
    res = c.ask("GET", "/", "X-End: 1", "TE: trailers", *(more if c.version == "h1" else []))
    x = pair.one()
    for names in (x.names, {n.lower() for n, _ in res.fields}):
        assert "x-end" in names
        assert not names & {"x-hop", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"}
    if pair.versions[1] == "h2":
        assert x.get("te") == "trailers" and "connection" not in x.names


@pytest.mark.parametrize("te, passed", [("trailers", True), ("gzip, trailers", True),
                                        ("trailers;q=0.5", False), ("gzip", False)])
def test_te(pair, te, passed):
    c = pair(hello)
    if c.version == "h2" and te != "trailers":
        pytest.skip("HTTP/2 has no other TE")
    c.ask("GET", "/", f"TE: {te}")
    x = pair.one()
    if x.version == "h2":
        assert x.get("te") == ("trailers" if passed else None)
    elif x.all("TE"):
        assert x.get("TE") == "trailers" and x.get("Connection") == "TE"


def test_cookies(pair):
    """Crumbs become one field; many fields that set cookies stay many."""
    def answer(x):
        x.read()
        x.begin(200, "Set-Cookie: a=1", "Set-Cookie: b=2", length=0)
    c = pair(answer)
    crumbs = ["Cookie: a=1", "Cookie: b=2", "Cookie: c=3"] if c.version == "h2" else \
             ["Cookie: a=1; b=2; c=3"]
    res = c.ask("GET", "/", *crumbs)
    assert "; ".join(pair.one().all("cookie")) == "a=1; b=2; c=3"
    if pair.versions[1] == "h1":
        assert len(pair.one().all("cookie")) == 1
    assert res.all("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("host", ["origin.test", "origin.test:8080", "[::1]:80", "127.0.0.1"])
def test_host(pair, host):
    c = pair(hello)
    sent = c.request("GET", "/", host=host)
    assert sent.answer().status == 200
    assert pair.one().host == host


@pytest.mark.parametrize("method, target", [("OPTIONS", "*"), ("DELETE", "/x?y"), ("PATCH", "/"),
                                            ("FOO", "/a//b/%2e?%20"), ("PUT", "/?")])
def test_methods_and_targets(pair, method, target):
    c = pair(hello)
    assert c.ask(method, target).status == 200
    assert (pair.one().method, pair.one().target) == (method, target)


@pytest.mark.parametrize("value", ["", "a", "\xe4\xf6", "x" * 8000, "a\tb  c"])
def test_values(pair, value):
    def answer(x):
        x.read()
        x.begin(200, ("X-Value", value), length=0)
    res = pair(answer).ask("GET", "/", ("X-Value", value) if pair.versions[0] == "h2" else
                           f"X-Value: {value}".rstrip() if value else "X-Value:")
    assert pair.one().get("x-value") == value and res.get("x-value") == value


def test_large_heads(pair):
    """More than a frame of HTTP/2, and than a buffer of ours."""
    def answer(x):
        x.read()
        x.begin(200, *[f"X-Down-{i}: {'d' * 1000}" for i in range(40)], length=0)
    fields = [f"X-Up-{i}: {'u' * 1000}" for i in range(25)]
    c = pair(answer)
    for _ in range(2):
        res = c.ask("GET", "/", *fields)
        assert res.status == 200
        assert all(res.get(f"x-down-{i}") == "d" * 1000 for i in range(40))
    assert all(pair.seen[1].get(f"x-up-{i}") == "u" * 1000 for i in range(25))


def test_too_large_a_response_head(pair):
    def answer(x):
        x.read()
        x.begin(200, *[f"X-Down-{i}: {'d' * 1000}" for i in range(80)], length=0)
    res = pair(answer).ask("GET")
    assert res.status == 502
    why(pair.proxy, "response_head_size")


# 1xx, Expect.

def test_interim(pair):
    """All of them, at once, in order; the final head after them."""
    def answer(x):
        x.read()
        x.interim(103, "Link: </a>; rel=preload")
        x.interim(103, "Link: </b>; rel=preload")
        x.interim(102)
        x.begin(200, "X-Final: 1", length=2)
        x.piece(b"ok")
    res = pair(answer).ask("GET")
    assert [s for s, _ in res.interim] == [103, 103, 102]
    assert [dict((n.lower(), v) for n, v in f).get("link") for _, f in res.interim] == \
        ["</a>; rel=preload", "</b>; rel=preload", None]
    assert (res.status, res.body, res.get("X-Final")) == (200, b"ok", "1")


def test_expect(pair):
    """100 of the origin reaches who waits for it, and the body goes up then."""
    def answer(x):
        assert x.get("expect") == "100-continue"
        x.interim(100)
        body = x.read()
        x.begin(length=len(body))
        x.piece(body)
    c = pair(answer)
    sent = c.request("POST", "/", "Expect: 100-continue", length=5)
    wait_continue(c, sent)
    sent.piece(b"hello")
    if c.version == "h2":
        sent.finish()
    res = sent.answer()
    assert (res.status, res.body, res.whole) == (200, b"hello", True)


def wait_continue(c, sent):
    if c.version == "h2":
        c.conn.until(lambda: sent.stream.interim)
    else:
        assert c.client.reader.line().startswith(b"HTTP/1.1 100 ")
        c.client.reader.fields()


def test_expect_refused(pair):
    def answer(x):
        x.begin(417, length=0)
        if x.version == "h2":
            x.gone()
    c = pair(answer)
    sent = c.request("POST", "/", "Expect: 100-continue", length=5)
    res = sent.answer()
    assert (res.status, res.interim) == (417, [])


# Early answers, and resets.

def test_early_answer(pair):
    """An answer before the request was read: it arrives, though the rest never goes up."""
    def answer(x):
        x.begin(413, length=3)
        x.piece(b"no!")
        x.gone()
    c = pair(answer)
    sent = c.request("POST", "/", length=None)
    sent.piece(b"x" * 1000)
    res = sent.answer()
    assert (res.status, res.body, res.whole) == (413, b"no!", True)
    assert pair.down().ask("HEAD") is not None


@pytest.mark.parametrize("known", [True, False], ids=["length", "unknown"])
@pytest.mark.parametrize("sent", [0, 10, 100_000])
def test_response_cut_off(pair, sent, known):
    """An answer that ends before its end never looks complete."""
    def answer(x):
        x.read()
        x.begin(200, length=sent + 5 if known else None)
        if sent:
            x.piece(b"x" * sent)
        x.cut()
    c = pair(answer)
    res = c.ask("GET")
    assert res is None or not res.whole or res.status == 502
    if c.version == "h2":
        c.conn.pong()           # the connection goes on
    poll(lambda: "why" in pair.proxy.log()[0], "the cause in the log")
    assert pair.proxy.log()[0]["why"] in ("response_cut_off", "upstream_reset")


def test_reset_before_a_response(pair):
    def answer(x):
        x.read()
        x.cut()
    res = pair(answer).ask("POST", "/", body=b"x")
    assert res.status == 502
    assert len(pair.seen) == 1


def test_client_leaves_while_it_waits(pair):
    """The origin hears of it."""
    heard = threading.Event()

    def answer(x):
        x.read()
        try:
            x.gone()
        finally:
            heard.set()
    sent = pair(answer).request("GET", "/")
    pair.origin.wait_requests(1)
    sent.leave()
    assert heard.wait(10)
    why(pair.proxy, "client_gone")


def test_client_leaves_amid_its_body(pair):
    """A body that was cut off never looks complete upstream."""
    ended = []

    def answer(x):
        try:
            x.read()
            ended.append("complete")
        except Exception:
            ended.append("cut")
            raise
    sent = pair(answer).request("POST", "/", length=None)
    sent.piece(b"x" * 100)
    pair.origin.wait_requests(1)
    sent.leave()
    poll(lambda: ended, "the end of the request at the origin")
    assert ended == ["cut"]


def test_client_leaves_amid_the_response(pair):
    """What nobody reads any more is not read from the origin either."""
    heard = threading.Event()

    def answer(x):
        x.read()
        x.begin(200)
        try:
            while True:
                x.piece(b"x" * 10_000)
        finally:
            heard.set()
    sent = pair(answer).request("GET", "/")
    sent.head()
    sent.leave()
    assert heard.wait(10)


def test_upload_stalls(pair):
    """408 from us, and the origin sees that the request was given up."""
    heard = threading.Event()

    def answer(x):
        try:
            x.gone()
        finally:
            heard.set()
    sent = pair(answer, "--timeout-body", "200ms").request("POST", "/", length=100)
    sent.piece(b"x")
    assert sent.answer().status == 408
    assert heard.wait(10)


def test_origin_stalls(pair):
    """504 before a head, cut off behind one."""
    def answer(x):
        x.read()
        if x.target == "/body":
            x.begin(200, length=10)
            x.piece(b"x")
        x.gone()
    c = pair(answer, "--timeout-upstream", "500ms")
    assert c.ask("GET", "/head").status == 504
    res = pair.down().ask("GET", "/body")
    assert res.status == 200 and not res.whole


def test_length_that_is_not_true(pair):
    """More or less than was said: a fault of the origin, seen by the client."""
    def answer(x):
        x.read()
        x.begin(200, length=10)
        x.piece(b"x" * (5 if x.target == "/less" else 15))
        if x.version == "h2":
            x.st.data(b"", True)
        else:
            x.conn.finish()
    c = pair(answer)
    res = c.ask("GET", "/less")
    assert res is None or not res.whole or res.status == 502
    if pair.versions[1] == "h2":
        res = pair.down().ask("GET", "/more")
        assert res is None or not res.whole or res.status == 502


# Many at once.

def test_many_streams(pair):
    """Each answer belongs to its request."""
    def answer(x):
        body = x.read()
        x.begin(200, f"X-Target: {x.target}", length=len(body) * 2)
        x.piece(body)
        x.piece(body)
    c = pair(answer)
    todo = [(f"/{i}", bytes([i]) * (i * 997 % 40_000 + 1)) for i in range(60)]
    if c.version == "h2":
        streams = [c.request("POST", t, length=len(b)) for t, b in todo]
        for sent, (_, body) in zip(streams, todo):
            sent.piece(body)
            sent.finish()
        got = [s.answer() for s in streams]
    else:
        clients = [pair.down() for _ in todo]
        streams = [k.request("POST", t, length=len(b)) for k, (t, b) in zip(clients, todo)]
        for sent, (_, body) in zip(streams, todo):
            sent.piece(body)
        got = [s.answer() for s in streams]
    for res, (target, body) in zip(got, todo):
        assert res.whole and res.get("x-target") == target and res.body == body * 2
    if pair.versions[1] == "h2":
        assert len(pair.origin.conns) == 1


def test_one_that_is_not_read_stops_no_other(pair):
    """A client that does not read one of its streams gets the others."""
    def answer(x):
        x.read()
        size = 3_000_000 if x.target == "/big" else 10
        x.begin(200, length=size)
        x.piece(b"x" * size)
    c = pair(answer)
    if c.version == "h1":
        slow = pair.down()
        slow.request("GET", "/big")
        assert all(pair.down().ask("GET", "/small").whole for _ in range(10))
        return
    c.conn.auto_credit = False
    big = c.request("GET", "/big")
    c.conn.until(lambda: len(big.stream.body) > 10_000)
    room = c.conn.window
    c.conn.give(0, 1 << 20)
    for _ in range(10):
        assert c.ask("GET", "/small").whole
    assert room >= 0
    c.conn.auto_credit = True
    c.conn.give(big.stream, 1 << 21)
    c.conn.give(0, 1 << 21)
    assert len(big.answer().body) == 3_000_000

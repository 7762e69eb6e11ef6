"""Body editors and trailer filters: programs/editors.c, whose requests name what their bodies pass
through. Lengths, framing and the fields that tell of a body stay right by themselves."""

import pathlib

import pytest

from weirtest import OK, binary, chunks, request, serve, why
from weirtest.h2 import h2

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/editors"
LONG = bytes(range(97, 123)) * 20000        # 520,000 bytes


@pytest.fixture
def editors(weir):
    """editors(upstream, options...)"""
    def start(up, *args):
        return weir("--listen", "127.0.0.1:0", "--workers", 1, "--access-log", "access.log", *args,
                    up, program=PROGRAM)
    return start


def answer(body=b"hello", *fields, status="200 OK", chunked=False, trailers=""):
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, length, "", ""]).encode()
    return head + (chunks(body, trailers=trailers) if chunked else body)


def in_two(origin, first=b"hello", rest=b" world"):
    """An origin whose response comes in two pieces; the second waits for `go`."""
    def script(conn):
        conn.request()
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(first + rest)}\r\n\r\n".encode() + first)
        conn.wait(go)
        conn.send(rest)
        conn.request()
    o = origin(script)
    go = o.event()
    return o, go


# What comes out, and how it is framed.

RESULTS = [("copy", b"hello"), ("sign", b"hello[signed]"), ("upper", b"HELLO"), ("count", b"5"),
           ("nothing", b""), ("first", b"hello"), ("nap,sign", b"hello[signed]"),
           ("upper,sign", b"HELLO[signed]"), ("sign,upper", b"HELLO[SIGNED]"),
           ("sign,upper,sign,count", b"21"), ("count,sign,twice", b"5[signed]" * 2)]


@pytest.mark.parametrize("edit, body", RESULTS)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_response(editors, origin, edit, body, version):
    o = origin(serve(answer(b"hello", 'ETag: "a"', "Accept-Ranges: bytes", "Content-MD5: x",
                            "Digest: y", "Content-Digest: z", "Repr-Digest: z", "X-Other: stays")))
    res = editors(o).ask(request("GET", "/", f"Edit: {edit}", version=version))
    assert res.body == body and res.get("ETag") == 'W/"a"' and res.get("X-Other") == "stays"
    if "twice" not in edit:
        assert res.framing == "length" and res.get("Content-Length") == str(len(body))
    for name in ("Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest"):
        assert not res.all(name), name


@pytest.mark.parametrize("edit, body", RESULTS)
@pytest.mark.parametrize("where", ["Edit-Request", "Edit-Early"])
def test_request(editors, origin, edit, body, where):
    o = origin()
    res = editors(o).ask(request("POST", "/", f"{where}: {edit}", "Content-MD5: x", "Repr-Digest: y",
                                 body=b"hello"))
    req = o.one()
    assert (res.status, req.body) == (200, body)
    assert not req.all("Content-MD5") and not req.all("Repr-Digest")


def test_both_ways_over_h2(editors, origin):
    o = origin(serve(answer(LONG)))
    c = h2(editors(o))
    st = c.request("POST", "/", ("edit", "upper,sign"), ("edit-request", "sign"), body=LONG)
    c.receive(st)
    assert st.body == LONG.upper() + b"[signed]" and st.get("content-length") is None
    assert o.one().body == LONG + b"[signed]"
    c.close()


@pytest.mark.parametrize("edit, body", [("copy", LONG), ("upper,sign", LONG.upper() + b"[signed]"),
                                        ("twice,count", str(2 * len(LONG)).encode())],
                         ids=["copy", "upper,sign", "twice,count"])
def test_long(editors, origin, edit, body):
    o = origin(serve(answer(LONG)))
    p = editors(o)
    c = p.client()
    for _ in range(2):
        assert c.ask(request("POST", "/", f"Edit: {edit}", f"Edit-Request: {edit}", body=LONG)
                     ).body == body
    assert [r.body for r in o.requests] == [body, body] and len(o.conns) == 1


def test_response_in_pieces(editors, origin):
    """What is there goes out before more is waited for, through a chain too."""
    for edit in ("copy", "upper,copy"):
        o, go = in_two(origin)
        c = editors(o).client()
        c.send(request("GET", "/", f"Edit: {edit}"))
        res = c.receive(body=False)
        assert res.framing == "chunked"
        assert c.reader.line() == b"5" and c.reader.exactly(7).lower() == b"hello\r\n"
        go.set()
        assert c.reader.chunked()[0].lower() == b" world"


def test_request_in_pieces(editors, origin):
    """The head goes up with the first of what is written, not before."""
    o = origin(lambda conn: (conn.head(), seen.set(), conn.body(conn.requests[0]), conn.send(OK)))
    seen = o.event()
    c = editors(o).client()
    c.send(request("POST", "/", "Edit-Request: upper", "Content-Length: 11") + b"hello")
    assert seen.wait(10)
    c.send(b" world")
    assert c.receive().status == 200
    assert (o.one().body, o.one().framing) == (b"HELLO WORLD", "chunked")


def test_request_read_as_a_whole_has_a_length(editors, origin):
    o = origin()
    c = editors(o).client()
    c.send(request("POST", "/", "Edit-Request: count", "Transfer-Encoding: chunked"))
    c.send(b"3\r\nabc\r\n")
    c.send(b"2\r\nde\r\n0\r\n\r\n")
    assert c.receive().status == 200
    assert (o.one().body, o.one().framing) == (b"5", "length")


def test_expect(editors, origin):
    """An editor that reads before it writes hears from us that it may; the upstream's 100 is not
    passed on a second time."""
    def script(conn):
        conn.head()
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.body(conn.requests[0])
        conn.send(OK)
    o = origin(script)
    c = editors(o).client()
    c.send(request("POST", "/", "Edit-Request: count", "Expect: 100-continue", "Content-Length: 5"))
    assert c.reader.line().endswith(b" 100 Continue") and c.reader.line() == b""
    c.send(b"hello")
    res = c.receive()
    assert (res.status, res.interim, o.one().body) == (200, [], b"5")


# Where there is no body.

@pytest.mark.parametrize("method, status", [("HEAD", "200 OK"), ("GET", "204 No Content"),
                                            ("GET", "304 Not Modified")])
def test_no_body(editors, origin, method, status):
    length = [] if status[:3] == "204" else ["Content-Length: 5"]
    head = "\r\n".join([f"HTTP/1.1 {status}", 'ETag: "a"', *length, "", ""]).encode()
    res = editors(origin(serve(head))).ask(request(method, "/", "Edit: sign"))
    assert res.status == int(status[:3]) and res.body == b""
    assert res.get("Content-Length") is None and res.get("ETag") == 'W/"a"'


def revalidates(req):
    """An origin's answer: a weak tag matches here (RFC 9110 13.1.2)."""
    fields = ['ETag: "a"', "Accept-Ranges: bytes", "Content-MD5: x"]
    if any('"a"' in value for value in req.all("If-None-Match")):
        return answer(b"", *fields, status="304 Not Modified").replace(b"Length: 0", b"Length: 5")
    return answer(b"hello", *fields)


@pytest.mark.parametrize("has, tag", [
    ('W/"a"', 'W/"a"'), ('"b", W/"c", W/"a"', 'W/"a"'), ('"a", W/"a"', 'W/"a"'),
    ('"a"', '"a"'), ('W/"b", "a"', '"a"'), ('W/"aa", "a"', '"a"')])
def test_304_has_the_tag_that_the_page_had(editors, weir, origin, has, tag):
    """Although the phase sets no editor for it. A proxy without phases changes nothing."""
    o = origin(serve(revalidates))
    for p, want in ((editors(o), tag), (weir(o), '"a"')):
        res = p.ask(request("GET", "/", f"If-None-Match: {has}"))
        assert (res.status, res.get("ETag")) == (304, want)
        for name, value in (("Content-Length", "5"), ("Accept-Ranges", "bytes"), ("Content-MD5", "x")):
            assert res.get(name) == (None if want != '"a"' else value), name
    assert [r.get("If-None-Match") for r in o.requests] == [has] * 2


def test_tag_of_an_edited_page_matches_again(editors, origin):
    p = editors(origin(serve(revalidates)))
    page = p.ask(request("GET", "/", "Edit: sign"))
    for edit in ([], ["Edit: sign"]):
        again = p.ask(request("GET", "/", *edit, f"If-None-Match: {page.get('ETag')}"))
        assert (again.status, again.get("ETag")) == (304, page.get("ETag"))


@pytest.mark.parametrize("field", ["If-Match", "If-Range"])
def test_weak_tags_that_match_nothing_go_up_as_they_came(editors, origin, field):
    """A strong one in their place would let an edited page be overwritten, or continued."""
    o = origin()
    editors(o).ask(request("GET", "/", "Range: bytes=1-3", f'{field}: W/"a"'))
    assert o.one().get(field) == 'W/"a"' and o.one().get("Range") == "bytes=1-3"


def test_empty_body(editors, origin):
    res = editors(origin(serve(answer(b"")))).ask(request("GET", "/", "Edit: sign"))
    assert res.body == b"[signed]" and res.framing == "length"


def test_request_without_a_body(editors, origin):
    o = origin()
    assert editors(o).ask(request("GET", "/", "Edit-Request: sign")).status == 200
    assert o.one().body == b"" and o.one().framing == "none"


# Parts.

def test_range_is_asked_again_as_a_whole(editors, origin):
    def res(req):
        if req.get("Range"):
            return answer(b"ell", "Content-Range: bytes 1-3/5", status="206 Partial Content")
        return answer(b"hello")
    o = origin(serve(res))
    got = editors(o).ask(request("GET", "/", "Edit: sign", "Range: bytes=1-3", 'If-Range: "a"'))
    assert (got.status, got.body, got.get("Content-Range")) == (200, b"hello[signed]", None)
    assert [r.get("Range") for r in o.requests] == ["bytes=1-3", None]
    assert o.requests[1].get("If-Range") is None


def test_range_that_is_not_edited_passes(editors, origin):
    o = origin(serve(answer(b"ell", "Content-Range: bytes 1-3/5", status="206 Partial Content")))
    got = editors(o).ask(request("GET", "/", "Range: bytes=1-3"))
    assert (got.status, got.body, got.get("Content-Range")) == (206, b"ell", "bytes 1-3/5")


def test_part_that_nobody_asked_for(editors, origin):
    o = origin(serve(answer(b"ell", "Content-Range: bytes 1-3/5", status="206 Partial Content")))
    p = editors(o)
    assert p.ask(request("GET", "/", "Edit: sign", "Range: bytes=1-3")).status == 502
    assert len(o.requests) == 2
    why(p, "bad_response_head")


# Ends before the end.

def test_early_end(editors, origin):
    """The output is complete; the rest of the input is not waited for."""
    o, go = in_two(origin)
    p = editors(o)
    c = p.client()
    res = c.ask(request("GET", "/", "Edit: first"))
    assert (res.body, res.framing) == (b"hello", "length")
    assert c.ask(request("GET", "/", "Edit: nothing")).body == b""
    go.set()


def test_early_end_in_a_chain(editors, origin):
    """What writes to who reads no more is told so."""
    o = origin(serve(answer(LONG)))
    p = editors(o)
    assert p.ask(request("GET", "/", "Edit: endless,nothing")).body == b""
    p.wait_text("endless ended: canceled")
    assert LONG.startswith(p.ask(request("GET", "/", "Edit: copy,first")).body)


def test_early_end_of_a_request(editors, origin):
    o = origin()
    c = editors(o).client()
    c.send(request("POST", "/", "Edit-Request: first", "Transfer-Encoding: chunked"))
    c.send(b"5\r\nhello\r\n")
    assert c.receive().status == 200
    assert o.one().body == b"hello"


def test_generator_ends_with_its_client(editors, origin):
    p = editors(origin())
    c = p.client()
    c.send(request("GET", "/", "Edit: endless"))
    c.receive(body=False)
    c.reset()
    p.wait_text("endless ended: (client_gone|canceled)")


def test_generator_ends_with_its_upstream(editors, origin):
    o = origin(lambda conn: (conn.head(), conn.send(answer(b"no", "Connection: close",
                                                           status="413 No")), conn.reset()))
    p = editors(o)
    c = p.client()
    c.send(request("POST", "/", "Edit-Request: endless", "Content-Length: 5") + b"hello")
    assert c.receive().status in (413, 502)
    p.wait_text("endless ended: (upstream_reset|canceled)")


# Errors.

@pytest.mark.parametrize("edit, status, word", [
    ("fail", 418, "filter"), ("nonsense", 500, "filter"), ("fail,sign", 418, "filter"),
    ("sign,fail", 418, "filter"), ("answer", 222, None), ("answer,copy", 222, None)])
@pytest.mark.parametrize("field", ["Edit", "Edit-Request"])
def test_fails_before_the_head(editors, origin, edit, status, word, field):
    p = editors(origin())
    res = p.ask(request("POST", "/", f"{field}: {edit}", body=b"hello"))
    assert res.status == status and b"seen" not in res.body
    if word:
        why(p, word)
    assert p.ask(request()).body == b"ok"


@pytest.mark.parametrize("edit", ["failend", "copy,failend"])
def test_fails_after_the_head(editors, origin, edit):
    p = editors(origin())
    c = p.client()
    c.send(request("GET", "/", f"Edit: {edit}"))
    assert c.truncated().body == b"ok"
    why(p, "filter")


def test_request_fails_after_the_head(editors, origin):
    o = origin(lambda conn: conn.request())
    p = editors(o)
    assert p.ask(request("POST", "/", "Edit-Request: failend", body=b"hello")).status == 418
    o.wait(lambda: o.conns and o.conns[0].incomplete, "the end of the body")


@pytest.mark.parametrize("edit", ["sign", "careless", "careless,sign", "upper,careless"])
def test_truncated_input_never_looks_complete(editors, origin, edit):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello")
        conn.wait(go)
    o = origin(script)
    go = o.event()
    p = editors(o)
    c = p.client()
    c.send(request("GET", "/", f"Edit: {edit}"))
    assert c.receive(body=False).framing == "chunked"
    go.set()
    rest, _ = c.reader.rest()
    assert rest.lower() == b"5\r\nhello\r\n"
    why(p, "response_cut_off")


@pytest.mark.parametrize("edit", ["count", "careless", "careless,count"])
def test_truncated_input_before_the_head(editors, origin, edit):
    o = origin(lambda conn: (conn.request(), conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n")))
    p = editors(o)
    assert p.ask(request("GET", "/", f"Edit: {edit}")).status == 502
    why(p, "response_cut_off")


def test_request_cut_off(editors, origin):
    """The upstream gets nothing, or nothing that looks complete."""
    o = origin(lambda conn: conn.request())
    p = editors(o)
    c = p.client()
    c.send(request("POST", "/", "Edit-Request: careless", "Content-Length: 9") + b"hello")
    o.wait_requests(1)
    c.reset()
    o.wait(lambda: o.conns and o.conns[0].incomplete, "the end of the body")
    why(p, "client_gone")


@pytest.mark.parametrize("field", ["Edit", "Edit-Request"])
@pytest.mark.parametrize("edit", ["wait", "wait,copy", "copy,wait"])
def test_client_leaves_an_editor_that_waits(editors, origin, field, edit):
    p = editors(origin())
    c = p.client()
    c.send(request("POST", "/", f"{field}: {edit}", body=b"hello"))
    p.wait_text("waiting in an editor")
    c.reset()
    assert p.log()[0]["why"] == "client_gone"


@pytest.mark.parametrize("edit", ["wait", "wait,copy", "copy,wait"])
def test_request_timeout_in_an_editor(editors, origin, edit):
    p = editors(origin(), "--timeout-request", "200ms")
    assert p.ask(request("GET", "/", f"Edit: {edit}")).status == 504


def test_too_many(editors, origin):
    p = editors(origin())
    assert p.ask(request("GET", "/", "Edit: copy,copy,copy,copy,copy")).status == 500
    why(p, "invalid")


@pytest.mark.parametrize("field", ["Edit-Request", "Edit-Early"])
def test_another_try_edits_once(editors, origin, field):
    """What a try has set is forgotten with it, what the request has set stays."""
    o = origin(lambda conn: (conn.head(), conn.reset()), serve(OK))
    p = editors(o)
    c = p.client()
    assert c.ask(request("POST", "/", "Again: 1", f"{field}: count", "Edit: sign",
                         "Content-Length: 0")).body == b"ok[signed]"
    assert o.requests[-1].body == b"0"


# Trailers.

TRAILERS = "X-T: 1\r\nSecret: 2\r\n"


@pytest.mark.parametrize("edit", ["", "copy", "upper,copy"])
def test_trailers(editors, origin, edit):
    o = origin(serve(answer(b"hello", chunked=True, trailers=TRAILERS)))
    res = editors(o).ask(request("POST", "/", f"Edit: {edit}", f"Edit-Request: {edit}",
                                 "Transfer-Encoding: chunked", "TE: trailers",
                                 body=chunks(b"hello", trailers=TRAILERS)))
    want = b"HELLO" if "upper" in edit else b"hello"
    assert (res.body, o.one().body) == (want, want)
    assert res.trailers == [("X-T", "1"), ("Seen-By", "response_trailer_filter")]
    assert o.one().trailers == [("X-T", "1"), ("Seen-By", "request_trailer_filter")]


def test_trailer_filter_fails(editors, origin):
    o = origin(serve(answer(b"hello", chunked=True, trailers="Fail-Trailer: 1\r\n")))
    p = editors(o)
    assert p.ask(request()).status == 502
    why(p, "bad_response_body")


@pytest.mark.parametrize("end", ["limit", "reset"])
def test_a_piece_lives_while_it_is_used(editors, origin, end):
    """The request ends while the second editor is at a piece of the first, whose memory that is:
    the first one ends after the second has come back."""
    p = editors(origin(serve(answer(LONG))))
    c = p.client()
    c.send(request("GET", "/", "Edit: upper,doze", *(["Hurry: 1"] if end == "limit" else [])))
    p.wait_text("dozing")
    if end == "reset":
        c.reset()
    else:
        rest = b""
        try:
            while more := c.sock.recv(65536):
                rest += more
        except ConnectionResetError:
            pass
        assert set(rest.partition(b"\r\n\r\n")[2]) <= set(LONG.upper() + b"0123456789abcdef\r\n")
    assert p.ask(request("GET", "/", "Edit: upper")).body == LONG.upper()
    assert "sanitizer" not in p.text.lower()

"""What `weir proxy` tells upstream of its client, and the options that change it."""

import pytest

from weirtest import OK, request, serve

SENT = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test", "Forwarded: for=6.6.6.6"]


def seen(weir, origin, options, fields=(), source=None, **more):
    """What the origin gets of X-Forwarded-For, -Proto, -Host and Forwarded."""
    o = origin()
    p = weir(*options, o)
    c = p.client(source=source)
    assert c.ask(request("GET", "/", *fields, host="a.test", **more)).body == b"ok"
    req = o.one()
    return tuple(req.get(n) for n in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"))


OURS = ("127.0.0.1", "http", "a.test", None)


@pytest.mark.quick
@pytest.mark.parametrize("options, fields, want", [
    ([], [], OURS),
    ([], SENT, OURS),
    (["--forwarded", "replace"], SENT, OURS),
    (["--forwarded", "off"], [], (None, None, None, None)),
    (["--forwarded", "off"], SENT, ("6.6.6.6", "https", "evil.test", "for=6.6.6.6")),
    (["--forwarded", "append"], SENT, OURS),
    (["--forwarded", "append", "--trusted", "10.0.0.0/8"], SENT, OURS),
    (["--forwarded", "append", "--trusted", "127.0.0.0/8"], [], OURS),
    (["--forwarded", "append", "--trusted", "10.0.0.0/8", "--trusted", "127.0.0.1"], SENT,
     ("6.6.6.6, 127.0.0.1", "https", "evil.test", "for=6.6.6.6")),
])
def test_options(weir, origin, options, fields, want):
    assert seen(weir, origin, options, fields) == want


@pytest.mark.parametrize("source, trusted, want", [
    ("127.0.0.9", "127.0.0.9", "6.6.6.6, 127.0.0.9"), ("127.0.0.9", "127.0.0.8/31", "6.6.6.6, 127.0.0.9"),
    ("127.0.0.9", "127.0.0.10/31", "127.0.0.9"), ("127.0.0.9", "127.0.0.8", "127.0.0.9"), ("127.0.0.9", "::1", "127.0.0.9"),
    ("127.0.0.9", "0.0.0.0/0", "6.6.6.6, 127.0.0.9"),
])
def test_trusted_networks(weir, origin, source, trusted, want):
    got = seen(weir, origin, ["--forwarded", "append", "--trusted", trusted], SENT[:1], source)
    assert got[0] == want


def test_repeated_fields_are_appended_to(weir, origin):
    """All of what a trusted client sent stays, in order, before our part."""
    o = origin()
    p = weir("--forwarded", "append", "--trusted", "127.0.0.1", o)
    p.client().ask(request("GET", "/", "X-Forwarded-For: 1.1.1.1, 2.2.2.2", "X-Forwarded-For: 3.3.3.3"))
    values = ", ".join(o.one().all("X-Forwarded-For"))
    assert values == "1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1"


@pytest.mark.quick
def test_absolute_form_names_the_host(weir, origin):
    """X-Forwarded-Host is the authority that counts, not the Host that lost."""
    o = origin()
    weir(o).client().ask(request("GET", "http://b.test:81/x", host="a.test"))
    req = o.one()
    assert (req.get("Host"), req.get("X-Forwarded-Host")) == ("b.test:81", "b.test:81")


@pytest.mark.quick
def test_via(weir, origin):
    o = origin(serve(b"HTTP/1.0 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 2\r\n\r\nok"))
    res = weir("--via", o).client().ask(request("GET", "/", "Via: 1.0 outer"))
    assert ", ".join(o.one().all("Via")) == "1.0 outer, 1.1 weir"
    assert ", ".join(res.all("Via")) == "1.1 inner, 1.0 weir"


@pytest.mark.quick
@pytest.mark.parametrize("name, want", [("edge-7", "edge-7"), ("", None)])
def test_server_name(weir, origin, name, want):
    o = origin(serve(OK))
    p = weir("--server-name", name, o)
    assert p.client().ask(request(host=None)).get("Server") == want
    assert not p.client().ask(request()).all("Server")


MINE = 'for=127.0.0.1;host=a.test;proto=http'


@pytest.mark.parametrize("options, fields, want", [
    ([], [], (None, None, None, MINE)),
    ([], SENT, (None, None, None, MINE)),
    (["--forwarded", "append", "--trusted", "10.0.0.0/8"], SENT, (None, None, None, MINE)),
    (["--forwarded", "append", "--trusted", "127.0.0.1"], SENT[3:],
     (None, None, None, f"for=6.6.6.6, {MINE}")),
    (["--forwarded", "append", "--trusted", "127.0.0.1"], SENT,
     ("6.6.6.6", "https", "evil.test", f"for=6.6.6.6, {MINE}")),
    (["--forwarded", "off"], SENT, ("6.6.6.6", "https", "evil.test", "for=6.6.6.6")),
])
def test_rfc7239(weir, origin, options, fields, want):
    assert seen(weir, origin, ["--forwarded-as", "rfc7239", *options], fields) == want


@pytest.mark.parametrize("options, fields, want", [
    ([], SENT, (*OURS[:3], MINE)),
    (["--forwarded", "append", "--trusted", "127.0.0.1"], SENT,
     ("6.6.6.6, 127.0.0.1", "https", "evil.test", f"for=6.6.6.6, {MINE}")),
])
def test_both_spellings(weir, origin, options, fields, want):
    assert seen(weir, origin, ["--forwarded-as", "both", *options], fields) == want


def test_rfc7239_repeated_fields(weir, origin):
    got = seen(weir, origin, ["--forwarded-as", "rfc7239", "--forwarded", "append", "--trusted",
                              "127.0.0.1"], ["Forwarded: for=1.1.1.1, for=2.2.2.2",
                                             'Forwarded: for="[::1]"'])
    assert got[3] == f'for=1.1.1.1, for=2.2.2.2, for="[::1]", {MINE}'


@pytest.mark.parametrize("value, want", [
    ('for="a', MINE),               # it would swallow ours
    (r'for="a\"', MINE),
    (r'for="a\\"', r'for="a\\", ' + MINE),
    ('for="a";by="_b"', 'for="a";by="_b", ' + MINE),
    ("", MINE),
])
def test_rfc7239_behind_odd_values(weir, origin, value, want):
    """What a trusted client says goes on only if what stands behind it is read as ours."""
    got = seen(weir, origin, ["--forwarded-as", "rfc7239", "--forwarded", "append", "--trusted",
                              "127.0.0.1"], [f"Forwarded: {value}"])
    assert got[3] == want

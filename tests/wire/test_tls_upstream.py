"""TLS to origins: whom we trust, who we are, what a failure is called, and which connections
stay."""

import os
import re
import ssl
import threading

import pytest

from weirtest import OK, own_answer, poll, request, run, serve, why

quick = pytest.mark.quick
NAME = "origin.test"


def failed(proxy, status, word, detail=""):
    own_answer(proxy.ask(request()), status)
    why(proxy, word)
    proxy.wait_text(re.escape(detail))
    assert proxy.log()[0]["why"] == word


def in_turn(proxy, count):
    """Requests, each when the connection of the last one is back in the pool (its line is
    logged)."""
    for i in range(count):
        res = proxy.ask(request("POST", body=b"p") if i % 2 else request())
        assert res.body == b"ok"
        proxy.log(i + 1)


def ca(authority):
    return ["--ca", str(authority.ca)]


# whom we trust

@quick
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request(weir, origin, authority, version):
    context = authority.server("origin", NAME)
    context.minimum_version = context.maximum_version = version
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    o = origin(tls=context)
    p = weir(o, "--upstream-tls", NAME, *ca(authority))
    in_turn(p, 5)
    assert names == [NAME] and len(o.conns) == 1
    assert o.conns[0].sock.selected_alpn_protocol() is None
    assert [r["connect"] for r in p.log(5)] == ["new"] + ["reused"] * 4


@quick
@pytest.mark.parametrize("names, tls, good", [
    ([NAME], [NAME], True),
    (["*.origin.test"], ["www.origin.test"], True),
    (["*.test"], [NAME], False),            # nobody owns a top-level domain
    (["other.test"], [NAME], False),
    (["*.origin.test"], [NAME], False),
    (["o*.test"], [NAME], False),
    (["IP:127.0.0.1"], [NAME], False),
    (["IP:127.0.0.1"], [], True),
    (["IP:127.0.0.1"], ["127.0.0.1"], True),
    (["IP:127.0.0.2"], [], False),
    (["127.0.0.1"], [], False),
    ([NAME], [], False),
    ([NAME], ["127.0.0.1"], False),
])
def test_names(weir, origin, authority, names, tls, good):
    o = origin(tls=authority.server("origin", *names))
    p = weir(o, *(["--upstream-tls", *tls] if tls else []), *ca(authority))
    if good:
        assert p.ask(request()).body == b"ok"
    else:
        asked = tls[0] if tls else "127.0.0.1"
        failed(p, 502, "upstream_certificate", f"the certificate is not for {asked}")
        assert not o.requests


@quick
def test_the_subject_is_no_name(weir, origin, authority):
    """RFC 9525: a common name does not count, with or without other names."""
    crt, key = authority.certificate(NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    failed(weir(origin(tls=context), "--upstream-tls", NAME, *ca(authority)), 502,
           "upstream_certificate", "the certificate is not for")


@quick
def test_a_dot_at_the_end_is_no_part_of_the_name(weir, origin, authority):
    """RFC 6066 3: how a host is named that is looked up as it stands, and as no certificate has
    it."""
    context = authority.server("origin", NAME)
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    p = weir(origin(tls=context), "--upstream-tls", f"{NAME}.", *ca(authority))
    assert p.ask(request()).body == b"ok"
    assert names == [NAME]


@quick
def test_an_address_is_not_sent_as_a_name(weir, origin, authority):
    """RFC 6066 3."""
    context = authority.server("origin", "IP:127.0.0.1")
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    p = weir(origin(tls=context), "--upstream-tls", "127.0.0.1", *ca(authority))
    assert p.ask(request()).body == b"ok"
    assert names == [None]


@quick
def test_a_stranger_signed_it(weir, origin, authority, other):
    o = origin(tls=other.server("origin", NAME))
    failed(weir(o, "--upstream-tls", NAME, *ca(authority)), 502, "upstream_certificate",
           "unable to get local issuer certificate")
    failed(weir(o, "--upstream-tls", NAME), 502, "upstream_certificate", "certificate")


@quick
def test_the_system_trusts_it(weir, origin, authority):
    o = origin(tls=authority.server("origin", NAME))
    p = weir(o, "--upstream-tls", NAME, env={"SSL_CERT_FILE": str(authority.ca)})
    assert p.ask(request()).body == b"ok"


@quick
def test_an_expired_one(weir, origin, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.expired("origin", NAME))
    failed(weir(origin(tls=context), "--upstream-tls", NAME, *ca(authority)), 502,
           "upstream_certificate", "certificate has expired")


@quick
def test_a_self_signed_one(weir, origin, authority):
    """It is its own CA, if it is said to be one; else it is nobody's."""
    crt, key = authority.self_signed("alone", NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    o = origin(tls=context)
    assert weir(o, "--upstream-tls", NAME, "--ca", str(crt)).ask(request()).body == b"ok"
    failed(weir(o, "--upstream-tls", NAME, *ca(authority)), 502, "upstream_certificate",
           "self-signed certificate")


@quick
def test_insecure(weir, origin, other):
    o = origin(tls=other.server("origin", "elsewhere.test"))
    p = weir(o, "--insecure")
    assert p.ask(request()).body == b"ok"
    assert re.search("warning: --insecure: ", p.text)


@quick
def test_a_chain(weir, origin, authority):
    crt, key = authority.chained("origin", NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    p = weir(origin(tls=context), "--upstream-tls", NAME, *ca(authority))
    assert p.ask(request()).body == b"ok"


# who we are

@quick
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates(weir, origin, authority, other, version):
    context = authority.server("origin", NAME)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca)
    context.minimum_version = context.maximum_version = version
    o = origin(tls=context)
    crt, key = authority.certificate("we", "gateway.test")
    p = weir(o, "--upstream-tls", NAME, *ca(authority), "--upstream-cert", crt, "--upstream-key", key)
    assert p.ask(request()).body == b"ok"
    assert o.conns[0].sock.getpeercert()["subjectAltName"] == (("DNS", "gateway.test"),)
    strange = other.certificate("we", "gateway.test")
    for ours in ([], ["--upstream-cert", strange[0], "--upstream-key", strange[1]]):
        q = weir(o, "--upstream-tls", NAME, *ca(authority), *ours)
        own_answer(q.ask(request()), 502)
        # in TLS 1.3 the origin looks at it when we are done, and its alert may be lost by a reset
        why(q, "upstream_tls" if version == ssl.TLSVersion.TLSv1_2
            else "upstream_(tls|reset|closed)")


@quick
@pytest.mark.parametrize("args, words", [
    (["--ca", "none.pem"], "none.pem: No such file"),
    (["--upstream-cert", "none.pem"], "none.pem: No such file"),
])
def test_files_are_looked_at_before_the_start(tmp_path, args, words):
    for extra in ([], ["--test"]):
        done = run(tmp_path, "proxy", "--listen", "127.0.0.1:0", *args, *extra, "127.0.0.1:1")
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert "listening" not in done.stderr


@quick
def test_no_file_is_read_twice(weir, origin, authority):
    """What was there at the start is enough for every connection."""
    o = origin(lambda conn: (conn.request(), conn.send(OK)), tls=authority.server("origin", NAME))
    p = weir(o, "--upstream-tls", NAME, *ca(authority))
    authority.ca.unlink()
    for _ in range(3):
        assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 3


# what fails

@quick
def test_an_origin_that_speaks_no_tls(weir, origin):
    p = weir(origin(lambda conn: conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "--insecure")
    failed(p, 502, "upstream_tls", "wrong version number")


@quick
def test_an_origin_that_hangs_up(weir, origin):
    p = weir(origin(lambda conn: conn.reader.fill()), "--insecure")
    own_answer(p.ask(request()), 502)
    why(p, "upstream_tls")


@quick
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_an_origin_of_old(weir, origin, authority):
    context = authority.server("origin", NAME)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    own = weir(origin(tls=context), "--upstream-tls", NAME, *ca(authority))
    failed(own, 502, "upstream_tls", "protocol version")


@pytest.mark.alone
def test_an_origin_that_says_nothing(weir, origin):
    p = weir(origin(lambda conn: conn.wait_end()), "--insecure", "--timeout-connect", "200ms")
    failed(p, 504, "upstream_tls_timeout")


@quick
def test_another_backend_takes_over(weir, origin, authority, other):
    good = origin(tls=authority.server("origin", NAME))
    bad = origin(tls=other.server("origin", NAME))
    p = weir(bad, good, "--upstream-tls", NAME, *ca(authority))
    for _ in range(4):
        assert p.ask(request()).body == b"ok"
    assert not bad.requests


# connections that stay

@quick
@pytest.mark.parametrize("workers", ["1", "2"])
def test_tickets_do_not_evict(weir, origin, authority, workers):
    """TLS 1.3 sends them behind the handshake, to a connection that may be idle by then."""
    o = origin(tls=authority.server("origin", NAME))
    p = weir(o, "--workers", workers, "--upstream-tls", NAME, *ca(authority))
    in_turn(p, 30)
    assert len(o.conns) == 1


@quick
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_go_on(weir, origin, authority, version):
    context = authority.server("origin", NAME)
    context.minimum_version = context.maximum_version = version
    reused = []

    def script(conn):
        conn.request()
        reused.append(conn.sock.session_reused)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    p = weir(origin(script, tls=context), "--workers", "2", "--upstream-tls", NAME, *ca(authority))
    for _ in range(6):
        assert p.ask(request()).body == b"ok"
    assert reused == [False] + [True] * 5


@quick
@pytest.mark.parametrize("with_notify", [True, False])
def test_an_idle_connection_that_ends(weir, origin, authority, with_notify):
    def script(conn):
        conn.request()
        conn.send(OK)
        if with_notify:
            try:
                conn.sock.unwrap()
            except OSError:
                pass
    o = origin(script, serve(OK), tls=authority.server("origin", NAME))
    p = weir(o, "--upstream-tls", NAME, *ca(authority))
    assert p.ask(request()).body == b"ok"
    o.wait(lambda: o.conns[0].sock.fileno() < 0, "the end of the first connection")
    assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 2


@quick
def test_data_on_an_idle_connection_evicts(weir, origin, authority):
    """Bytes that came before our request are never its answer."""
    o = origin(tls=authority.server("origin", NAME))
    talk = o.event()

    def script(conn):
        conn.request()
        conn.send(OK)
        conn.wait(talk)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        conn.wait_end()
    o.scripts = (script, serve(OK))
    p = weir(o, "--upstream-tls", NAME, *ca(authority))
    assert p.ask(request()).body == b"ok"
    talk.set()
    o.wait(lambda: o.conns[0].ended is not None, "the end of a connection that talked")
    assert p.ask(request()).body == b"ok"
    assert len(o.conns) == 2


# ends and bodies

@quick
@pytest.mark.parametrize("with_notify", [True, False])
def test_a_body_that_the_end_delimits(weir, origin, authority, with_notify):
    def script(conn):
        conn.request()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if with_notify:
            try:
                conn.sock.unwrap()
            except OSError:
                pass
    p = weir(origin(script, tls=authority.server("origin", NAME)), "--upstream-tls", NAME,
             *ca(authority))
    c = p.client()
    c.send(request())
    if with_notify:
        assert c.receive().body == b"all of it"
    else:
        c.truncated()
        assert p.log()[0]["why"] == "response_cut_off"
        p.wait_text("closed without close_notify")


def test_bodies_of_many_records(weir, origin, authority):
    body = os.urandom(8_000_000)

    def script(conn):
        while (req := conn.request()) is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(req.body) + req.body)
    o = origin(script, tls=authority.server("origin", NAME))
    p = weir(o, "--upstream-tls", NAME, *ca(authority))
    c = p.client()
    for _ in range(2):
        sender = threading.Thread(target=c.send, args=(request("POST", "/", body=body),))
        sender.start()
        assert c.receive("POST").body == body
        sender.join()
    assert len(o.conns) == 1


def test_tls_on_both_sides(weir, origin, authority):
    crt, key = authority.certificate("front", "front.test")
    o = origin(tls=authority.server("origin", NAME))
    p = weir(o, "--workers", "2", "--cert", crt, "--key", key, "--upstream-tls", NAME,
             *ca(authority), listen=(), listen_tls=("127.0.0.1:0",))
    done = []

    def visit():
        c = p.client(tls=authority.client(), name="front.test")
        for _ in range(20):
            done.append(c.ask(request()).body)
    visitors = [threading.Thread(target=visit) for _ in range(10)]
    for v in visitors:
        v.start()
    for v in visitors:
        v.join()
    assert done == [b"ok"] * 200
    poll(lambda: len(o.conns) <= 10, "no more connections than clients")

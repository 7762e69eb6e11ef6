"""TLS with clients: what is accepted, what is refused and how, and that requests do not notice."""

import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

from weirtest import (APPLICATION_DATA, OK, Records, chunks, echo, once, poll, request,
                      run, serve, why)

quick = pytest.mark.quick
LISTEN = {"listen": (), "listen_tls": ("127.0.0.1:0",)}


@pytest.fixture
def https(weir, origin, authority):
    """https(origin, options...): a proxy that listens with TLS alone, as origin.test."""
    def start(o=None, *args, **options):
        crt, key = authority.certificate("server", "origin.test", "IP:127.0.0.1")
        return weir(o or origin(), "--cert", crt, "--key", key, *args, **{**LISTEN, **options})
    return start


def only(context, version):
    context.minimum_version = context.maximum_version = version
    return context


def log_of(proxy, count=1):
    return proxy.log(count)[count - 1]


# what is spoken

@quick
@pytest.mark.parametrize("version, name", [
    (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
    (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
])
def test_a_request(https, origin, authority, version, name):
    o = origin()
    p = https(o)
    assert re.search(r"^listening on 127\.0\.0\.1:\d+ \(https\)$", p.text, re.M)
    c = p.client(tls=only(authority.client(), version), name="origin.test")
    for _ in range(3):
        assert c.ask(request()).body == b"ok"
    assert o.requests[0].get("X-Forwarded-Proto") == "https"
    record = p.log(3)[0]
    assert record["tls"] == name and record["sni"] == "origin.test"
    assert record["cipher"] == c.sock.cipher()[0] and "resumed" not in record
    assert len(o.conns) == 1


@quick
def test_plain_and_tls_beside_each_other(weir, origin, authority):
    o = origin()
    crt, key = authority.certificate("server", "origin.test")
    p = weir(o, "--cert", crt, "--key", key, listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",))
    assert p.client(0).ask(request()).body == b"ok"
    p.log()                     # the first one
    assert p.client(1, tls=authority.client(), name="origin.test").ask(request()).body == b"ok"
    records = p.log(2)
    assert "tls" not in records[0] and records[1]["tls"] == "TLSv1.3"
    assert [r.get("X-Forwarded-Proto") for r in o.requests] == ["http", "https"]


def refused_handshake(proxy, context, name="origin.test"):
    with pytest.raises(ssl.SSLError) as error:
        proxy.client(tls=context, name=name)
    why(proxy, "tls_handshake")
    return str(error.value)


@quick
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(https, authority, version):
    p = https()
    context = authority.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    assert "PROTOCOL_VERSION" in refused_handshake(p, only(context, version)).upper()
    assert p.client(tls=authority.client(), name="origin.test").ask(request()).body == b"ok"


@quick
@pytest.mark.parametrize("ciphers", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256",
                                     "DHE-RSA-AES128-GCM-SHA256"])
def test_weak_ciphers_are_refused(https, authority, ciphers):
    context = only(authority.client(), ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers + ":@SECLEVEL=0")
    assert "HANDSHAKE_FAILURE" in refused_handshake(https(), context).upper()


@quick
@pytest.mark.parametrize("offered, chosen", [
    ((), None), (("http/1.1",), "http/1.1"), (("spdy/3", "http/1.1"), "http/1.1"),
])
def test_alpn(https, authority, offered, chosen):
    c = https().client(tls=authority.client(offered), name="origin.test")
    assert c.sock.selected_alpn_protocol() == chosen
    assert c.ask(request()).body == b"ok"


@quick
@pytest.mark.parametrize("offered", [("h3",), ("http/1.0", "spdy/3"), ("http/1.",)])
def test_nothing_in_common(https, authority, offered):
    """RFC 7301 3.2."""
    assert "NO APPLICATION PROTOCOL" in \
        refused_handshake(https(), authority.client(offered)).upper()


# bytes and records

@quick
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_ciphertext_byte_by_byte(https, authority, origin, version):
    p = https(origin(serve(echo)))
    c = Records(p.addresses[0], only(authority.client(), version), split=1)
    for i in range(3):
        assert c.ask(request("POST", f"/{i}", body=b"x" * (300 * i))).body == b"x" * (300 * i)
    c.close()


@quick
@pytest.mark.parametrize("split", ["bytes", 1, 2, 3])
def test_plaintext_in_small_records(https, authority, origin, split):
    p = https(origin(serve(echo)))
    c = p.client(tls=authority.client(), name="origin.test")
    for i in range(3):
        assert c.ask(request("POST", f"/{i}", body=b"y" * 100), split=split).body == b"y" * 100


@quick
@pytest.mark.parametrize("count", [2, 50])
def test_pipelining(https, authority, origin, count):
    """In one record, and in many that arrive at once: all is served before the connection idles."""
    p = https(origin(serve(echo)))
    c = Records(p.addresses[0], authority.client())
    c.send(b"".join(request("POST", f"/{i}", body=b"%d" % i) for i in range(count)))
    assert [c.receive().body for _ in range(count)] == [b"%d" % i for i in range(count)]
    for i in range(count):
        c.tls.write(request("POST", f"/{i}", body=b"%d" % i))
    c._flush()
    assert [c.receive().body for _ in range(count)] == [b"%d" % i for i in range(count)]
    c.close()


@quick
@pytest.mark.parametrize("size", [2, 3000, 12000])
def test_head_and_body_are_one_record(https, authority, origin, size):
    p = https(origin(serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size)))
    c = Records(p.addresses[0], authority.client())
    c.ask(request())            # with the tickets of the handshake
    before = len(c.seen)
    assert len(c.ask(request()).body) == size
    records = c.records(before)
    assert [kind for kind, _ in records] == [APPLICATION_DATA], records
    c.close()


def test_bodies_of_many_records(https, authority, origin):
    """Both ways at once, at speeds that fill all buffers."""
    p = https(origin(serve(echo)))
    body = os.urandom(8_000_000)
    c = Records(p.addresses[0], authority.client())
    c.send_and_take(request("POST", "/", body=body))
    assert c.receive("POST").body == body
    c.send_and_take(request("POST", "/", "Transfer-Encoding: chunked") +
                    chunks(*[body[i:i + 50_000] for i in range(0, 1_000_000, 50_000)]))
    assert c.receive("POST").body == body[:1_000_000]
    c.close()


def test_download_and_upload_cross(https, authority, origin):
    """The answer begins while the request's body is still sent: reading and writing take turns."""
    size = 3_000_000

    def script(conn):
        req = conn.head()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        reader = threading.Thread(target=conn.body, args=(req,))
        reader.start()
        conn.send(b"d" * (size - 1))
        reader.join()           # an answer that is complete would end the upload
        conn.send(b"d")
    p = https(origin(script))
    c = Records(p.addresses[0], authority.client())
    c.send_and_take(request("POST", "/", body=b"u" * size))
    assert len(c.receive("POST").body) == size
    c.close()


# ends

@quick
def test_close_notify_ends_a_connection(https, authority):
    p = https()
    c = Records(p.addresses[0], authority.client())
    assert c.ask(request("GET", "/", "Connection: close")).body == b"ok"
    assert c.closed() == "fin"
    c.close()


@quick
def test_a_client_that_only_half_closes(https, authority, origin):
    """close_notify ends its direction alone: the answer that it waits for still comes."""
    o = origin()
    go = o.event()
    o.scripts = (lambda conn: (conn.request(), conn.wait(go), conn.send(OK)),)
    p = https(o)
    c = Records(p.addresses[0], authority.client())
    c.send(request())
    o.wait_requests(1)
    c.say_end()
    go.set()
    assert c.receive().body == b"ok"
    assert c.closed() == "fin"
    c.close()


@quick
@pytest.mark.parametrize("with_notify", [True, False])
def test_a_client_that_leaves_cancels(https, authority, origin, with_notify):
    o = origin(lambda conn: (conn.request(), conn.wait_end()))
    p = https(o)
    c = Records(p.addresses[0], authority.client())
    c.send(request())
    o.wait_requests(1)
    if with_notify:
        c.say_end()
    c.close()
    o.wait(lambda: o.conns[0].ended is not None, "the end of the cancelled request")
    assert p.log()[0]["why"] == "client_gone"


@quick
@pytest.mark.parametrize("tail", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
                                  b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"])
def test_a_cut_off_answer_is_seen(https, authority, origin, tail):
    p = https(origin(once(tail)))
    c = Records(p.addresses[0], authority.client())
    c.send(request())
    assert c.closed() == "rst", "close_notify makes it look complete"
    c.close()


@quick
def test_keep_alive_ends_with_notify(https, authority):
    """An idle connection that we end, at SIGTERM."""
    p = https()
    c = Records(p.addresses[0], authority.client())
    assert c.ask(request()).body == b"ok"
    p.signal()
    assert c.closed() == "fin"
    p.wait(0)
    c.close()


# what is no TLS

@quick
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_plain_http_to_a_tls_port(https, method):
    p = https()
    c = p.client()
    c.send(request(method))
    assert c.receive().status == 400
    assert c.closed() == "fin"
    why(p, "plain_http")
    record, = p.log(1)
    assert (record["why"], record["status"], record["sent"]) == ("plain_http", 400, 38)


@quick
@pytest.mark.parametrize("junk", [b"\x80\x2e\x01", b"SSH-2.0-x\r\n", b"\x00" * 100, b"\x16\x03\x01\xff\xff" * 9])
def test_junk(https, junk):
    p = https()
    c = p.client()
    c.send(junk)
    c.finish()
    c.reader.rest()
    poll(lambda: re.search('"why":"(tls_handshake|client_gone)"', p.text), lambda: p.text)


@quick
def test_a_check_of_the_port_is_no_error(https, authority):
    p = https()
    for _ in range(5):
        socket.create_connection(p.addresses[0]).close()
    assert p.client(tls=authority.client(), name="origin.test").ask(request()).body == b"ok"
    p.log()
    assert '"why"' not in p.text


@pytest.mark.alone
@pytest.mark.parametrize("hello", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 40])
def test_a_handshake_has_a_deadline(https, hello):
    p = https(None, "--timeout-header", "200ms")
    c = p.client()
    c.send(hello)
    c.reader.rest()
    if hello:
        why(p, "tls_timeout")


@pytest.mark.alone
def test_a_request_behind_the_handshake_has_its_own(https, authority):
    p = https(None, "--timeout-header", "1s", "--timeout-idle", "10s")
    c = p.client(tls=authority.client(), name="origin.test")
    assert c.ask(request()).body == b"ok"
    c.send(b"GET / HT")
    assert c.receive().status == 408


# what OpenSSL's own client can do

def s_client(proxy, *args, text):
    host, port = proxy.addresses[0]
    return subprocess.run(["/usr/bin/openssl", "s_client", "-connect", f"{host}:{port}", *args],
                          input=text, capture_output=True, timeout=10)


def test_renegotiation_is_refused(https):
    p = https()
    done = s_client(p, "-tls1_2", text=b"R\n")
    assert b"RENEGOTIATING" in done.stdout + done.stderr
    assert b"no renegotiation" in done.stderr or b"no_renegotiation" in done.stderr, done.stderr


def test_key_updates(https, origin):
    """TLS 1.3: asked for, we answer with one of our own at the next write."""
    p = https(origin(serve(echo)))
    host, port = p.addresses[0]
    client = subprocess.Popen(
        ["/usr/bin/openssl", "s_client", "-tls1_3", "-connect", f"{host}:{port}"], bufsize=0,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for i in range(3):
        client.stdin.write(b"K\n")             # a line by itself is a command
        while b"KEYUPDATE" not in client.stderr.readline():
            pass
        client.stdin.write(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i)
        while b"X-Target: /%d" % i not in client.stdout.readline():
            pass
    client.stdin.close()
    client.stdout.read()
    client.wait(10)


# sessions

@quick
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_go_on_on_any_worker(https, authority, version):
    """Tickets of one connection are good on every later one, whichever worker has it."""
    count = 12
    p = https(None, "--workers", "4")
    context = only(authority.client(), version)
    first = p.client(tls=context, name="origin.test")
    assert first.ask(request()).body == b"ok"
    session = first.sock.session
    for _ in range(count):
        c = p.client()
        c.sock = c.reader.sock = context.wrap_socket(c.sock, server_hostname="origin.test",
                                                     session=session)
        assert c.sock.session_reused
        assert c.ask(request()).body == b"ok"
    assert [r.get("resumed", False) for r in p.log(count + 1)].count(True) == count
    full = [r["cipher"] for r in p.log(count + 1)]
    assert len(set(full)) == 1


# certificates that cannot be served

def attempt(tmp_path, crt, key, *args):
    files = ["--cert", str(crt)] + (["--key", str(key)] if key else [])
    return run(tmp_path, "proxy", "--listen-tls", "127.0.0.1:0", *files, *args, "127.0.0.1:1")


def rejected(tmp_path, crt, key, *words):
    done = attempt(tmp_path, crt, key)
    assert done.returncode == 1 and "listening" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1
    tested = attempt(tmp_path, crt, key, "--test")
    assert tested.returncode == 1 and words[-1] in tested.stderr


@quick
def test_files_that_are_no_certificates(tmp_path, authority):
    crt, key = authority.certificate("server", "origin.test")
    rejected(tmp_path, tmp_path / "none", key, "none", "No such file")
    rejected(tmp_path, tmp_path, key, str(tmp_path), "folder")
    empty = tmp_path / "empty"
    empty.touch()
    rejected(tmp_path, empty, key, "empty: the file is empty")
    rejected(tmp_path, key, key, "no certificate in it")
    rejected(tmp_path, crt, None, "server.crt: no private key in it")
    rejected(tmp_path, crt, crt, "no private key in it")
    text = tmp_path / "text"
    text.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    rejected(tmp_path, text, key, "text: malformed certificate")


@quick
@pytest.mark.parametrize("options, words", [
    (["--listen-tls", "127.0.0.1:0"], "--listen-tls needs --cert FILE"),
    (["--cert", "x"], "--cert needs --listen-tls ADDR"),
    (["--key", "x"], "--key needs --cert FILE"),
    (["--upstream-key", "x"], "--upstream-key needs --upstream-cert FILE")])
def test_options_that_need_another(tmp_path, options, words):
    done = run(tmp_path, "proxy", *options, "127.0.0.1:1")
    assert done.returncode == 2 and words in done.stderr


@quick
def test_keys_that_do_not_fit(tmp_path, authority):
    crt, key = authority.certificate("server", "origin.test")
    _, other = authority.certificate("other", "origin.test")
    rejected(tmp_path, crt, other, "other.key", "server.crt", "does not belong")
    locked = tmp_path / "locked.key"
    authority._run("pkey", "-in", key, "-aes128", "-passout", "pass:x", "-out", locked)
    locked.chmod(0o600)
    rejected(tmp_path, crt, locked, "locked.key: the key is encrypted")


@quick
@pytest.mark.parametrize("mode, word", [(0o604, "everybody may read"), (0o644, "everybody may read"),
                                        (0o620, "others may write"), (0o602, "others may write"),
                                        (0o640, None), (0o400, None)])
def test_keys_that_others_may_use(weir, origin, tmp_path, authority, mode, word):
    crt, key = authority.certificate("server", "origin.test")
    key.chmod(mode)
    if word:
        rejected(tmp_path, crt, key, "server.key", word)
    p = weir(origin(), "--cert", crt, "--key", key, *(["--shared-key"] if word else []), **LISTEN)
    assert p.client(tls=authority.client(), name="origin.test").ask(request()).body == b"ok"


@quick
def test_certificate_and_key_in_one_file(weir, origin, authority):
    crt, key = authority.certificate("server", "origin.test")
    both = authority.folder / "both.pem"
    both.write_bytes(key.read_bytes() + crt.read_bytes())
    both.chmod(0o600)
    p = weir(origin(), "--cert", both, **LISTEN)
    assert p.client(tls=authority.client(), name="origin.test").ask(request()).body == b"ok"


@quick
def test_an_expired_certificate_is_served_with_a_warning(weir, origin, authority, tmp_path):
    crt, key = authority.expired("server", "origin.test")
    p = weir(origin(), "--cert", crt, "--key", key, **LISTEN)
    assert re.search(r'"level":"warning".*server\.crt: the certificate expired on \d{4}-', p.text)
    done = run(tmp_path, "proxy", "-t", "--listen-tls", "127.0.0.1:0", "--cert", crt, "--key", key, "127.0.0.1:9")
    assert done.returncode == 0
    assert re.fullmatch(r"weir: warning: .*: the certificate expired on .*\nconfiguration ok\n", done.stderr)
    context = authority.client()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        p.client(tls=context, name="origin.test")
    why(p, "tls_handshake")


@quick
def test_a_chain_is_sent_whole(weir, origin, authority):
    crt, key = authority.chained("server", "origin.test")
    p = weir(origin(), "--cert", crt, "--key", key, **LISTEN)
    assert p.client(tls=authority.client(), name="origin.test").ask(request()).body == b"ok"


# nobody waits for another's handshake

def threads(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/task"))


@pytest.mark.parametrize("kind, helpers", [("rsa:4096", True), ("rsa:2048", None),
                                           ("ec", False)])
def test_slow_keys_sign_elsewhere(weir, origin, authority, kind, helpers):
    """With one worker: what signs for milliseconds does so on another thread, and P-256 does not;
    RSA-2048 only while others wait."""
    crt, key = authority.certificate("server", "origin.test", key=kind)
    p = weir(origin(), "--workers", "1", "--cert", crt, "--key", key, **LISTEN)
    before = threads(p)
    busy = p.client(tls=authority.client(), name="origin.test")
    assert busy.ask(request()).body == b"ok"
    assert helpers is None or (threads(p) > before) == helpers
    done = []

    def visit():
        c = p.client(tls=authority.client(), name="origin.test")
        done.append(c.ask(request()).body)
    visitors = [threading.Thread(target=visit) for _ in range(20)]
    for v in visitors:
        v.start()
    for _ in range(50):
        assert busy.ask(request()).body == b"ok"
    for v in visitors:
        v.join()
    assert done == [b"ok"] * 20


@quick
def test_max_per_client(https, authority):
    p = https(None, "--max-per-client", "1")
    c = p.client(tls=authority.client(), name="origin.test")
    assert c.ask(request()).body == b"ok"
    with pytest.raises(OSError):
        p.client(tls=authority.client(), name="origin.test")
    why(p, "max_per_client")
    assert c.ask(request()).body == b"ok"

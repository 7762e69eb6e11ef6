"""Tickets of TLS 1.3: good once for those who care, so there is a new one every time."""

import ssl

import pytest

from weirtest import Authority, Client, request


@pytest.mark.quick
def test_a_resumed_session_gets_a_ticket(weir, origin, tmp_path):
    authority = Authority(tmp_path)
    crt, key = authority.certificate("server", "origin.test")
    p = weir(origin(), "--listen-tls", "127.0.0.1:0", "--cert", str(crt), "--key", str(key))
    port = int(p.wait_text(r"^listening on 127\.0\.0\.1:(\d+) \(https\)$")[0][1])
    context = authority.client()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    session = None
    for turn in range(5):
        c = Client(("127.0.0.1", port))
        c.sock = c.reader.sock = context.wrap_socket(c.sock, server_hostname="origin.test",
                                                     session=session)
        assert c.ask(request()).body == b"ok"
        assert c.sock.session_reused == (turn > 0)
        assert session is None or c.sock.session.id != session.id, "the ticket is the old one"
        session = c.sock.session
        c.close()

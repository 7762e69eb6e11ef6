"""curl through `weir proxy` to a real nginx: the programs people have, not ours."""

import hashlib
import os
import re
import shutil
import socket
import subprocess

import pytest

from weirtest import WAIT, poll

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/usr/sbin/nginx"), reason="nginx is not installed"),
    pytest.mark.skipif(not os.path.exists("/usr/bin/curl"), reason="curl is not installed"),
]

CONFIG = """
daemon off; master_process off; pid {d}/pid; error_log {d}/nginx.err;
events {{ worker_connections 512; }}
http {{
    access_log {d}/nginx.log;
    client_body_temp_path {d}/tmp; proxy_temp_path {d}/tmp; fastcgi_temp_path {d}/tmp;
    uwsgi_temp_path {d}/tmp; scgi_temp_path {d}/tmp;
    server {{
        listen unix:{d}/nginx.sock;
        root {d}/www;
        absolute_redirect off;
        client_max_body_size 1g;
        location /put/ {{ alias {d}/www/put/; dav_methods PUT DELETE; create_full_put_path on; }}
        location /chunked/ {{ alias {d}/www/; gzip on; gzip_types *; gzip_min_length 1; }}
        location = /moved {{ return 302 /small; }}
        location = /empty {{ return 204; }}
        location = /fields {{
            add_header X-Host $http_host; add_header X-For $http_x_forwarded_for;
            add_header X-Proto $http_x_forwarded_proto; add_header X-Version $server_protocol;
            add_header X-Connection "[$http_connection]"; return 200 fields;
        }}
    }}
}}
"""
LARGE = bytes(i * 31 % 251 for i in range(100003)) * 50


@pytest.fixture
def nginx(tmp_path):
    """A folder with www/; nginx listens on its nginx.sock."""
    folder = tmp_path / "nginx"
    (folder / "www" / "put").mkdir(parents=True)
    (folder / "www" / "small").write_bytes(b"hello\n")
    (folder / "www" / "large").write_bytes(LARGE)
    (folder / "nginx.conf").write_text(CONFIG.format(d=folder))
    os.chmod(tmp_path, 0o755)
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf",
                                "-g", "user root;" if os.geteuid() == 0 else ""],
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def up():
        assert process.poll() is None, (folder / "nginx.err").read_text()
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(folder / "nginx.sock"))
            return True
        except OSError:
            return False
    try:
        poll(up, "nginx to listen")
        yield folder
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def curl(weir, nginx):
    """curl(arguments..., url paths) through a proxy; returns what it wrote to stdout."""
    p = weir(f"unix:{nginx}/nginx.sock")
    host, port = p.addresses[0]

    def run(*args, code=0):
        args = [f"http://{host}:{port}{a}" if a[:1] == "/" and str(nginx) not in a else a for a in args]
        done = subprocess.run(["/usr/bin/curl", "-q", "-sS", "--noproxy", "*", "--max-time", str(WAIT), *args],
                              capture_output=True, env={"PATH": "/usr/bin", "HOME": str(nginx)})
        assert done.returncode == code, done
        return done.stdout
    run.proxy = p
    run.folder = nginx
    return run


@pytest.mark.quick
def test_download(curl):
    assert curl("/small") == b"hello\n"
    assert hashlib.sha256(curl("/large")).digest() == hashlib.sha256(LARGE).digest()


@pytest.mark.quick
def test_verbose(curl):
    """What a person sees first: status line, fields, body, the connection left intact."""
    args = ["-v", "--stderr", "-", "/small"]
    text = curl(*args).decode()
    assert "< HTTP/1.1 200 OK" in text and "< Server: nginx" in text and "hello" in text
    assert re.search(r"Connection #0 to host .* left intact", text)


@pytest.mark.quick
def test_head(curl):
    text = curl("--head", "/large").decode()
    assert text.startswith("HTTP/1.1 200 OK\r\n") and f"Content-Length: {len(LARGE)}\r\n" in text


def test_ranges(curl):
    text = curl("-i", "-r", "5-14", "/large")
    head, body = text.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 206 ") and body == LARGE[5:15]
    assert b"HTTP/1.1 416 " in curl("-i", "-r", "99999999-", "/large")
    assert curl("-i", "-r", "0-1,5-6", "/large").startswith(b"HTTP/1.1 206 ")


@pytest.mark.quick
@pytest.mark.parametrize("how", [["-T", "FILE"], ["-X", "PUT", "--data-binary", "@FILE"],
                                 ["-T", "FILE", "-H", "Expect: 100-continue"], ["-T", "FILE", "--http1.0"],
                                 ["-T", "FILE", "-H", "Transfer-Encoding: chunked"]],
                         ids=["put", "data", "expect", "1.0", "chunked"])
def test_upload(curl, how):
    """By length, chunked, with and without Expect: nginx has the same bytes."""
    source = curl.folder / "upload"
    source.write_bytes(LARGE)
    how = [a.replace("FILE", str(source)) for a in how]
    out = curl("-i", *how, "/put/file")
    assert re.search(rb"HTTP/1\.1 20[14] ", out), out
    assert (curl.folder / "www" / "put" / "file").read_bytes() == LARGE
    assert b" 204 " in curl("-i", "-X", "DELETE", "/put/file")
    assert b" 404 " in curl("-i", "/put/file")


def test_chunked_download(curl):
    """nginx compresses on the fly, hence chunked."""
    text = curl("-i", "--raw", "-H", "Accept-Encoding: gzip", "/chunked/large")
    assert b"Transfer-Encoding: chunked" in text
    assert curl("--compressed", "/chunked/large") == LARGE


@pytest.mark.quick
def test_keep_alive(curl):
    """Several URLs go over one connection, on either side."""
    text = curl("-w", "%{num_connects}\n", "/fields", "/fields", "/fields").decode()
    assert text == "fields1\nfields0\nfields0\n"
    connects = [r["connect"] for r in curl.proxy.log(3)]
    assert connects == ["new", "reused", "reused"]


@pytest.mark.parametrize("options", [["--http1.0"], ["--http1.1", "-H", "Connection: close"]])
def test_close(curl, options):
    out = curl("-i", *options, "/small")
    assert out.startswith(b"HTTP/1.1 200 OK\r\n") and b"Connection: close\r\n" in out and out.endswith(b"hello\n")


def test_statuses(curl):
    assert b" 404 " in curl("-i", "/nothing")
    assert curl("-L", "-w", "%{num_redirects}", "/moved") == b"hello\n1"
    assert curl("-i", "/empty").startswith(b"HTTP/1.1 204 ")
    assert b" 405 " in curl("-i", "-X", "POST", "-d", "x", "/small")


def test_fields(curl):
    out = curl("-i", "-H", "Host: a.test", "-H", "X-Forwarded-For: 6.6.6.6", "/fields").decode()
    for line in ("X-Host: a.test", "X-For: 127.0.0.1", "X-Proto: http", "X-Version: HTTP/1.1", "X-Connection: []"):
        assert line + "\r\n" in out


def test_as_a_forward_proxy(curl):
    """curl -x sends absolute-form."""
    host, port = curl.proxy.addresses[0]
    out = curl("-x", f"http://{host}:{port}", "--noproxy", "", "-i", "http://a.test/fields").decode()
    assert "X-Host: a.test\r\n" in out and out.endswith("fields")


def test_parallel(curl):
    """curl -Z: fifty transfers at once."""
    target = curl.folder / "out"
    target.mkdir()
    curl("-Z", "--parallel-max", "50", "--create-dirs", "-o", f"{target}/#1", "/large?[1-50]")
    assert len(list(target.iterdir())) == 50
    assert all(f.read_bytes() == LARGE for f in target.iterdir())
    shutil.rmtree(target)


def test_slow_reader(curl):
    """A limited download arrives whole."""
    assert curl("--limit-rate", "20M", "/large") == LARGE

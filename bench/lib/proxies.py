"""The proxies that are compared: how each is started the way an expert would for this purpose.

One worker, upstream keep-alive without bounds that a short run would meet, no access log, no
reports of its own. A configuration is written to the measurement's directory; nothing of the
system's configuration is read, nothing is left running.
"""

import itertools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from typing import Callable

from lib import BenchError
from lib.processes import Process, free_port

NGINX = """\
{top}daemon off;
worker_processes {workers};
pid {dir}/nginx.pid;
{user}
worker_rlimit_nofile {files};
error_log stderr error;
events {{ worker_connections {connections}; use epoll; }}
http {{
    access_log off;
    {http}
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_buffer_size 64k;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    upstream origin {{
        server {origin};
        keepalive {keepalive};
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen 127.0.0.1:{port}{listen} backlog=4096;
{tls}        location / {{
            proxy_pass {scheme}://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_max_temp_file_size 0;
            {extra}
        }}
    }}
}}
"""

HAPROXY = """\
global
    nbthread {workers}
    maxconn {maxconn}
    {tls}
    {extra}
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    http-reuse always
    {defaults}
frontend front
    bind 127.0.0.1:{port} backlog 4096{listen}
    default_backend back
backend back
    server origin {origin} pool-purge-delay 1h{pool}{origin_tls}
"""

H2O = """\
{h2o_user}num-threads: {workers}
max-connections: {connections}
pid-file: {dir}/h2o.pid
http1-request-timeout: 3600
http2-idle-timeout: 3600
proxy.timeout.keepalive: 3600000
listen:
  host: 127.0.0.1
  port: {port}
{tls}hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://{origin}/
        proxy.preserve-host: ON
"""


NGINX_TLS = """\
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:prime256v1;
        ssl_prefer_server_ciphers off;
        ssl_session_cache shared:sessions:20m;
        ssl_session_timeout 1h;
        ssl_session_tickets on;
"""

HAPROXY_TLS = """\
tune.ssl.cachesize 100000
    ssl-default-bind-options ssl-min-ver TLSv1.2 prefer-client-ciphers
    ssl-default-bind-curves X25519:P-256"""

# No neverbleed: the others keep their keys in the process that uses them, too.
H2O_TLS = """\
  ssl:
    certificate-file: {cert}
    key-file: {key}
    minimum-version: TLSv1.2
    neverbleed: OFF
    ocsp-update-interval: 0
ssl-session-resumption:
  mode: all
"""

# A test-only setting of weir's runtime is read from the environment.
NO_STEAL, PLACE = "WEIR_TEST_NO_STEAL", "WEIR_TEST_PLACE"


@dataclass
class Setup:
    """What a proxy is to be started with."""
    build: str      # the build directory: ours are in there
    dir: str        # for configurations and logs
    cores: tuple    # the proxy's and the load's
    origin: str     # HOST:PORT
    files: int      # the limit of open files
    # More configuration, by the proxy's name: lines for nginx ("nginx": in its location, "nginx
    # http" and "nginx top": in these places), haproxy ("haproxy defaults": for that section) and
    # h2o, a list of arguments for weir.
    extra: dict = field(default_factory=dict)
    tls: object = None          # a certs.Certificate: clients speak TLS
    h2: bool = False            # and HTTP/2
    origin_tls: bool = False
    origin_h2: bool = False
    pool: int = 0               # idle upstream connections of the whole process; 0: enough
    connections: int = 0        # that are held open; 0: fewer than the limit of files allows


@dataclass
class Proxy:
    """`start` makes the argument list; `port` is None for those that say what they listen on."""
    name: str
    binary: str
    package: str
    start: Callable
    version: list
    says_address: bool = False
    workers: int = 1            # more than one use the load's core as well
    environment: dict = field(default_factory=dict)
    needs: str = ""             # a file beside the binary
    options: tuple = ()         # of a program of ours

    def path(self, build):
        path = self.binary.format(build=build)
        for file in path, self.needs:
            if file and not os.path.exists(file):
                raise BenchError(f"{self.name}: {file} is not there: {self.package}")
        if not os.access(path, os.X_OK):
            raise BenchError(f"{self.name}: {path} is no program")
        self.check_environment(path)
        return path

    def check_environment(self, path):
        """A setting that nobody reads would give a figure of something else."""
        with open(path, "rb") as f:
            program = f.read() if self.environment else b""
        for name in self.environment:
            if name.encode() not in program:
                raise BenchError(f"{self.name}: {path} does not know {name}: its runtime lacks "
                                 "this test-only setting")

    def version_text(self, build):
        """What it says about its version; "" for those that have none."""
        path = self.path(build)
        if not self.version:
            return ""
        try:
            run = subprocess.run([path, *self.version], capture_output=True, text=True, timeout=10,
                                 stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise BenchError(f"{self.name}: it cannot tell its version: {e}") from e
        found = re.search(r"\d+\.\d+\S*", run.stdout + run.stderr)
        return found.group(0) if found else ""

    def launch(self, setup):
        """A running process and the address it serves. The caller stops it."""
        port = None if self.says_address else free_port()
        log = os.path.join(setup.dir, f"{self.name}.{next(serial)}.log")
        cores = {setup.cores[0]} if self.workers == 1 else set(setup.cores)
        process = Process(self.name, self.start(self, self.path(setup.build), setup, port), cores,
                          log, self.environment)
        try:
            address = process.wait_ready_line() if port is None else process.wait_port(port)
        except BaseException:
            process.stop()
            raise
        return process, address


serial = itertools.count()


def write_config(setup, name, template, **values):
    path = os.path.join(setup.dir, f"{name}.{next(serial)}.conf")
    with open(path, "w") as f:
        f.write(template.format(dir=setup.dir, origin=setup.origin, files=setup.files,
                                # some spare: nginx closes idle ones when it runs short
                                connections=setup.connections * 9 // 8
                                or (setup.files - 4000) // 2,
                                extra=setup.extra.get(name, ""), **values))
    return path


def unsupported(proxy, setup, *what):
    for name in what:
        if getattr(setup, name):
            raise BenchError(f"{proxy.name} cannot do it: {name}")


def start_weir(proxy, path, setup, _port):
    tls = setup.tls and ["--cert", setup.tls.cert, "--key", setup.tls.key]
    return [path, *([] if proxy.binary == BURN else ["proxy"]),
            *(["--listen-tls", "127.0.0.1:0", *tls] if tls else ["--listen", "127.0.0.1:0"]),
            *(["--h2c"] if setup.h2 and not tls else []), *proxy.options,
            *(["--upstream-tls", "bench.example", "--insecure"] if setup.origin_tls else []),
            *(["--upstream-h2"] if setup.origin_h2 else []),
            *(["--pool", str(setup.pool)] if setup.pool else []),
            *(["--max-connections", str(2 * setup.connections)] if setup.connections else []),
            "--workers", str(proxy.workers), "--access-log", "off",
            *setup.extra.get("weir", []), setup.origin]


def start_floor(proxy, path, setup, _port):
    unsupported(proxy, setup, "tls", "origin_tls", "h2", "origin_h2")
    return [path, "127.0.0.1:0", setup.origin]


def start_nginx(proxy, path, setup, port):
    unsupported(proxy, setup, "origin_h2")
    config = write_config(
        setup, "nginx", NGINX, port=port, workers=proxy.workers,
        keepalive=max(1, setup.pool // proxy.workers) if setup.pool else 1024,
        listen=(" ssl" if setup.tls else "") + (" http2" if setup.h2 else ""),
        tls=NGINX_TLS.format(cert=setup.tls.cert, key=setup.tls.key) if setup.tls else "",
        scheme="https" if setup.origin_tls else "http",
        top=setup.extra.get("nginx top", ""), http=setup.extra.get("nginx http", ""),
        # As root, nginx would become a user that may not enter our directory.
        user="user root;" if os.geteuid() == 0 else "")
    return [path, "-e", "stderr", "-p", setup.dir, "-c", config]


def start_haproxy(proxy, path, setup, port):
    alpn = " alpn h2" if setup.tls else " proto h2"
    return [path, "-db", "-f", write_config(
        setup, "haproxy", HAPROXY, port=port, workers=proxy.workers,
        # it insists on two descriptors for each
        maxconn=(setup.files - (600 if setup.connections else 4000)) // 2,
        listen=(f" ssl crt {setup.tls.both}" if setup.tls else "") + (alpn if setup.h2 else ""),
        tls=HAPROXY_TLS if setup.tls else "",
        pool=f" pool-max-conn {setup.pool}" if setup.pool else "",
        origin_tls=(" ssl verify none sni str(bench.example)" if setup.origin_tls else "")
        + (" proto h2" if setup.origin_h2 else ""),
        defaults=setup.extra.get("haproxy defaults", ""))]


def start_h2o(proxy, path, setup, port):
    unsupported(proxy, setup, "origin_tls", "origin_h2")
    return [path, "-c", write_config(
        setup, "h2o", H2O, port=port, workers=proxy.workers,
        tls=H2O_TLS.format(cert=setup.tls.cert, key=setup.tls.key) if setup.tls else "",
        h2o_user="user: root\n" if os.geteuid() == 0 else "")]


def start_pingora(proxy, path, setup, port):
    unsupported(proxy, setup, "origin_tls")
    return [path, f"127.0.0.1:{port}", setup.origin,
            *(["--tls", setup.tls.cert, setup.tls.key] if setup.tls else []),
            *(["--h2"] if setup.h2 else []), *(["--origin-h2"] if setup.origin_h2 else [])]


BURN = "{build}/bench/burn"
WEIR = Proxy("weir", "{build}/gateway/weir", "build it: ./dev build",
             start_weir, ["--version"], True)
NGINX_PROXY = Proxy("nginx", "/usr/sbin/nginx", "apt-get install --no-install-recommends nginx",
                    start_nginx, ["-v"])
UNEVEN = {"binary": BURN, "workers": 2}

PROXIES = {p.name: p for p in (
    WEIR,
    Proxy("floor", "{build}/bench/relay", "build it: ./dev build", start_floor, [], True),
    NGINX_PROXY,
    Proxy("haproxy", "/usr/sbin/haproxy", "apt-get install --no-install-recommends haproxy",
          start_haproxy, ["-v"]),
    Proxy("h2o", "/usr/bin/h2o", "apt-get install --no-install-recommends h2o",
          start_h2o, ["--version"]),
    Proxy("pingora", "{build}/../pingora/release/pingora-relay", "bench/README.md tells how",
          start_pingora, []),
    # More workers; weir with a filter, with and without stealing, 7 of 8 connections on worker 0.
    *(replace(WEIR, name=f"weir-{n}", workers=n) for n in (1, 2, 4, 8)),
    *(replace(NGINX_PROXY, name=f"nginx-{n}", workers=n) for n in (2, 8)),
    replace(WEIR, name="weir-steal", **UNEVEN, environment={PLACE: "7/8"}),
    replace(WEIR, name="weir-nosteal", **UNEVEN, environment={PLACE: "7/8", NO_STEAL: "1"}),
    *(replace(WEIR, name=f"weir-burn-{n}", binary=BURN, workers=n) for n in (1, 2)),
    # A filter that waits; phases that do nothing; weir as it was, where somebody built it.
    replace(WEIR, name="weir-wait", binary=BURN),
    replace(WEIR, name="weir-phases", binary=BURN, options=("--phases",)),
    replace(WEIR, name="weir-before", binary="{build}/../before/gateway/weir",
            package="bench/README.md tells how"),
    replace(NGINX_PROXY, name="nginx-lua", workers=2,
            needs="/usr/lib/nginx/modules/ngx_http_lua_module.so",
            package="apt-get install --no-install-recommends libnginx-mod-http-lua"),
)}


def has_strace():
    return shutil.which("strace", path="/usr/bin:/bin") is not None

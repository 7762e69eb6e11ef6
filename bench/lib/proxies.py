"""The proxies that are compared: how each is started the way an expert would for this purpose.

One worker, upstream keep-alive without bounds that a short run would meet, no access log, no
reports of its own. A configuration is written to the measurement's directory; nothing of the
system's configuration is read, nothing is left running.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Callable

from lib import BenchError
from lib.processes import Process, free_port

NGINX = """\
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
{user}
worker_rlimit_nofile {files};
error_log stderr error;
events {{ worker_connections {connections}; use epoll; }}
http {{
    access_log off;
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
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://origin;
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
    nbthread 1
    maxconn {connections}
    maxpipes 1000
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
    bind 127.0.0.1:{port} backlog 4096
    default_backend back
backend back
    server origin {origin} pool-purge-delay 1h
"""

H2O = """\
{h2o_user}num-threads: 1
max-connections: {connections}
pid-file: {dir}/h2o.pid
http1-request-timeout: 3600
proxy.timeout.keepalive: 3600000
listen:
  host: 127.0.0.1
  port: {port}
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: http://{origin}/
        proxy.preserve-host: ON
"""


@dataclass
class Setup:
    """What a proxy is to be started with."""
    build: str      # the build directory: ours are in there
    dir: str        # for configurations and logs
    core: int
    origin: str     # HOST:PORT
    files: int      # the limit of open files
    # More configuration, by the proxy's name: lines for nginx, haproxy ("haproxy defaults": for
    # that section) and h2o, a list of arguments for weir.
    extra: dict = field(default_factory=dict)


@dataclass
class Proxy:
    """`start` makes the argument list; `port` is None for those that say what they listen on."""
    name: str
    binary: str
    package: str
    start: Callable
    version: list
    says_address: bool = False

    def path(self, build):
        path = self.binary.format(build=build)
        if not os.access(path, os.X_OK):
            raise BenchError(f"{self.name}: {path} is not there: {self.package}")
        return path

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
        log = os.path.join(setup.dir, f"{self.name}.log")
        process = Process(self.name, self.start(self.path(setup.build), setup, port), setup.core,
                          log)
        try:
            address = process.wait_ready_line() if port is None else process.wait_port(port)
        except BaseException:
            process.stop()
            raise
        return process, address


def write_config(setup, name, template, port):
    path = os.path.join(setup.dir, name)
    with open(path, "w") as f:
        f.write(template.format(
            dir=setup.dir, port=port, origin=setup.origin, files=setup.files,
            connections=(setup.files - 4000) // 2, extra=setup.extra.get(name, ""),
            defaults=setup.extra.get(name + " defaults", ""),
            # As root, nginx and h2o would become a user that may not enter our directory.
            user="user root;" if os.geteuid() == 0 else "",
            h2o_user="user: root\n" if os.geteuid() == 0 else ""))
    return path


def start_weir(path, setup, _port):
    return [path, "proxy", "--listen", "127.0.0.1:0", "--workers", "1", "--access-log", "off",
            *setup.extra.get("weir", []), setup.origin]


def start_floor(path, setup, _port):
    return [path, "127.0.0.1:0", setup.origin]


def start_nginx(path, setup, port):
    return [path, "-e", "stderr", "-p", setup.dir,
            "-c", write_config(setup, "nginx", NGINX, port)]


def start_haproxy(path, setup, port):
    return [path, "-db", "-f", write_config(setup, "haproxy", HAPROXY, port)]


def start_h2o(path, setup, port):
    return [path, "-c", write_config(setup, "h2o", H2O, port)]


PROXIES = {p.name: p for p in (
    Proxy("weir", "{build}/gateway/weir", "build it: ./dev build", start_weir, ["--version"], True),
    Proxy("floor", "{build}/bench/relay", "build it: ./dev build", start_floor, [], True),
    Proxy("nginx", "/usr/sbin/nginx", "apt-get install --no-install-recommends nginx",
          start_nginx, ["-v"]),
    Proxy("haproxy", "/usr/sbin/haproxy", "apt-get install --no-install-recommends haproxy",
          start_haproxy, ["-v"]),
    Proxy("h2o", "/usr/bin/h2o", "apt-get install --no-install-recommends h2o",
          start_h2o, ["--version"]),
)}


def has_strace():
    return shutil.which("strace", path="/usr/bin:/bin") is not None

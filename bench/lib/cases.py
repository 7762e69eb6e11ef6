"""The cases: what is sent, to whom, and what we want to reach. A case is data.

`load` and `origin` are options of the two programs; `extra` gives single proxies more
configuration (see proxies.Setup), where an expert would set something for just this load.
"""

from dataclasses import dataclass, field

PEERS = ("weir", "floor", "nginx", "haproxy")
PEERS_H2O = (*PEERS, "h2o")
NO_FLOOR = ("weir", "nginx", "haproxy", "h2o")  # the relay opens an upstream connection each time


@dataclass
class Bound:
    """`metric` of weir is to be at most `most` times that of `reference`, a proxy or several, of
    which the cheapest counts."""
    metric: str
    reference: tuple
    most: float


@dataclass
class Part:
    """One kind of load. A case may have several."""
    title: str
    load: list
    origin: list = field(default_factory=list)
    extra: dict = field(default_factory=dict)


@dataclass
class Case:
    name: str
    about: str
    parts: list
    proxies: tuple = PEERS
    bounds: tuple = ()
    kind: str = "cpu"       # a key of measure.KINDS


def body_part(text, size):
    return Part(f"body of {text}, 64 connections",
                ["-c", "64", "--path", f"/b/{size}", "--length", str(size)], extra=BIG_BODIES)


# What was cheapest of several settings each, for 64 KiB and for 1 MiB alike.
BIG_BODIES = {
    "nginx": "proxy_buffering off; proxy_buffer_size 256k; proxy_buffers 2 256k; "
             "proxy_busy_buffers_size 256k;",
    "haproxy defaults": "option splice-response",
}

# A head and 16 KiB do not fit into HAProxy's default buffer of 16 KiB, which costs it 60 %.
POST = {"haproxy": "tune.bufsize 32768"}

CASES = {c.name: c for c in (
    Case("keepalive", "1 KiB, 64 keep-alive connections",
         [Part("1 KiB, 64 connections", ["-c", "64", "--length", "1024"])],
         bounds=(Bound("cpu_us", ("nginx",), 1.0),)),
    Case("bodies", "response bodies of 64 KiB and of 1 MiB",
         [body_part("64 KiB", 64 << 10), body_part("1 MiB", 1 << 20)]),
    Case("fields", "20 request fields of about 1 KB, 15 response fields",
         [Part("20 + 15 fields, 1 KiB, 64 connections",
               ["-c", "64", "--length", "1024", "--fields", "19"], ["--fields", "13"])]),
    Case("post", "request bodies of 16 KiB",
         [Part("POST 16 KiB, 64 connections",
               ["-c", "64", "--post", "16KiB", "--length", "1024"], extra=POST)],
         proxies=PEERS_H2O),
    Case("connect", "a new client connection for each request, upstream reused",
         [Part("a connection per request, 64 at a time",
               ["-c", "64", "--close", "--length", "1024"])],
         proxies=NO_FLOOR),
)}

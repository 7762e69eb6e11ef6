"""The cases: what is sent, to whom, and what we want to reach. A case is data.

`load` and `origin` are options of the two programs; `extra` gives single proxies more
configuration (see proxies.Setup), where an expert would set something for just this load.
"""

from dataclasses import dataclass, field

PEERS = ("weir", "floor", "nginx", "haproxy", "pingora")
PEERS_H2O = (*PEERS, "h2o")
NO_FLOOR = ("weir", "nginx", "haproxy", "h2o")  # the relay opens an upstream connection each time
BEST = ("nginx", "haproxy", "h2o")
H2_PEERS = (*NO_FLOOR, "pingora")               # a TCP relay ends no TLS and speaks no HTTP/2


@dataclass
class Bound:
    """What `metric` of `subject` is to be, by `mode`:
    times   at most `most` times that of `reference`, a proxy or several, of which the cheapest
            counts
    plus    at most that of `reference` and `most`
    alone   at most `most`
    least   at least `most`"""
    metric: str
    reference: tuple
    most: float
    mode: str = "times"
    subject: str = "weir"


@dataclass
class Part:
    """One kind of load. A case may have several. What belongs to single kinds of case is told
    where these are measured: lib/memory.py, lib/attack.py, lib/measure.py."""
    title: str
    load: list
    origin: list = field(default_factory=list)
    extra: dict = field(default_factory=dict)
    bounds: tuple = ()
    proxies: tuple = ()     # other than the case's
    cannot: dict = field(default_factory=dict)  # proxy: why it has no figure here
    tls: bool = False       # between client and proxy
    origin_tls: bool = False
    h2: bool = False        # the proxy speaks HTTP/2 to clients
    origin_h2: bool = False
    pool: int = 0           # idle upstream connections of the whole process; 0: enough for all
    counted: int = 4000     # requests under strace
    connections: int = 64   # kinds memory, attack, flood, open
    attack: str = ""        # kinds attack and flood: what clients do (load --attack, --flood)
    deadline: float = 0     # seconds: kind attack, when they are to be cut; flood, beside them
    beside: list = field(default_factory=list)  # kind beside: the load that waits
    least_us: int = 0       # and how long each of its requests takes at least


@dataclass
class Case:
    name: str
    about: str
    parts: list
    proxies: tuple = PEERS
    kind: str = "cpu"       # a key of kinds.KINDS
    rounds: int = 11
    seconds: float = 2.0
    calls: bool = True      # count system calls (kind cpu only)


# What was cheapest of several settings each, for 64 KiB and for 1 MiB alike.
BIG_BODIES = {
    "nginx": "proxy_buffering off; proxy_buffer_size 256k; proxy_buffers 2 256k; "
             "proxy_busy_buffers_size 256k;",
    "haproxy": "maxpipes 1000",
    "haproxy defaults": "option splice-response",
}

# A head and 16 KiB do not fit into HAProxy's default buffer of 16 KiB, which costs it 60 %.
POST = {"haproxy": "tune.bufsize 32768"}

KIB = ["-c", "64", "--length", "1024"]


H2 = ["--tls", "--tls-version", "1.3", "--h2"]

# What Debian has of them speaks HTTP/1.1 alone to origins.
H1_ORIGINS = {"nginx": "it speaks no HTTP/2 to origins", "h2o": "it speaks no HTTP/2 to origins"}

# A connection that ends after so many requests would be opened again.
MANY_REQUESTS = {"weir": ["--max-requests", "1000000000"]}


def h2_part(title, **more):
    return Part(f"{title}, 1 KiB, 16 connections x 10 streams",
                [*H2, "-c", "16", "--streams", "10", "--length", "1024"], tls=True, h2=True,
                extra=MANY_REQUESTS, **more)


def body_part(text, size, *bounds):
    return Part(f"body of {text}, 64 connections",
                ["-c", "64", "--path", f"/b/{size}", "--length", str(size)], extra=BIG_BODIES,
                bounds=bounds, counted=min(4000, (64 << 20) // size))


def handshake_part(version, resumed):
    return Part(f"TLS {version}, {'resumed' if resumed else 'full'}, a connection per request",
                [*KIB, "--close", "--tls", "--tls-version", version]
                + (["--resume"] if resumed else []), tls=True)


# Longer than any of these measurements: what is held is not to be closed.
PATIENT = {"weir": ["--timeout-idle", "1h", "--timeout-upstream", "1h"],
           "nginx": "proxy_read_timeout 1h;"}


def memory_part(title, count, most, load, **more):
    """`most` bytes for each connection; 90 % are to be given back after they are closed."""
    return Part(title, load, connections=count, extra=PATIENT,
                bounds=(Bound("each_b", (), most, "alone"), Bound("given_back", (), 0.9, "least")),
                **more)


# Each proxy's own deadlines, as short as they may be without hurting the ordinary requests.
SHORT = {
    "weir": ["--timeout-header", "2s", "--timeout-body", "2s", "--timeout-send", "2s"],
    "nginx http": "client_header_timeout 2s; client_body_timeout 2s; send_timeout 2s;",
    "haproxy defaults": "timeout http-request 2s\n    timeout client 2s",
}


def attack_part(kind, deadline, extra=None):
    return Part(f"1,000 slow {kind} beside 2,000 requests a second",
                ["-c", "64", "--length", "1024", "--rate", "2000"], attack=kind,
                connections=1000, deadline=deadline, extra=extra or SHORT,
                bounds=(Bound("p99_ratio", (), 2.0, "alone"), Bound("cut", (), 1.0, "least"),
                        Bound("last_cut_s", (), deadline + 1, "alone")))


def flood_part(kind, what, longest, deadline=0):
    """Nobody is to go on for more than so many seconds, and each is to be told why."""
    return Part(f"20 clients that flood with {what} beside 2,000 requests a second",
                ["-c", "64", "--h2", "--length", "1024", "--rate", "2000"], h2=True, attack=kind,
                connections=20, deadline=deadline, extra=MANY_REQUESTS,
                bounds=(Bound("p99_ratio", (), 2.0, "alone"),
                        Bound("longest_s", (), longest, "alone"),
                        Bound("told", (), 1.0, "least")))


BURN = {
    "nginx top": "load_module /usr/lib/nginx/modules/ndk_http_module.so;\n"
                 "load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;\n",
    # os.clock() is the processor time of the process: 2 ms of it
    "nginx": "access_by_lua_block { if ngx.var.uri == '/burn' then "
             "local over = os.clock() + 0.002 while os.clock() < over do end end }",
}

CASES = {c.name: c for c in (
    Case("keepalive", "1 KiB, 64 keep-alive connections",
         [Part("1 KiB, 64 connections", KIB,
               bounds=(Bound("cpu_us", ("floor",), 1.10), Bound("cpu_us", ("nginx",), 0.87),
                       Bound("user_us", ("nginx",), 0.6), Bound("cpu_us", ("pingora",), 0.5)))]),
    Case("bodies", "response bodies of 64 KiB and of 1 MiB",
         [body_part("64 KiB", 64 << 10, Bound("cpu_us", ("nginx",), 0.80)),
          body_part("1 MiB", 1 << 20)]),
    Case("fields", "20 request fields of about 1 KB, 15 response fields",
         [Part("20 + 15 fields, 1 KiB, 64 connections", [*KIB, "--fields", "19"],
               ["--fields", "13"], bounds=(Bound("cpu_us", ("haproxy",), 0.90),))]),
    Case("post", "request bodies of 16 KiB",
         [Part("POST 16 KiB, 64 connections", [*KIB, "--post", "16KiB"], extra=POST,
               bounds=(Bound("cpu_us", BEST, 0.95),))],
         proxies=PEERS_H2O),
    Case("connect", "a new client connection for each request, upstream reused",
         [Part("a connection per request, 64 at a time", [*KIB, "--close"],
               bounds=(Bound("cpu_us", BEST, 0.95),))],
         proxies=NO_FLOOR),
    Case("tls", "1 KiB, 64 keep-alive connections over TLS 1.3",
         [Part("1 KiB over TLS 1.3, 64 connections", [*KIB, "--tls", "--tls-version", "1.3"],
               tls=True, bounds=(Bound("cpu_us", ("nginx",), 1.0),))],
         proxies=NO_FLOOR),
    Case("handshake", "a TLS handshake for each request: full and resumed, TLS 1.3 and 1.2",
         [handshake_part(version, resumed) for version in ("1.3", "1.2")
          for resumed in (False, True)],
         proxies=NO_FLOOR, rounds=9, seconds=0.8, calls=False),
    Case("upstream", "1 KiB, 64 keep-alive connections, TLS 1.3 to the origin",
         [Part("1 KiB, TLS to the origin, 64 connections", KIB, origin_tls=True)],
         proxies=("weir", "nginx", "haproxy")),
    Case("h2", "HTTP/2 over TLS, 16 connections with 10 streams each; to an h1 and an h2 origin",
         [h2_part("h2 to h1", bounds=(Bound("cpu_us", ("haproxy",), 1.0),)),
          h2_part("h2 to h2", origin=["--h2"], origin_h2=True, cannot=H1_ORIGINS)],
         proxies=H2_PEERS),
    Case("filter", "requests that wait 50 ms in a filter, beside requests that do not",
         [Part("1,000 requests wait 50 ms in a filter, beside 8,000 others a second",
               ["-c", "64", "--rate", "8000", "--length", "1024"], extra=MANY_REQUESTS,
               beside=["-c", "1250", "--rate", "20000", "--path", "/wait", "--length", "1024"],
               connections=2000, least_us=50000,
               bounds=(Bound("added", (), 1.05, "alone", "weir-wait"),))],
         proxies=("weir-wait",), kind="beside", rounds=11, seconds=2),
    Case("phases", "no optional phases, against every one that does nothing, and against before",
         [Part("1 KiB, 64 connections, by phases", KIB,
               bounds=(Bound("cpu_us", ("weir-phases",), 1.0),
                       Bound("cpu_us", ("weir-before",), 1.02)))],
         proxies=("weir", "weir-phases", "weir-before")),
    Case("h2busy", "one HTTP/2 connection, 32 streams, each burns 1 ms in a filter; 1 and 2 workers",
         [Part("32 streams of one connection, each burns 1 ms",
               ["-c", "1", "--streams", "32", "--h2", "--path", "/burn/1", "--length", "1024"],
               h2=True, extra=MANY_REQUESTS,
               bounds=(Bound("each_us", ("weir-burn-1",), 1 / 1.7, subject="weir-burn-2"),))],
         proxies=("weir-burn-1", "weir-burn-2"), kind="busy", rounds=9),
    Case("h2memory", "bytes for each idle HTTP/2 connection over TLS",
         [memory_part("5,000 idle HTTP/2 connections over TLS", 5000, 42000,
                      ["--hold", "served", *H2], tls=True, h2=True)],
         proxies=H2_PEERS, kind="memory", rounds=9),
    Case("memory", "bytes for each connection: 5,000 idle, 1,000 waiting, 5,000 idle over TLS",
         [memory_part("5,000 idle connections", 5000, 450, ["--hold", "served"]),
          memory_part("1,000 requests waiting for the origin", 1000, 8192,
                      ["--hold", "waiting", "--path", "/wait"],
                      origin=["--delay", "10m", "--delay-path", "/wait"]),
          memory_part("5,000 idle TLS connections", 5000, 15100,
                      ["--hold", "served", "--tls", "--tls-version", "1.3"], tls=True)],
         proxies=("weir", "nginx", "haproxy"), kind="memory", rounds=9),
    Case("attack", "1,000 slow heads, bodies, readers beside ordinary requests (p99, cuts)",
         [attack_part("heads", 2), attack_part("bodies", 5), attack_part("readers", 5)],
         proxies=("weir",), kind="attack", rounds=9, seconds=2),
    Case("flood", "HTTP/2 requests beside floods: resets, pings, settings, ... (p99, GOAWAY)",
         [flood_part("resets", "streams that they reset", 1),
          flood_part("pings", "PING", 1),
          flood_part("settings", "SETTINGS", 1),
          flood_part("empty", "empty DATA", 1),
          flood_part("continuation", "empty CONTINUATION", 1),
          flood_part("windows", "requests without a window, and read nothing,", 4, 4)],
         proxies=("weir",), kind="flood", rounds=9, seconds=1),
    Case("uneven", "light requests beside 1 % that burn 2 ms, 7/8 of them on one worker",
         [Part("64 connections, 2,000 light requests a second, 20 that burn 2 ms; 2 workers",
               ["-c", "64", "--rate", "2020", "--class",
                "name=light,weight=100,length=1024", "--class",
                "name=heavy,weight=1,path=/burn,length=1024"], extra=BURN,
               bounds=(Bound("light_p99_us", ("weir-nosteal",), 0.4, subject="weir-steal"),))],
         proxies=("weir-steal", "weir-nosteal", "nginx-lua"), kind="uneven", rounds=9, seconds=5),
    Case("reuse", "upstream connections opened, by number of workers",
         [Part("2,000 requests a second, a connection each; 25 ms at the origin, 64 idle in all",
               ["-c", "512", "--rate", "2000", "--close", "--length", "1024"],
               ["--delay", "25ms"], pool=64,
               bounds=[Bound("opened", ("weir-1",), 20, "plus", f"weir-{n}") for n in (2, 4, 8)])],
         proxies=("weir-1", "weir-2", "weir-4", "weir-8", "nginx-2", "nginx-8"),
         kind="reuse", rounds=9, seconds=4),
    Case("open", "10,000 open connections of which 64 are busy in turn",
         [Part("64 busy in turn of 10,000 open connections, against 64 open",
               ["--length", "1024"], connections=10000, extra=PATIENT,
               bounds=(Bound("growth", ("floor",), 0.10, "plus"),))],
         kind="open", rounds=9, seconds=1.5),
)}

# Programs that measure by themselves, and what is shown is what they print.
PROGRAMS = {"parser": "our parser against itself, by instruction set (bench/parser)"}

#!/usr/bin/python3
"""h1_against_h11.py PROGRAM [MUTATIONS] [SEED] -- what our parser accepts, h11 accepts too, and
understands the same by it: method, target, fields, body, trailers, and where the message ends.

PROGRAM is h1_answer, which also knows the cases of the tables; beside those, seeded mutations of
them are compared. Where h11 refuses more, ALLOWED tells why."""
import random
import re
import struct
import subprocess
import sys

try:
    import h11
except ImportError:
    print("SKIP: python3-h11 is not installed")
    sys.exit(77)



def late_framing(kind, text, said):
    return re.search(rb"\r\n0+(;[^\r\n]*)?\r\n(?s:.*)(transfer-encoding|content-length)", text, re.I)


def without_body(kind, text, said):
    return (kind == "H" or said["status"] in (204, 304) or text.startswith(b"HTTP/1.1 1")
            or (kind == "C" and said["status"] // 100 == 2))


# Where h11 refuses what we accept: its words, when, and why we do not.
ALLOWED = (
    ("no request line received", lambda kind, text, said: text.startswith(b"\r\n"),
     "RFC 9112 2.2: a server should pass over one empty line"),
    ("illegal chunk header", lambda kind, text, said: re.search(rb"\n[0-9a-fA-F]+[ \t]+;", text),
     "RFC 9112 7.1.1: a blank may stand before an extension"),
    ("Transfer-Encoding", late_framing, "RFC 9110 6.5.1: in trailers it frames nothing; dropped"),
    ("Content-Length", late_framing, "RFC 9110 6.5.1: in trailers it frames nothing; dropped"),
    ("Transfer-Encoding", without_body,
     "RFC 9112 6.3: it frames nothing where there is no body; the connection ends"),
    ("Content-Length", without_body,
     "RFC 9112 6.3: it frames nothing where there is no body; the connection ends"),
    ("without a pending proposal", lambda kind, text, said: said["status"] == 101,
     "whether a switch was asked for is not the codec's to know; the proxy refuses it"),
)

METHODS = {"G": "GET", "H": "HEAD", "C": "CONNECT"}


def records(data):
    at = 0
    while at < len(data):
        kind, length = chr(data[at]), struct.unpack_from("<I", data, at + 1)[0]
        yield kind, data[at + 5:at + 5 + length]
        at += 5 + length


def mutate(rng, cases):
    """One of the cases with a few faults, or the front of one before the end of another."""
    kind, text = rng.choice(cases)
    text = bytearray(text)
    if rng.random() < 0.2:
        other = rng.choice([c for k, c in rng.sample(cases, 20) if k == kind] or [text])
        text = text[:rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1):]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        at = rng.randrange(len(text) + 1)
        what = rng.random()
        if what < 0.35:
            text[at:at] = rng.choice((b"\r\n", b"\r", b"\n", b" ", b"\t", b":", b"0", b"1", b",", b";",
                                      b"\0", b"\x80", b"chunked", b"Content-Length: 1\r\n", b"%41", b"\"",
                                      b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"))
        elif what < 0.6:
            del text[at:at + rng.choice((1, 1, 1, 2, 5))]
        elif what < 0.8 and at < len(text):
            text[at] = rng.choice((rng.randrange(256), text[at] ^ 0x20, text[at] ^ 1))
        else:
            end = at + rng.randrange(30)
            text[at:at] = text[at:end]
    return kind, bytes(text)


def ours(line):
    """A line of h1_answer as a dictionary, or None for what is not accepted."""
    words = line.split()
    if words[0] != "0":
        return None
    said = {"fields": [], "trailers": []}
    for word in words[1:]:
        name, value = word.split("=")
        if name in ("status", "left"):
            said[name] = int(value)
        elif name == "is":
            into[-1] = (into[-1][0].lower(), bytes.fromhex(value))
        elif name in ("field", "trailer"):
            into = said[name + "s"]
            into.append((bytes.fromhex(value), None))
        else:
            said[name] = bytes.fromhex(value)
    return said


def theirs(kind, text):
    """The same by h11; raises h11.RemoteProtocolError."""
    said = {"body": b"", "trailers": []}
    if kind == "Q":
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    else:
        conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        conn.send(h11.Request(method=METHODS[kind], target="/" if kind != "C" else "a:1",
                              headers=[("Host", "a")]))
        conn.send(h11.EndOfMessage())
    conn.receive_data(text)
    closed = False
    while True:
        event = conn.next_event()
        if isinstance(event, h11.Request):
            said.update(method=event.method, target=event.target, fields=list(event.headers), status=0)
        elif isinstance(event, h11.InformationalResponse) and event.status_code != 101:
            continue
        elif isinstance(event, (h11.Response, h11.InformationalResponse)):
            said.update(fields=list(event.headers), status=event.status_code)
            if event.status_code == 101 or (kind == "C" and event.status_code // 100 == 2):
                return said
        elif isinstance(event, h11.Data):
            said["body"] += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            said["trailers"] = list(event.headers)
            said["left"] = len(conn.trailing_data[0])
            return said
        elif event is h11.NEED_DATA and not closed:
            conn.receive_data(b"")
            closed = True
        else:
            raise h11.RemoteProtocolError(f"stopped at {event!r}")


def origin_form(said):
    """What becomes of an absolute-form: target and authority."""
    match = re.fullmatch(rb"(?i:https?)://([^/?]*)(.*)", said["target"])
    if not match or said["method"] == b"CONNECT":
        return said["target"], None
    authority, path = match.groups()
    if not path:
        path = b"*" if said["method"] == b"OPTIONS" else b"/"
    return (path if path[:1] in (b"/", b"*") else b"/" + path), authority


def difference(kind, a, b):
    """The first thing in which two understandings of a message differ."""
    fields = [f for f in b["fields"]]
    if kind == "Q":
        target, authority = origin_form(b)
        if (a["method"], a["target"]) != (b["method"], target):
            return "the request line"
        if b["method"] == b"CONNECT":
            authority = b["target"]
        if authority is not None:
            fields = [(n, authority if n == b"host" else v) for n, v in fields]
            if (b"host", authority) not in fields:
                fields.append((b"host", authority))
    elif a["status"] != b["status"]:
        return "the status"
    # h11 normalises values of framing fields
    framing = (b"content-length", b"transfer-encoding")
    if [f for f in a["fields"] if f[0] not in framing] != [f for f in fields if f[0] not in framing]:
        return "the fields"
    if a["body"] != b["body"]:
        return "the body"
    if any(t not in b["trailers"] for t in a["trailers"]):
        return "the trailers"
    return "the end" if b.get("left", a["left"]) != a["left"] else None


def compare(kind, text, said):
    try:
        other = theirs(kind, text)
    except h11.RemoteProtocolError as error:
        return f"h11 refuses: {error}"
    what = difference(kind, said, other)
    return f"h11 differs in {what}: {other}" if what else None


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 20261123)
    try:
        run = subprocess.run([program, "--cases"], check=True, stdout=subprocess.PIPE)
    except OSError as error:
        print(f"SKIP: this machine cannot run {program}: {error}")
        return 77
    cases = list(records(run.stdout))
    inputs = cases + [mutate(rng, cases) for _ in range(count)]
    data = b"".join(k.encode() + struct.pack("<I", len(t)) + t for k, t in inputs)
    run = subprocess.run([program], check=True, input=data, stdout=subprocess.PIPE)
    lines = run.stdout.decode().splitlines()
    accepted = faults = 0
    used = set()
    for (kind, text), line in zip(inputs, lines, strict=True):
        said = ours(line)
        if said is None:
            continue
        accepted += 1
        fault = compare(kind, text, said)
        reasons = [i for i, (words, when, _) in enumerate(ALLOWED)
                   if fault and "refuses" in fault and words in fault and when(kind, text, said)]
        used.update(reasons)
        if fault and not reasons:
            faults += 1
            if faults <= 20:
                print(f"{kind} {text!r}\n    {fault}\n    ours: {said}")
    unused = [why for i, (_, _, why) in enumerate(ALLOWED) if i not in used]
    if unused:
        print(f"never needed: {unused}")
    print(f"{len(inputs)} messages, {accepted} accepted, {faults} faults; h11 {h11.__version__}")
    return 1 if faults or unused or accepted < 1000 else 0


sys.exit(main())

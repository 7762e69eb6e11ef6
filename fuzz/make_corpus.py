#!/usr/bin/python3
"""Writes the seeds of all fuzzers into corpus/NAME/, one small file each, named by their hash.

What a fuzzer found and a seed does not cover is kept beside them by hand; nothing is removed here.
"""
import hashlib
import pathlib

HERE = pathlib.Path(__file__).resolve().parent

HOST = b'Host: a\r\n'


def request(line, *fields):
    return line + b'\r\n' + b''.join(f + b'\r\n' for f in fields) + b'\r\n'


def get(*fields, target=b'/'):
    return request(b'GET ' + target + b' HTTP/1.1', b'Host: a', *fields)


def response(line, *fields):
    return request(line, *fields)


TARGETS = [
    b'/', b'/a/b?c=d&e', b'/%41%2f%00', b'//a//b', b'/a/../b', b'/a/./b/.', b'/..', b'/%2e%2e/x',
    b'/..;/x', b'/a;x=1/b', b'/%7euser', b'/%c3%a9', b'/a%5cb', b'/a\\b', b'/a b', b'/#f', b'/%',
    b'/%zz',
    b'*', b'http://h', b'http://h/', b'http://h?q', b'HTTPS://h:443/p?q', b'http://[::1]:80/',
    b'http://u@h/', b'http:///a', b'http:h', b'http:/\\h', b'ftp://h/', b'h:443', b'[::1]:443',
    b':80',
    b'h:99999', b'a.example.org', b'127.0.0.1:8080', b'[fe80::1%25eth0]', b'/.well-known/x',
    b'/...', b'/|?|^`{}', b'/{', b'/?\\',
    b'/a/b/c/../../d', b'/[x]?y[]=z',
]

LENGTHS = [
    (b'Content-Length: 5',), (b'Content-Length: 0',), (b'Content-Length: +5',),
    (b'Content-Length: 5, 5',), (b'Content-Length: 5', b'Content-Length: 5'),
    (b'Content-Length: 9223372036854775807',), (b'Content-Length: 18446744073709551616',),
    (b'Content-Length:',), (b'Transfer-Encoding: chunked',), (b'Transfer-Encoding: Chunked',),
    (b'Transfer-Encoding: chunked', b'Content-Length: 5'), (b'Transfer-Encoding: gzip, chunked',),
    (b'Transfer-Encoding: gzip',), (b'Transfer-Encoding: chunked, identity',),
    (b'Transfer-Encoding: chunked,',), (b'Transfer-Encoding:\tchunked\t',),
    (b'Transfer-Encoding: chunked', b'Transfer-Encoding: chunked'),
]

ODD_FIELDS = [
    (b'A : b',), (b' A: b',), (b'A: b', b' folded'), (b'A',), (b': b',), (b'A:',), (b'A: \t b \t',),
    (b'A: caf\xc3\xa9',), (b'A: b\x00',), (b'A: \x7f',), (b'A: b\rc',), (b'A: b\nB: c',),
    (b'A@: b',),
    (b'x-forwarded-for: 1.2.3.4', b'Forwarded: for=1.2.3.4'),
    (b'Connection: close, x-hop', b'X-Hop: 1'), (b'Connection: host',), (b'Connection: upgrade',
    b'Upgrade: x'),
    (b'Keep-Alive: timeout=5', b'Proxy-Connection: close', b'TE: trailers', b'Trailer: x'),
    (b'Cookie: a=1', b'Cookie: b=2', b'Cache-Control: no-cache', b'X-Long: ' + b'x' * 100),
    tuple(b'F%d: %d' % (i, i) for i in range(20)),
]

request_head = (
    [get(), get(target=b'/a?b', *[b'User-Agent: x', b'Accept: */*'])]
    + [get(*f) for f in LENGTHS + ODD_FIELDS]
    + [get(target=t) for t in TARGETS]
    + [
        request(b'GET / HTTP/1.0'),
        request(b'GET / HTTP/1.0', b'Connection: keep-alive'),
        request(b'GET / HTTP/1.0', b'Host: a', b'Transfer-Encoding: chunked'),
        request(b'GET http://b/ HTTP/1.1', b'Host: a'),
        request(b'GET http://b?q HTTP/1.0'),
        request(b'OPTIONS * HTTP/1.1', b'Host: a'),
        request(b'OPTIONS http://b HTTP/1.1', b'Host: a'),
        request(b'CONNECT b:443 HTTP/1.1', b'Host: b:443'),
        request(b'CONNECT b:443 HTTP/1.1', b'Host: b', b'Content-Length: 5'),
        request(b'GET / HTTP/1.1'),
        request(b'GET / HTTP/1.1', b'Host: a', b'Host: b'),
        request(b'GET / HTTP/1.1', b'Host: a, b'),
        request(b'GET / HTTP/1.1', b'Host:'),
        request(b'GET / HTTP/1.7', b'Host: a'),
        request(b'GET / HTTP/2.0', b'Host: a'),
        request(b'GET / http/1.1', b'Host: a'),
        request(b'GET  / HTTP/1.1', b'Host: a'),
        request(b'GET /', b'Host: a'),
        request(b'GET', b'Host: a'),
        request(b'G(T / HTTP/1.1', b'Host: a'),
        b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        b'\r\n' + get(),
        b'GET / HTTP/1.1\n' + HOST + b'\n',
        b'GET / HTTP/1.1\r\nHost: a\r\n',
        b'GET / HTTP/1.1\r\nHost: a\r\n\r',
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
        get() + get(target=b'/second'),
        get(b'Content-Length: 5') + b'hello' + get(),
        request(b'GET / HTTP/1.1', *[b'A:'] * 200),
        get(b'x' * 100 + b': ' + b'y' * 100, b'Content-Length' + b'x' * 17 + b': 1'),
        get(target=b'/x?[]|^`{}'), get(target=b'/{}'), get(target=b'http://b/|?{}'),
    ]
)

response_head = (
    [response(line, b'A: b') for line in (
        b'HTTP/1.1 200 OK', b'HTTP/1.0 200 OK', b'HTTP/1.1 204 No Content', b'HTTP/1.1 304 x',
        b'HTTP/1.1 100 Continue', b'HTTP/1.1 103 Early Hints', b'HTTP/1.1 101 x', b'HTTP/1.1 200',
        b'HTTP/1.1 200 ', b'HTTP/1.1 599 caf\xc3\xa9', b'HTTP/1.1 600 x', b'HTTP/1.1 099 x',
        b'HTTP/1.1 2000 x',
        b'HTTP/1.1  200 OK', b'HTTP/1.1 2x0 OK', b'HTTP/2.0 200 OK', b'HTTP/1.9 200 OK',
        b'ICY 200 OK',
        b'HTTP/1.1', b'http/1.1 200 OK', b'HTTP/1.1 200\tOK')]
    + [response(b'HTTP/1.1 200 OK', *f) for f in LENGTHS + ODD_FIELDS]
    + [response(b'HTTP/1.1 304 Not Modified', *f) for f in LENGTHS[:4]]
    + [response(b'HTTP/1.0 200 OK', *f) for f in LENGTHS[7:10]]
    + [
        response(b'HTTP/1.1 200 OK', b'Date: now', b'Server: x', b'Set-Cookie: a',
        b'Set-Cookie: b'),
        response(b'HTTP/1.1 200 OK', b'Connection: close'),
        b'HTTP/1.1 200 OK\n\n', b'<html>\r\n\r\n', b'HTTP/1.1 200 OK\r\nA: b\r\n',
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
    ]
)

chunked = [
    b'0\r\n\r\n', b'5\r\nhello\r\n0\r\n\r\n', b'5\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n',
    b'1;a=b;c;d="e\\"f"\r\nx\r\n0;g\r\n\r\n', b'1 ; a = b\t; c\r\nx\r\n0\r\n\r\n', b'1 \r\nx\r\n',
    b'1;\r\nx\r\n',
    b'1;a="b\r\n"\r\n', b'1;a="b\\\r\n"\r\n', b'0000000000000001\r\nx\r\n00\r\n\r\n',
    b'00000000000000001\r\nx\r\n',
    b'7fffffffffffffff\r\nx', b'8000000000000000\r\nx', b'10000000000000000\r\nx',
    b'ffffffffffffffff\r\n',
    b'+5\r\nhello\r\n', b'-5\r\nhello\r\n', b'0x5\r\nhello\r\n', b'5_\r\nhello\r\n',
    b' 5\r\nhello\r\n',
    b'5\nhello\r\n', b'5\rhello\r\n', b'5\r\nhello0\r\n\r\n', b'5\r\nhello\n0\r\n\r\n',
    b'5\r\nhel', b'5\r\nhello\r',
    b'2\r\n\r\n\r\n0\r\n\r\n', b'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n', b'',
    b'0\r\nA: b\r\nC: d\r\n\r\n', b'0\r\nHost: evil\r\nContent-Length: 5\r\nETag: x\r\n\r\n',
    b'0\r\nA : b\r\n\r\n',
    b'0\r\n folded\r\n\r\n', b'0\r\nA: b\n\n', b'0\r\n\n', b'0\r\nA\r\n\r\n',
    b'0\r\n' + b'A:\r\n' * 200 + b'\r\n',
    b'0\r\nX-Forwarded-For: 1\r\nIf-Match: *\r\n\r\n', b'1;' + b'x' * 300 + b'\r\ny\r\n0\r\n\r\n',
]

uri = TARGETS + [b'', b'?', b'/?', b'/a?b?c', b'http://', b'https://[::1', b'u@h:443',
    b'/\xc3\xa9', b'/a\x00b',
                 b'/%2E%2E%2F', b'/a/%2e', b'/x/..%3b/y', b'/%252e/x']

date = [
    b'Sun, 06 Nov 1994 08:49:37 GMT', b'Sunday, 06-Nov-94 08:49:37 GMT',
    b'Sun Nov  6 08:49:37 1994',
    b'Wed Nov 16 08:49:37 1994', b'Tue, 29 Feb 2000 00:00:00 GMT', b'Wed, 29 Feb 2023 00:00:00 GMT',
    b'Sat, 31 Dec 2016 23:59:60 GMT', b'Fri, 31 Dec 9999 23:59:59 GMT',
    b'Fri, 31 Dec 9999 23:59:60 GMT',
    b'Sat, 01 Jan 0000 00:00:00 GMT', b'Thu, 01 Jan 1970 00:00:00 GMT',
    b'Mon, 06 Nov 1994 08:49:37 GMT',
    b'Sunday, 22-Nov-76 00:00:00 GMT', b'Wednesday, 24-Nov-76 00:00:00 GMT',
    b'Sun, 6 Nov 1994 08:49:37 GMT',
    b'sun, 06 nov 1994 08:49:37 gmt', b'Sun, 06 Nov 1994 08:49:37', b'0', b'-1', b'',
    b'1994-11-06T08:49:37Z',
    b'Sun Nov 06 08:49:37 1994', b'Sunday, 06-Nov-1994 08:49:37 GMT',
    b'Sun, 06 Nov 1994 24:00:00 GMT',
]

# ---- HTTP/2: frames, each with the length of its payload, and fields that are literals -----------

def frame(kind, flags, stream, payload=b''):
    return len(payload).to_bytes(3, 'big') + bytes([kind, flags]) + stream.to_bytes(4, 'big') + payload


def literals(*fields):
    return b''.join(b'\0' + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in fields)


PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
SETTINGS = frame(4, 0, 0)
GET = literals((b':method', b'GET'), (b':scheme', b'http'), (b':authority', b'a'), (b':path', b'/'))
POST = literals((b':method', b'POST'), (b':scheme', b'http'), (b':authority', b'a'), (b':path', b'/'))
CROWD = b''.join(frame(1, 5, n, GET) for n in range(1, 31, 2))
H2_REQUESTS = [
    frame(1, 5, 1, GET), frame(1, 4, 1, POST) + frame(0, 1, 1, b'hello'),
    frame(1, 0, 1, GET[:9]) + frame(9, 0, 1, b'') + frame(9, 4, 1, GET[9:]),
    frame(1, 4, 1, POST) + frame(0, 8, 1, b'\2abc\0\0') + frame(1, 5, 1, literals((b't', b'v'))),
    frame(1, 4, 1, POST) + frame(3, 0, 1, b'\0\0\0\x08') + frame(0, 0, 1, b'late'),
    frame(1, 4, 1, POST + literals((b'content-length', b'2'))) + frame(0, 1, 1, b'abc'),
    frame(1, 5, 1, GET + literals((b'cookie', b'a'), (b'cookie', b'b'), (b'te', b'trailers'))),
    frame(4, 0, 0, b'\0\4\0\0\0\0') + frame(1, 5, 1, GET) + frame(8, 0, 1, b'\0\0\0\1'),
    frame(2, 0, 3, b'\0\0\0\1\x10') + frame(16, 0, 0, b'\0\0\0\1u=1') + frame(1, 5, 1, GET),
    frame(6, 0, 0, b'12345678') + frame(7, 0, 0, b'\0' * 8) + frame(0xbb, 0, 0, b'x'),
    frame(1, 5, 1, b'\x40\1x\x7f\x81\1' + b'y' * 256 + b'\xbe' * 300), CROWD, CROWD + CROWD,
    frame(1, 5, 1, literals((b':method', b'CONNECT'), (b':authority', b'a:1'))),
]
H2_RESPONSES = [
    frame(1, 5, 1, b'\x88'), frame(1, 4, 1, b'\x88') + frame(0, 1, 1, b'hello'),
    frame(1, 4, 1, literals((b':status', b'103'))) + frame(1, 4, 1, b'\x88') + frame(0, 0, 1, b'a')
    + frame(1, 5, 1, literals((b'grpc-status', b'0'))),
    frame(3, 0, 1, b'\0\0\0\7') + frame(1, 5, 3, b'\x88') + frame(7, 0, 0, b'\0\0\0\1\0\0\0\0'),
    frame(4, 0, 0, b'\0\3\0\0\0\1') + frame(1, 5, 1, b'\x88'),
]
h2_session = [b'\0' + bytes([cut]) + PREFACE + SETTINGS + r for r in H2_REQUESTS for cut in (0, 3)]
h2_session += [b'\1' + bytes([cut]) + SETTINGS + r for r in H2_RESPONSES for cut in (0, 3)]
h2_frames = [PREFACE + SETTINGS + r for r in H2_REQUESTS[:10]] + [PREFACE[:7], PREFACE]

H2_LINES = b':method:GET\n:scheme:http\n:authority:a\n:path:/x?y\n'
h2_block = [b'\0' + H2_LINES + more for more in (
    b'', b'a:b\n', b'cookie:a=1\ncookie:\ncookie:b\n', b'host:a\n', b'host:b\n', b'host:A\nhost:a\n',
    b'content-length:5\n', b'content-length:5\ncontent-length:5\n', b'content-length:+5\n',
    b'te:trailers\n', b'x:a\rb\n', b'x: a\n', b'X:a\n', b'x y:a\n', b':path:*\n',
    b':method:CONNECT\n', b':method:OPTIONS\n:path:*\n', b':authority:u@h\n', b'a:' + b'b' * 3000)]
h2_block += [b'\1:status:' + s for s in (b'200\na:b\n', b'103\n', b'99\n', b'20\n', b'204\ncontent-length:0\n',
                                       b'304\ncontent-length:7\n', b'200\ncontent-length:x\n')]
h2_block += [b'\2' + t for t in (b'a:b\n', b'', b'authorization:x\nt:v\n', b':path:/\n', b'T:v\n')]

for name, seeds in {
    'request_head': request_head, 'response_head': response_head, 'chunked': chunked, 'uri': uri,
    'date': date, 'h2_session': h2_session, 'h2_frames': h2_frames, 'h2_block': h2_block,
}.items():
    folder = HERE / 'corpus' / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)

"""Clients and origins that misbehave at random, many at a time: nothing crashes, nothing leaks, and
no byte of one response ever reaches another client.

Each request carries a token, and whatever looks like a complete response must be the one for that
token. The seeds are fixed: what a client does is the same in each run, only their interleaving
differs.
"""

import random
import threading

import pytest

from weirtest import Ended, chunks, request


def answer(rnd, req):
    """A response that says which request it answers, framed in one of all ways: bytes, and whether
    the connection can go on."""
    text = f"{req.target} {req.get('X-Token')} {len(req.body)} ".encode() * rnd.choice((1, 3, 200, 2000))
    kind = rnd.randrange(4)
    if req.method == "HEAD":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text), True
    if kind == 0:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(text[:7], text[7:]), True
    if kind == 1:
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text, False
    hint = b"HTTP/1.1 103 Hints\r\nX: y\r\n\r\n" if kind == 2 else b""
    return hint + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text, True


def moody(conn):
    """An origin that mostly answers."""
    rnd = random.Random(conn.number)
    while True:
        if rnd.random() < 0.1:
            req = conn.head()
            if req is None:
                return
            if rnd.random() < 0.5:
                conn.send(b"HTTP/1.1 403 Early\r\nContent-Length: 0\r\n\r\n")
            return
        if (req := conn.request()) is None:
            return
        data, goes_on = answer(rnd, req)
        mood = rnd.random()
        if mood < 0.05 and goes_on:     # of a close-delimited body nobody could tell
            conn.send(data[:rnd.randrange(len(data))])
            return
        if mood < 0.1:
            conn.send(data[:rnd.randrange(len(data))])
            conn.reset()
            return
        if mood < 0.15 and goes_on and len(data) < 8000:    # a larger one may arrive apart from it
            data += b"HTTP/1.1 200 Stray\r\nContent-Length: 5\r\n\r\nstray"
        conn.send(data)
        if not goes_on:
            return


def make(rnd, token):
    """A request, and its method."""
    method = rnd.choice(("GET", "GET", "GET", "HEAD", "POST", "PUT"))
    body = b"b" * rnd.choice((0, 1, 100, 20000)) if method in ("POST", "PUT") else b""
    fields = [f"X-Token: {token}"]
    if body and rnd.random() < 0.5:
        fields.append("Transfer-Encoding: chunked")
        raw = request(method, f"/{token}", *fields, body=chunks(body[:9], body[9:]))
    else:
        raw = request(method, f"/{token}", *fields, body=body)
    return method, raw, len(body)


def check(res, method, token, size):
    if res.status != 200:
        assert res.status in (403, 502), res
    elif method != "HEAD":
        want = f"/{token} {token} {size} ".encode()
        assert res.body == want * (len(res.body) // len(want)) and res.body, f"not the answer to {token}: {res.body[:80]}"


def play(p, seed, rounds):
    """One client: requests on connections that end in all possible ways."""
    rnd = random.Random(seed)
    client = None
    for i in range(rounds):
        client = client or p.client()
        batch = [(f"{seed}-{i}-{k}", *make(rnd, f"{seed}-{i}-{k}")) for k in range(rnd.choice((1, 1, 1, 4)))]
        raw = b"".join(r for _, _, r, _ in batch)
        mood = rnd.random()
        if mood < 0.1:
            client.send(raw[:rnd.randrange(len(raw))])
            client.reset() if rnd.random() < 0.5 else client.close()
            client = None
            continue
        client.send(raw, rnd.choice(("whole", "whole", rnd.randrange(1000))) if len(raw) < 2000 else "whole")
        if mood < 0.2:
            client.reset() if rnd.random() < 0.5 else client.close()
            client = None
            continue
        try:
            for token, method, _, size in batch:
                res = client.receive(method)
                check(res, method, token, size)
                if res.get("Connection") == "close":
                    client.close()
                    client = None
                    break
        except Ended:
            client.close()
            client = None


@pytest.mark.parametrize("workers", [1, 4])
def test_chaos(weir, origin, workers):
    origins = [origin(moody), origin(moody)]
    p = weir("--workers", workers, "--pool", 5, *origins)
    errors = []

    def run(seed):
        try:
            play(p, seed, 60)
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors

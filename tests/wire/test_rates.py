"""Events counted by key (<weir/limits.h>): one count for all workers, connections and versions, as
programs/limits.c answers with it. Its window is an hour; windows that end are unit tests."""

import concurrent.futures
import pathlib

import pytest

from weirtest import binary, request
from weirtest.h2 import h2

PROGRAM = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs/limits"


@pytest.fixture
def limits(weir):
    return lambda *args, listen="127.0.0.1:0": weir(
        "--listen", listen, "--access-log", "access.log", *args, "127.0.0.1:1", program=PROGRAM)


def test_of_one_client(limits):
    """Its connections count together; it is no other one."""
    p = limits()
    first, second = p.client(), p.client()
    other = p.client(source="127.0.0.2")
    for i, c in enumerate((first, second, first), 1):
        res = c.ask(request())
        assert res.get("Who") == "127.0.0.1"
        assert (res.get("Before"), res.get("Count")) == (str(i - 1), str(i))
        assert 3500 < int(res.get("Left")) < 3600
    res = other.ask(request())
    assert (res.get("Who"), res.get("Count")) == ("127.0.0.2", "1")


@pytest.mark.parametrize("listen, who", [("[::1]:0", "::1"), ("unix:{}/s", "unix:")])
def test_host_of_other_clients(limits, tmp_path, listen, who):
    p = limits(listen=listen.format(tmp_path))
    assert p.ask(request()).get("Who") == who


@pytest.mark.parametrize("listen, bits, who", [
    ("[::1]:0", 0, "::/64"), ("[::1]:0", 1, "::/1"), ("[::1]:0", 127, "::/127"),
    ("[::1]:0", 128, "::1/128"), ("[::1]:0", 200, "::1/128"),
    ("127.0.0.1:0", 8, "127.0.0.1"), ("unix:{}/s", 8, "unix:")])
def test_network_of_a_client(limits, tmp_path, listen, bits, who):
    """What one user of IPv6 has counts as one; nobody else shares his address."""
    p = limits(listen=listen.format(tmp_path))
    assert p.ask(request("GET", "/", f"Net: {bits}")).get("Who") == who


def test_any_bytes_are_a_key(limits):
    c = limits().client()
    keys = ["", "a", "A", "a,b", "a" * 8000, "a" * 7999 + "b", "\xe9"]
    for n in "12":
        assert [c.ask(request("GET", "/", f"Key: {key}")).get("Count") for key in keys] == \
            [n] * len(keys)


def test_of_all_workers(limits):
    """No two requests get the same number, and none is left out."""
    p = limits("--workers", "4")

    def ask(i):
        c = p.client()
        return [int(c.ask(request("GET", "/", "Key: k")).get("Count")) for _ in range(50)]

    def streams():
        c = h2(p)
        opened = [c.get("/", ("key", "k")) for _ in range(50)]
        for st in opened:
            c.receive(st)
        c.close()
        return [int(st.get("count")) for st in opened]
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        jobs = [pool.submit(ask, i) for i in range(8)] + [pool.submit(streams)]
        counts = [n for job in jobs for n in job.result()]
    assert sorted(counts) == list(range(1, 451))

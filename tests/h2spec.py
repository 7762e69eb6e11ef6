#!/usr/bin/python3
"""Runs `h2spec --strict` against the real binary, over TLS and by prior knowledge (h2c).

usage: h2spec.py WEIR H2SPEC FOLDER

The last line is `PASSED FAILED SKIPPED`, as ./dev counts cases; what failed stands before it.
"""

import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent / "wire"))

from weirtest import Origin, Proxy, serve  # noqa: E402
from weirtest.tls import Authority  # noqa: E402


PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000


def run(h2spec, address, *options):
    host, port = address
    done = subprocess.run([h2spec, "--strict", "-h", host, "-p", str(port), "-P", "/", *options],
                          capture_output=True, text=True, timeout=240)
    counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout)
    if not counts or counts[4] != "0":
        print(done.stdout, done.stderr)
    return [int(n) for n in counts.groups()] if counts else [1, 0, 0, 1]


def main(weir, h2spec, folder):
    os.environ["WEIR_BIN"] = weir
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    crt, key = Authority(folder).certificate("site", "localhost")
    origin = Origin(serve(PAGE))    # long enough for the cases about windows
    proxy = Proxy(folder, "--h2c", "--cert", crt, "--key", key, origin.name,
                  listen_tls=("127.0.0.1:0",))
    try:
        plain = run(h2spec, proxy.addresses[0])
        secure = run(h2spec, proxy.addresses[1], "-t", "-k")
        origin.stop()
    finally:
        proxy.finish()
    total = [a + b for a, b in zip(plain, secure)]
    print(total[1], total[3], total[2])
    return 0 if total[3] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

"""A certificate for the proxies, made anew for each measurement."""

import os
import subprocess
from dataclasses import dataclass

from lib import BenchError

OPENSSL = "/usr/bin/openssl"


@dataclass
class Certificate:
    cert: str
    key: str
    both: str       # one behind the other, as HAProxy wants them


def make_certificate(directory):
    """ECDSA P-256 for bench.example, signed by itself, good for a day."""
    cert, key, both = (os.path.join(directory, name)
                       for name in ("cert.pem", "key.pem", "both.pem"))
    try:
        run = subprocess.run(
            [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=bench.example",
             "-addext", "subjectAltName=DNS:bench.example,IP:127.0.0.1"],
            capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except OSError as e:
        raise BenchError(f"{OPENSSL}: {e.strerror}: apt-get install --no-install-recommends "
                         "openssl") from e
    if run.returncode:
        raise BenchError(f"{OPENSSL} made no certificate: {run.stderr.strip()}")
    os.chmod(key, 0o600)
    with open(both, "w") as out:
        for path in cert, key:
            with open(path) as f:
                out.write(f.read())
    os.chmod(both, 0o600)
    return Certificate(cert, key, both)

"""Certificates for a test, made by the openssl of Debian, and the contexts that use them."""

import ssl
import subprocess

OPENSSL = "/usr/bin/openssl"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """A CA below `folder`: ca.crt, and what it signs."""

    def __init__(self, folder, name="a test's CA"):
        self.folder = folder
        self.ca = folder / "ca.crt"
        self._run("req", "-x509", *CURVE, "-keyout", "ca.key", "-out", self.ca, "-days", "2",
                  "-subj", f"/CN={name}")

    def _run(self, *args):
        done = subprocess.run([OPENSSL, *map(str, args)], cwd=self.folder, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr

    def _sign(self, file, names, key=CURVE, ca="ca", days="2", extra=""):
        crt, secret, csr = (self.folder / f"{file}.{end}" for end in ("crt", "key", "csr"))
        alternatives = ",".join(n if n.startswith("IP:") else f"DNS:{n}" for n in names)
        ext = self.folder / f"{file}.ext"
        ext.write_text((f"subjectAltName={alternatives}\n" if names else "") + extra)
        self._run("req", "-new", *key, "-keyout", secret, "-out", csr, "-subj", f"/CN={file}")
        self._run("x509", "-req", "-in", csr, "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
                  "-CAcreateserial", "-days", days, "-extfile", ext, "-out", crt)
        secret.chmod(0o600)
        return crt, secret

    def certificate(self, file, *names, key="ec"):
        """`file`.crt and `file`.key for these names ("origin.test", "IP:127.0.0.1"); their paths.
        `key`: "ec", or what openssl calls another ("rsa:4096")."""
        return self._sign(file, names, CURVE if key == "ec" else ("-newkey", key, "-nodes"))

    def self_signed(self, file, *names):
        """One that nobody else vouches for."""
        crt, key = (self.folder / f"{file}.{end}" for end in ("crt", "key"))
        self._run("req", "-x509", *CURVE, "-keyout", key, "-out", crt, "-days", "2", "-subj",
                  f"/CN={file}", "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names))
        return crt, key

    def expired(self, file, *names):
        """One that was good until yesterday."""
        return self._sign(file, names, days="-1")

    def chained(self, file, *names):
        """One that another CA signed, which this one did: both are in the file."""
        between, _ = self._sign("between", (), extra="basicConstraints=critical,CA:TRUE\n")
        crt, key = self._sign(file, names, ca="between")
        crt.write_bytes(crt.read_bytes() + between.read_bytes())
        return crt, key

    def server(self, file, *names, alpn=("http/1.1",)):
        """A context for `Origin(tls=...)`, with a certificate of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate(file, *names))
        context.set_alpn_protocols(list(alpn))
        return context

    def client(self, alpn=()):
        """A context for `Client(tls=...)` that trusts this CA and nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

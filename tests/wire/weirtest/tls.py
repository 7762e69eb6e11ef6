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

    def certificate(self, file, *names):
        """`file`.crt and `file`.key for these names ("origin.test", "IP:127.0.0.1"); their paths."""
        crt, key, csr = (self.folder / f"{file}.{end}" for end in ("crt", "key", "csr"))
        alternatives = ",".join(n if n.startswith("IP:") else f"DNS:{n}" for n in names)
        ext = self.folder / f"{file}.ext"
        ext.write_text(f"subjectAltName={alternatives}\n")
        self._run("req", "-new", *CURVE, "-keyout", key, "-out", csr, "-subj", "/CN=test")
        self._run("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", "ca.key", "-CAcreateserial",
                  "-days", "2", "-extfile", ext, "-out", crt)
        key.chmod(0o600)
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

"""Programs made with the library: compiled against an installed copy, as a user would, and run in a
network namespace of their own, where the ports that they name are free.

The copy is what `meson install` makes of the build that the binary under test belongs to; a build
with sanitizers makes programs with sanitizers.
"""

import ctypes
import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess

from .proxy import ROOT, binary

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
LINKAGES = ("shared", "static")


class Installed:
    """`meson install` into a folder, and the compiler commands of the README against it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        build = pathlib.Path(binary()).resolve().parents[1]
        self._run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"],
                  DESTDIR=str(self.folder))
        self.lib = next(self.folder.rglob("libweir.a")).parent
        options = json.loads(self._run(["meson", "introspect", build, "--buildoptions"]))
        kinds = next(o["value"] for o in options if o["name"] == "b_sanitize")
        self.extra = ["-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
        self.extra += [f"-fsanitize={kinds}"] if kinds != "none" else []
        self.made = {}

    def _run(self, command, **env):
        done = subprocess.run([str(c) for c in command], env={**os.environ, **env}, text=True,
                              capture_output=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _config(self, *what):
        return self._run(["pkg-config", *what, "weir"], PKG_CONFIG_SYSROOT_DIR=str(self.folder),
                         PKG_CONFIG_PATH=str(self.lib / "pkgconfig")).split()

    def compile(self, source, linkage="shared"):
        """The path of the program; each is made once."""
        source = pathlib.Path(source)
        if (source, linkage) not in self.made:
            out = self.folder / f"{source.stem}{len(self.made)}-{linkage}"
            if linkage == "shared":
                libs = self._config("--libs")
            else:
                libs = [flag for flag in self._config("--static", "--libs") if flag != "-lweir"]
                libs.insert(0, self.lib / "libweir.a")
            self._run(["cc", source, "-o", out, *self.extra, *self._config("--cflags"), *libs])
            self.made[source, linkage] = out
        return self.made[source, linkage]

    def check(self, source):
        """Only that it compiles."""
        self._run(["cc", "-fsyntax-only", *self.extra, "-Wno-unused-function", source,
                   *self._config("--cflags")])

    @property
    def env(self):
        return {"LD_LIBRARY_PATH": str(self.lib)}


class Network:
    """A network namespace for the calling thread, and what it starts from now on."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self):
        """False if this machine lets us have none."""
        if self.libc.unshare(CLONE_NEWNET) != 0:
            return False
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
        return True

    def leave(self):
        assert self.libc.setns(self.before, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(self.before)


def lines_of_code(source):
    """As the reference counts: lines that are neither blank nor comment."""
    count, comment = 0, False
    for line in pathlib.Path(source).read_text().splitlines():
        line = line.strip()
        if comment:
            comment = "*/" not in line
        elif line.startswith("/*"):
            comment = "*/" not in line
        elif line:
            count += 1
    return count


def examples():
    return sorted((ROOT / "examples").glob("*.c"))

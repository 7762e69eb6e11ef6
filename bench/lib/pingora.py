"""Pingora: in no package of Debian, so its smallest proxy (bench/pingora) is built by cargo, where
there is one that is new enough. Its dependencies are fixed by the lock file beside it."""

import os
import re
import shutil
import subprocess

OLDEST = (1, 84)
BUILD_SECONDS = 1500


def version_of(cargo):
    run = subprocess.run([cargo, "--version"], capture_output=True, text=True, timeout=30)
    found = re.search(r"(\d+)\.(\d+)", run.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def program(build):
    return os.path.join(os.path.dirname(os.path.abspath(build)), "pingora", "release",
                        "pingora-relay")


def make(root, build):
    """None if it is there now, else why it cannot be."""
    crate, path = os.path.join(root, "bench", "pingora"), program(build)
    sources = [os.path.join(crate, f) for f in ("Cargo.toml", "Cargo.lock", "src/main.rs")]
    if os.path.exists(path) and os.path.getmtime(path) > max(map(os.path.getmtime, sources)):
        return None
    cargo = shutil.which("cargo")
    if not cargo:
        return "no cargo"
    if version_of(cargo) < OLDEST:
        return "cargo is older than 1.84"
    print("building Pingora's proxy, which takes some minutes", flush=True)
    try:
        run = subprocess.run(
            [cargo, "build", "--release", "--locked", "--quiet",
             "--manifest-path", os.path.join(crate, "Cargo.toml"),
             "--target-dir", os.path.dirname(os.path.dirname(path))],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        return f"cargo did not end within {BUILD_SECONDS} s"
    return None if run.returncode == 0 else f"cargo failed: {run.stderr.strip()[-300:]}"

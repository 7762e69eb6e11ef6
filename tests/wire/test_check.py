"""-t: what is wrong is told, all of it; nothing is bound, nothing made."""

import os
import re
import socket
import subprocess

import pytest

from weirtest import binary, run
from weirtest.proxy import environment, no_reports

quick = pytest.mark.quick
UP = "127.0.0.1:9"


def check(tmp_path, *args):
    done = run(tmp_path, "proxy", *args)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


@quick
@pytest.mark.parametrize("flag", ["-t", "--test"])
def test_all_is_well(tmp_path, flag):
    assert check(tmp_path, flag, UP, "unix:/x", "[::1]:80", "localhost:80") == (0, ["configuration ok"])
    assert check(tmp_path, UP, "--workers", "2", flag) == (0, ["configuration ok"])


@quick
def test_nothing_is_bound(tmp_path):
    """An address in use is no error of the configuration: the process that is to be replaced has
    it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        listen = f"127.0.0.1:{sock.getsockname()[1]}"
        assert check(tmp_path, "-t", "--listen", listen, UP) == (0, ["configuration ok"])
    path = tmp_path / "w"
    assert check(tmp_path, "-t", "--listen", f"unix:{path}", UP)[0] == 0
    assert not path.exists()


@quick
def test_logs(tmp_path):
    """They are neither opened nor made, but asked for."""
    assert check(tmp_path, "-t", "--access-log", "a.log", "--error-log", f"{tmp_path}/e.log", UP)[0] == 0
    assert os.listdir(tmp_path) == []
    code, lines = check(tmp_path, "-t", "--access-log", "/nonexistent/a", "--error-log", "/nonexistent/e", UP)
    assert code == 1 and len(lines) == 2
    assert lines[0] == 'weir: --access-log: "/nonexistent/a" cannot be opened: No such file or directory'
    assert lines[1].startswith("weir: --error-log: ")


@quick
def test_usage(tmp_path):
    """A wrong command line: exit code 2, every error, and no consequences of them."""
    code, lines = check(tmp_path, "-t", "--timeout-header", "5", "--lisen", "--max-head=x", "127.0.0.1")
    assert code == 2
    words = ["--timeout-header", "--lisen", "--max-head", "127.0.0.1"]
    assert len(lines) == 4 and all(w in line for w, line in zip(words, lines)), lines
    assert all(line.startswith("weir: ") for line in lines)


@quick
def test_a_start_tells_all_errors_too(tmp_path):
    code, lines = check(tmp_path, "--timeout-header", "5", "--grace", "x", UP)
    assert code == 2 and len(lines) == 2


def test_more_errors_than_fit(tmp_path):
    code, lines = check(tmp_path, "-t", *[f"--nonsense-{i:03d}=" + "x" * 80 for i in range(200)], UP)
    assert code == 2 and 20 < len(lines) < 200
    assert re.fullmatch(rf"weir: and {200 - len(lines) + 1} more", lines[-1])


def no_network():
    return os.geteuid() != 0 or os.system("unshare -n true 2>/dev/null") != 0


@quick
@pytest.mark.skipif(no_network(), reason="no network namespaces")
def test_names(tmp_path):
    """Each name without an address is an error, though a start would only warn of an upstream's."""
    done = subprocess.run(
        ["unshare", "-n", binary(), "proxy", "-t", "--listen", "no-such-listener.invalid:80",
         "no-such-host.invalid:80", UP, "nor-this.invalid:80"],
        capture_output=True, text=True, timeout=30, cwd=tmp_path, env=environment(tmp_path))
    no_reports(tmp_path)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 3, done.stderr
    assert "cannot listen on no-such-listener.invalid:80" in lines[0]
    assert 'upstream "no-such-host.invalid:80" was not resolved' in lines[1]
    assert 'upstream "nor-this.invalid:80" was not resolved' in lines[2]


@quick
def test_help_wins(tmp_path):
    done = run(tmp_path, "proxy", "-t", "--help", "--nonsense")
    assert done.returncode == 0 and "--test" in done.stdout

"""Fixtures: `origin(script...)` and `weir(upstream..., options...)`, both ended with the test."""

import faulthandler
import os
import signal
import subprocess
import sys

import pytest

sys.dont_write_bytecode = True

from weirtest import Authority, Installed, Network, Origin, Proxy, binary  # noqa: E402
from weirtest.proxy import ROOT  # noqa: E402

LIMIT = 300                     # seconds for a test, fixtures included; the longest takes some 20
collect_ignore = [] if os.environ.get("WEIR_FAULT_BUILD") else ["test_fault.py"]


def pytest_sessionstart(session):
    """Without a binary there is nothing to test: let ./dev build one."""
    if not os.path.exists(binary()) and not session.config.option.collectonly:
        built = subprocess.run([ROOT / "dev", "build"], stdout=subprocess.PIPE, text=True)
        if built.returncode or not built.stdout.strip():
            pytest.exit(f"no {binary()}, and ./dev build failed", 1)
        os.environ["WEIR_BIN"] = built.stdout.strip().splitlines()[-1]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails, and tells where each of its threads was."""
    def ended(number, frame):
        faulthandler.dump_traceback()
        raise AssertionError(f"not over after {LIMIT} s")
    signal.signal(signal.SIGALRM, ended)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)


def all_of(calls):
    """Calls each, though others fail; raises the first failure at the end."""
    errors = []
    for call in calls:
        try:
            call()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def origin():
    """origin(*scripts, address=...) starts one; see weirtest/origin.py."""
    started = []

    def start(*scripts, **options):
        started.append(Origin(*scripts, **options))
        return started[-1]
    start.stop = lambda: all_of([o.stop for o in started])
    yield start
    start.stop()


@pytest.fixture
def weir(origin, tmp_path):
    """weir(*upstreams and options) starts `weir proxy`; see weirtest/proxy.py.

    At the end clients go first, then origins: what the proxy still holds then is leaked."""
    started = []

    def start(*args, **options):
        folder = tmp_path / f"weir{len(started)}"
        folder.mkdir()
        started.append(Proxy(folder, *[a.name if isinstance(a, Origin) else a for a in args], **options))
        return started[-1]
    yield start
    all_of([p.close_clients for p in started] + [origin.stop] + [p.finish for p in started])


@pytest.fixture
def authority(tmp_path):
    """Whoever signs this test's certificates."""
    return Authority(tmp_path)


@pytest.fixture
def other(tmp_path):
    """And one whom the first does not know."""
    folder = tmp_path / "other"
    folder.mkdir()
    return Authority(folder, "another CA")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """An installed copy, for programs of their own; see weirtest/program.py."""
    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def network():
    """A network namespace of this test: whatever ports a program names are free there. First among
    a test's fixtures, so that what others start is in it."""
    network = Network()
    if not network.enter():
        pytest.skip("no namespaces")
    yield network
    network.leave()

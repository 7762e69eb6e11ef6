"""docs/conformance.md: each test that it names is there, over the versions that it says."""

import pathlib
import re
import subprocess
import sys

import pytest

from weirtest.proxy import ROOT

NAMED = re.compile(r"`(test_\w+\.py::test_\w+)(?:\[([^\]]+)\])?`")
ROWS = re.compile(r"^\| (?!row |---)([^|]+) \|[^|]+\| ([^|]+) \|$", re.M)


@pytest.fixture(scope="module")
def collected():
    """Test: the parameters it has, as pytest names them."""
    here = pathlib.Path(__file__).parent
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "addopts=",
                           "--collect-only", "-q", here], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    found = {}
    for line in done.stdout.splitlines():
        name, _, parameters = line.partition("[")
        found.setdefault(name.rpartition("/")[2], []).append(f"-{parameters.rstrip(']')}-")
    return found


@pytest.mark.quick
def test_every_row_is_shown(collected):
    rows = ROWS.findall((ROOT / "docs/conformance.md").read_text())
    assert len(rows) > 50, "the tables cannot be read"
    missing = []
    for row, shown in rows:
        tests = NAMED.findall(shown)
        if not tests and "out of scope" not in shown and row != "origin_alive":
            missing.append(f"{row}: no test")
        for name, variants in tests:
            known = collected.get(name, [])
            missing += [f"{row}: {name} {v}" for v in variants.split(", ")
                        if not any(not v or f"-{v}-" in k for k in known)]
    assert not missing, "\n".join(missing)

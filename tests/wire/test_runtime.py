"""<weir/runtime.h> as programs without HTTP use it: programs/runtime.c, streams.c and
endings.c are tables of checks, each of which ends its process with 3 if something does not hold."""

import pathlib
import subprocess

import pytest

from weirtest import WAIT, binary
from weirtest.proxy import environment, no_reports

PROGRAMS = pathlib.Path(binary()).resolve().parents[1] / "tests/wire/programs"


def check(folder, program, *args, code=0):
    done = subprocess.run([PROGRAMS / program, *args], capture_output=True, text=True, cwd=folder,
                          env=environment(folder), stdin=subprocess.DEVNULL, timeout=6 * WAIT)
    no_reports(folder)
    assert done.returncode == code, f"{done.returncode}, not {code}:\n{done.stderr[-4000:]}"
    return done.stderr


@pytest.mark.parametrize("workers", ["1", "4"])
@pytest.mark.parametrize("name", ["outside", "strands", "races", "scopes", "blocking"])
def test_coroutines(tmp_path, name, workers):
    check(tmp_path, "runtime", name, "--workers", workers)


@pytest.mark.parametrize("workers", ["1", "4"])
@pytest.mark.parametrize("name", ["addresses", "no_listener", "both_ends", "elsewhere", "cut_off",
                                  "many"])
def test_streams(tmp_path, name, workers):
    check(tmp_path, "streams", name, "--workers", workers)


@pytest.mark.parametrize("name", ["stopped", "stopped_in_a_scope", "ended"])
def test_what_was_spawned_is_over_before_the_end(tmp_path, name):
    check(tmp_path, "endings", name, "--grace", "100ms")


@pytest.mark.parametrize("name, words", [("failed", "the upstream's name has no address"),
                                         ("canceled", "the request was cancelled")])
def test_an_error_ends_the_program(tmp_path, name, words):
    assert words in check(tmp_path, "endings", name, code=1)


def test_one_server_at_a_time(tmp_path):
    said = check(tmp_path, "endings", "twice")
    assert said.count("another: weir_server_run: another server runs in this process") == 2

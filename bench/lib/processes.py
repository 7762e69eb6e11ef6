"""Processes of a measurement: started on a core, watched, asked what they cost, ended for certain.

Every process gets a process group of its own and dies with us; only groups we made are signalled.
"""

import contextlib
import ctypes
import os
import re
import resource
import select
import signal
import socket
import subprocess
import time

from lib import BenchError

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 10
FILES = 1 << 16
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def raise_file_limit():
    """What we start inherits it: 10,000 connections need two descriptors each in a proxy, and peers
    complain without. Where we may not raise the hard limit we live with it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < FILES:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
            return FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def check_cores(cores):
    missing = set(cores) - os.sched_getaffinity(0)
    if missing:
        raise BenchError("this process may not use core %s: a measurement needs one for the proxy "
                         "and one for the load" % sorted(missing)[0])


def go_first(task, rank=1):
    """Whatever shares its core waits for it, but for who has a higher rank. False: we may not do
    that, which needs root."""
    try:
        os.sched_setscheduler(task, os.SCHED_FIFO, os.sched_param(rank))
    except PermissionError:
        return False
    return True


def go_last(pid):
    """It runs when its core has nothing else to do. Also for a thread, by its own number."""
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def free_port():
    """A port nobody listens on, outside the range that outgoing connections take theirs from."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise BenchError("no free port between 20000 and 32000")


class Process:
    """One program, pinned to `cores`. stdin and stdout are pipes, stderr goes to `log`."""

    def __init__(self, name, argv, cores, log, environment=None):
        self.name, self.log = name, log
        self.buffered = b""

        def in_child():
            os.sched_setaffinity(0, cores)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(log, "wb") as stderr:
            try:
                self.popen = subprocess.Popen(
                    argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                    env={**os.environ, **(environment or {})},
                    start_new_session=True, preexec_fn=in_child, bufsize=0)
            except OSError as e:
                raise BenchError(f"{name}: {argv[0]}: {e.strerror}") from e
        self.pid = self.popen.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def said(self):
        """The end of its stderr, for error messages."""
        with open(self.log, "rb") as f:
            return f.read().decode(errors="replace").strip()[-2000:] or "(it said nothing)"

    def check_alive(self):
        status = self.popen.poll()
        if status is not None:
            how = f"signal {-status}" if status < 0 else f"status {status}"
            raise BenchError(f"{self.name} died with {how}: {self.said()}")

    def line(self, seconds, what):
        """The next line of its stdout."""
        end = time.monotonic() + seconds
        while b"\n" not in self.buffered:
            ready = select.select([self.popen.stdout], [], [], max(0, end - time.monotonic()))[0]
            piece = os.read(self.popen.stdout.fileno(), 65536) if ready else b""
            if not ready:
                raise BenchError(f"{self.name}: no {what} within {seconds} s: {self.said()}")
            if not piece:
                self.popen.wait()
                self.check_alive()
            self.buffered += piece
        line, self.buffered = self.buffered.split(b"\n", 1)
        return line.decode()

    def write(self, text):
        try:
            self.popen.stdin.write(text.encode())
        except OSError as e:
            raise BenchError(f"{self.name} does not listen any more: {self.said()}") from e

    def wait_until(self, condition, what):
        """Asks again and again, as long as it lives, at most START_SECONDS."""
        end = time.monotonic() + START_SECONDS
        while not (found := condition()):
            self.check_alive()
            if time.monotonic() > end:
                raise BenchError(f"{self.name}: {what} within {START_SECONDS} s: {self.said()}")
            time.sleep(0.005)
        return found

    def wait_ready_line(self):
        """The address that the program says it listens on."""
        def find():
            with open(self.log, "rb") as f:
                found = re.search(rb"^listening on (\S+)", f.read(), re.M)
            return found and found.group(1).decode()
        return self.wait_until(find, "did not say that it listens")

    def wait_port(self, port):
        def find():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        self.wait_until(find, f"did not listen on port {port}")
        return f"127.0.0.1:{port}"

    def signal_group(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self):
        """SIGTERM, and SIGKILL for what is left of the group after 5 s."""
        for pipe in self.popen.stdin, self.popen.stdout:
            pipe.close()
        if self.popen.poll() is None:
            self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        self.signal_group(signal.SIGKILL)
        self.popen.wait()

    # What it costs ------------------------------------------------------------------------------

    def pids(self):
        """It and all its descendants."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    parents.setdefault(int(stat_fields(int(entry))[1]), []).append(int(entry))
        found = [self.pid]
        for pid in found:
            found.extend(parents.get(pid, []))
        return found

    def tasks(self):
        """All threads of all its processes, as (pid, number)."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(OSError):
                found += [(pid, int(task)) for task in os.listdir(f"/proc/{pid}/task")]
        return found

    def cpu(self):
        """Its use of the processor so far, all processes, all threads."""
        ran = user = system = 0
        tasks = self.tasks()
        for pid, task in tasks:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat") as f:
                ran += int(f.read().split()[0])
        for pid in {pid for pid, _ in tasks}:
            with contextlib.suppress(OSError):
                fields = stat_fields(pid)
                user += int(fields[11])
                system += int(fields[12])
        return {"ns": ran, "user_ticks": user, "system_ticks": system}


def stat_fields(pid):
    """/proc/PID/stat from the third field on; the second, the name, may contain anything."""
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()


def core_ticks(core):
    """Busy and stolen ticks of a core since boot, everybody's."""
    with open("/proc/stat") as f:
        for line in f:
            name, *values = line.split()
            if name == f"cpu{core}":
                user, nice, system, _idle, _io, irq, softirq, steal = map(int, values[:8])
                return {"busy": user + nice + system + irq + softirq, "steal": steal}
    raise BenchError(f"/proc/stat knows no core {core}")

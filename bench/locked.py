#!/usr/bin/python3
"""Counts the instructions of a proxied request, and those of them that lock the bus.

usage: locked.py BUILD [--most N] [--where]

Kept connections, 1 KiB, one worker. callgrind counts how often each instruction of `weir` runs,
for two numbers of requests: the difference is theirs alone. objdump tells which instructions are
locked: those with a lock prefix, and an exchange with memory (a sequentially consistent store is
one). It counts and measures no time, so it does not matter what else the machine does. What a
worker does once a turn is told apart: how many requests share a turn depends on when they come.
Exit 1: more than `--most` locked ones a request; 77: it cannot be counted here. --where lists them.
"""

import argparse
import collections
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

FEW, MANY = 256, 768            # requests
LOAD = ["-c", "16", "--length", "1024", "--timeout", "100s"]
TURN = "worker_main"
LOCKED = re.compile(r"^lock |^xchg .*\(|^mfence")


def skip(why):
    print(f"SKIP locked: {why}")
    sys.exit(77)


def start(command, pattern):
    """A program, and the address that it says it listens on."""
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True)
    for line in program.stderr:
        if found := re.search(pattern, line):
            return program, found.group(1)
    raise SystemExit(f"{command[0]} ended with status {program.wait()}")


def stop(program):
    program.terminate()
    program.communicate()


def profile(build, requests, out):
    """Serves so many requests under callgrind."""
    origin, upstream = start([f"{build}/bench/origin", "127.0.0.1:0"], r"(127\.0\.0\.1:\d+)")
    weir, address = start(
        ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-strings=no",
         "--compress-pos=no", f"--callgrind-out-file={out}", f"{build}/gateway/weir", "proxy",
         "--listen", "127.0.0.1:0", "--workers", "1", "--access-log", "off", upstream],
        r"^listening on (\S+)")
    try:
        subprocess.run([f"{build}/bench/load", "-n", str(requests), *LOAD, address], check=True,
                       stdout=subprocess.DEVNULL)
    finally:
        stop(weir)
        stop(origin)


def read(path):
    """How often each instruction ran: (object, address, function) -> count."""
    counts = collections.Counter()
    program = function = None
    of_call = False
    with open(path) as lines:
        for line in lines:
            if line.startswith("ob="):
                program = line[3:-1]
            elif line.startswith("fn="):
                function = line[3:-1]
            elif line.startswith("calls="):
                of_call = True          # the next line has what the callee cost
            elif line.startswith("0x"):
                if not of_call:
                    address, _, count = line.split()
                    counts[program, int(address, 16), function.split("'")[0]] += int(count)
                of_call = False
    return counts


def locked_in(program):
    """The addresses of its locked instructions."""
    if not os.path.exists(program):
        return set()
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], check=True,
                          capture_output=True, text=True).stdout
    found = re.findall(r"^ *([0-9a-f]+):\t(.*)$", text, re.M)
    return {int(address, 16) for address, code in found if LOCKED.match(code)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--most", type=float)
    parser.add_argument("--where", action="store_true")
    args = parser.parse_args()
    if platform.machine() != "x86_64":
        skip("only x86-64 tells by its instructions")
    if not shutil.which("valgrind") or not shutil.which("objdump"):
        skip("no valgrind or no objdump")
    with tempfile.TemporaryDirectory() as folder:
        few, many = f"{folder}/few", f"{folder}/many"
        profile(args.build, FEW, few)
        profile(args.build, MANY, many)
        counts = read(many)
        counts.subtract(read(few))
    all_locked = {program: locked_in(program) for program in {key[0] for key in counts}}
    places = collections.Counter()
    for (program, address, function), count in counts.items():
        if address in all_locked[program]:
            places[function] += count / (MANY - FEW)
    turns = places.pop(TURN, 0)
    total = sum(places.values())
    print(f"{sum(counts.values()) / (MANY - FEW):.0f} instructions a request; {total:.1f} locked, "
          f"and {turns:.1f} of turns")
    if args.where:
        for function, count in places.most_common():
            print(f"{count:8.2f}  {function}")
    if args.most is not None and total > args.most:
        print(f"more than {args.most:g} locked")
        sys.exit(1)


main()

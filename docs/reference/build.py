#!/usr/bin/python3
"""build.py [--self-test] -- the reference of the public headers: build/reference/html/index.html.

Prints FILE:LINE: what is not documented, and ends with 1 if anything is. Doxygen finds files,
structs, fields, functions, types and macros without a comment; this script finds values of an
enum that neither have one nor are named by that of their enum, and functions of which neither
their comment nor the file's first one says whether they block. --self-test takes comments away and
proves that each is missed."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
HEADERS = os.path.join(ROOT, 'include/weir')


def words(node):
    """Those that a comment says of it, not of what is inside it."""
    parts = [node.find('briefdescription'), node.find('detaileddescription')]
    return set(re.findall(r'\w+', ' '.join(' '.join(p.itertext()) for p in parts)))


def bare_values(enum):
    values, told = enum.findall('enumvalue'), words(enum)
    for value in values if len(values) > 1 or not told else []:
        word = value.findtext('name')
        named = {word, word.split('_', 1)[-1], word.rsplit('_', 1)[-1]} & told
        if not named and not words(value):
            yield f'no comment names {word}'


def silent(function):
    if not {'block', 'blocks', 'Blocks'} & words(function):
        yield f'no comment says whether {function.findtext("name")} blocks'


def own_findings(output):
    for name in sorted(os.listdir(os.path.join(output, 'xml'))):
        file = xml.parse(os.path.join(output, 'xml', name)).find('compounddef')
        if file is None or file.get('kind') != 'file':
            continue
        look = {'enum': bare_values}
        if not {'None', 'blocks'} <= words(file):
            look['function'] = silent
        for member in file.iter('memberdef'):
            at = member.find('location')
            for why in look.get(member.get('kind'), lambda _: [])(member):
                yield f'{at.get("file")}:{at.get("line")}: error: {why}'


def build(headers, output):
    """Builds it, and returns the findings."""
    shutil.rmtree(output, ignore_errors=True)
    os.makedirs(output)
    with open(os.path.join(ROOT, 'docs/reference/Doxyfile'), encoding='utf-8') as file:
        settings = file.read() + f'INPUT = "{headers}"\nOUTPUT_DIRECTORY = "{output}"\n' \
            f'STRIP_FROM_PATH = "{os.path.dirname(headers)}"\n'
    done = subprocess.run(['/usr/bin/doxygen', '-'], input=settings, text=True, cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    found = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0 and not found:
        found.append(f'doxygen ended with {done.returncode}')
    return found + list(own_findings(output))


# What is taken out of which header, and what is then said to lack a comment.
GONE = [
    ('lb.h', r'/\* One backend more.*?\*/', 'weir_lb_add'),
    ('limits.h', r'/\* How long this key.*?\*/', 'weir_rate_left'),
    ('head.h', r'/\* Is there at least one.*?\*/', 'weir_head_has'),
    ('proxy.h', r'/\* \[60s\] a kept-alive connection \*/', 'idle_timeout'),
    ('proxy.h', r'/\* The request has failed, .*?\*/', 'fail_to_proxy'),
    ('fetch.h', r'/\* How to fetch; .*?\*/', 'weir_fetch_options'),
    ('session.h', r'/\* "TLSv1.3", .*?\*/', 'version'),
    ('runtime.h', r'/\* Cancelled\? .*?\*/', 'weir_canceled'),
    ('str.h', r'/\* For a bound .*?\*/', 'WEIR_UNLIMITED'),
    ('peer.h', r'/\* Versions of HTTP.*?\*/', 'WEIR_H1'),
    ('session.h', r'/\* how long the client.*?\*/', 'WEIR_TIMEOUT_IDLE'),
    ('module.h', r'WEIR_BR \(brotli\), ', 'WEIR_BR'),
    ('fetch.h', r'It lives as long as the session. Never blocks.', 'weir_fetched_body'),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, 'weir')
        shutil.copytree(HEADERS, copy)
        for header, comment, _ in GONE:
            path = os.path.join(copy, header)
            with open(path, encoding='utf-8') as file:
                text, count = re.subn(comment, '', file.read(), count=1, flags=re.DOTALL)
            assert count == 1, f'{header} has no such comment: {comment}'
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
        found = build(copy, os.path.join(folder, 'out'))
    missed = [name for _, _, name in GONE
              if not any(re.search(rf'\b{name}\b', line.split(':', 2)[-1]) for line in found)]
    for name in missed:
        print(f'self-test: {name} has no comment, and nobody says so')
    return missed


def main():
    found = self_test() if '--self-test' in sys.argv[1:] else \
        build(HEADERS, os.path.join(ROOT, 'build/reference'))
    for line in found:
        print(line)
    return 1 if found else 0


sys.exit(main())

#!/usr/bin/python3
"""docs.py [--write] -- in every Markdown file of the repository relative links, their anchors, and
paths in backticks exist; docs/errors.md is what the table of include/weir/error.h says (--write
makes it so); docs/log.md has every name that a log record may have."""
import os
import re
import sys

FOLDERS = ('src/', 'include/', 'tests/', 'docs/', 'bench/', 'fuzz/', 'gateway/', 'examples/',
           'packaging/')
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
# A source file or a folder; what has neither extension nor slash is a program that a build made.
PATH = re.compile(r'`((?:%s)(?:[\w./-]*/|[\w./-]*\.\w+)?)`' % '|'.join(FOLDERS))
FENCE = re.compile(r'^```.*?^```', re.MULTILINE | re.DOTALL)


def read(path):
    with open(path, encoding='utf-8') as file:
        return FENCE.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), file.read())


def anchors(path):
    """The anchors that a Markdown reader makes of the headings."""
    for title in re.findall(r'^#+ +(.*)$', read(path), re.MULTILINE):
        yield re.sub(r'[^\w -]', '', title.strip().lower()).replace(' ', '-')


def link_fault(page, link):
    if re.match(r'[a-z]+:', link):
        return None
    path, _, anchor = link.partition('#')
    target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
    if not os.path.exists(target):
        return f'{link}: no such file'
    if anchor and target.endswith('.md') and anchor not in anchors(target):
        return f'{link}: no such heading'
    return None


def faults(page):
    text = read(page)
    for match in LINK.finditer(text):
        why = link_fault(page, match.group(1))
        if why:
            yield text.count('\n', 0, match.start()) + 1, why
    for match in PATH.finditer(text):
        if not os.path.exists(match.group(1)):
            yield text.count('\n', 0, match.start()) + 1, f'{match.group(1)}: no such file'


ROW = re.compile(r'X\((\w+), +-\d+, +"(\w+)", +(\w+), +(\d+), +"([^"]*)"\)')
ERRORS = """# Errors: the words of `why=`

What a request failed with stands in both logs as `why` ([log.md](log.md)), one word of this page. The
client gets the status, unless a head was sent to it before: then the connection ends, so that a message
that was cut off does not look complete. A dash: nothing is sent in any case. The phases of a proxy
meet an error as the constant; `weir_error_why`, `_text`, `_status` and `_source` of
[error.h](../include/weir/error.h) read the same table. A phase that fails by `weir_fail` gives status
and sentence itself. [The guide](guide/errors.md) tells what can be done about them.

This page is printed from that table by `tests/docs.py --write`; the tests compare them.
"""
SOURCES = {'INTERNAL': 'Of the proxy itself', 'DOWNSTREAM': 'Of the client',
           'UPSTREAM': 'Of the upstream'}


def errors_page():
    """docs/errors.md as the table would have it."""
    with open('include/weir/error.h', encoding='utf-8') as file:
        text = file.read()
    rows = ROW.findall(text)
    assert rows and len(rows) == len(re.findall(r'^ +X\(WEIR_E', text, re.MULTILINE)), \
        'a row of WEIR_ERRORS that this script cannot read'
    page = ERRORS
    for source, title in SOURCES.items():
        page += f'\n## {title}\n\n| why | status | meaning | constant |\n|---|---|---|---|\n'
        page += ''.join(f'| `{why}` | {"-" if status == "0" else status} | {text} | `{name}` |\n'
                        for name, why, of, status, text in rows if of == source)
    return page


def compare_errors(write):
    """The page against the table; what is wrong, or None."""
    path, page = 'docs/errors.md', errors_page()
    if write:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(page)
    with open(path, encoding='utf-8') as file:
        if file.read() != page:
            return f'{path}: not what include/weir/error.h says; run tests/docs.py --write'
    return None


LOGGED = re.compile(r'\blog_(?:str|int|bool|usec)\(&?\w+, "(\w+)"')


def missing_names():
    """Names that the sources log and docs/log.md does not tell."""
    with open('docs/log.md', encoding='utf-8') as file:
        told = set(re.findall(r'`(\w+)`', file.read()))
    for folder, _, names in os.walk('src'):
        for name in sorted(names):
            path = os.path.join(folder, name)
            with open(path, encoding='utf-8') as file:
                for word in set(LOGGED.findall(file.read())) - told:
                    yield f'docs/log.md: no `{word}`, which {path} logs'


os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
stale = compare_errors('--write' in sys.argv[1:])
pages = [os.path.relpath(os.path.join(folder, name)) for folder, _, names in os.walk('.')
         for name in sorted(names) if name.endswith('.md')
         and not folder.startswith(('./build', './.'))]
found = [f'{page}:{line}: {why}' for page in pages for line, why in faults(page)]
found += [stale] if stale else []
found += missing_names()
for fault in found:
    print(fault)
sys.exit(1 if found or not pages else 0)

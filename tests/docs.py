#!/usr/bin/python3
"""docs.py -- in every Markdown file of the repository relative links, their anchors, and paths in
backticks exist."""
import os
import re
import sys

FOLDERS = ('src/', 'include/', 'tests/', 'docs/', 'bench/', 'fuzz/', 'gateway/', 'examples/')
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


os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
pages = [os.path.relpath(os.path.join(folder, name)) for folder, _, names in os.walk('.')
         for name in sorted(names) if name.endswith('.md')
         and not folder.startswith(('./build', './.'))]
found = [f'{page}:{line}: {why}' for page in pages for line, why in faults(page)]
for fault in found:
    print(fault)
sys.exit(1 if found or not pages else 0)

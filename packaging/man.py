#!/usr/bin/python3
"""man.py WEIR TEMPLATE -- prints weir.1: what `weir help` and `weir help COMMAND` say, as roff, in
the places that the template names. So the page tells what the binary tells, from the same
tables."""
import os
import re
import subprocess
import sys
import textwrap
import time

LEFT = 26           # the column of the words, as in src/server/usage.c and gateway/main.c
HELP_LEFT = 22


class Help:
    """A help text: the usage, then groups of entries, then sentences."""

    def __init__(self, text, left=LEFT):
        self.usage = ''
        self.groups = {'': []}      # title: [[left, words]]
        self.sentences = []
        group = self.groups['']
        for line in text.splitlines():
            if line.startswith('usage: '):
                self.usage = line[len('usage: '):]
            elif line.startswith('   '):
                group[-1][1] = f'{group[-1][1]} {line.strip()}'.strip()
            elif line.startswith('  '):
                wide = len(line) >= left and line[left - 1] != ' '
                group.append([line.strip(), ''] if wide else
                             [line[:left].strip(), line[left:].strip()])
            elif line.endswith(':'):
                group = self.groups.setdefault(line[:-1], [])
            elif line:
                self.sentences.append(line)


def plain(text):
    """Text that roff prints as it stands."""
    text = text.replace('\\', '\\e').replace('-', '\\-')
    lines = textwrap.wrap(text, 76, break_long_words=False, break_on_hyphens=False)
    return '\n'.join(re.sub(r"^([.'])", r'\\&\1', line) for line in lines)


def entry(left, words):
    """`--name VALUE`: names are bold, values italic."""
    shown = []
    for word in left.split():
        bold = word.startswith('-') or len(shown) == 0 and word.islower()
        shown.append(f'\\f{"B" if bold else "I"}{plain(word)}\\fR')
    return f'.TP\n{" ".join(shown)}\n{plain(words)}\n'


def usage(text):
    """One line of the synopsis; `weir` and the command are bold, what is to be filled in italic."""
    words = [re.sub(r'[A-Z]{2,}', r'\\fI\g<0>\\fR', plain(w)) for w in text.split()]
    return '\\fB' + ' '.join(words[:2]) + '\\fR ' + ' '.join(words[2:])


def entries(rows):
    return ''.join(entry(*row) for row in rows)


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def page(weir, template):
    commands = Help(run(weir, 'help'), HELP_LEFT).groups['']
    names = [left for left, _ in commands if not left.startswith('-')]
    helps = {name: Help(run(weir, 'help', name)) for name in names if name != 'help'}
    everywhere = [row for row in next(iter(helps.values())).groups['']
                  if all(row in text.groups[''] for text in helps.values())]
    common = {'': everywhere}       # what several commands share is told once
    options = ''
    for name, text in helps.items():
        own = [row for row in text.groups[''] if row not in everywhere]
        options += f'.SS weir {name}\n{entries(own)}' if own else ''
        for title, rows in text.groups.items():
            common.setdefault(title, rows)
    shared = entries(common.pop(''))
    shared += ''.join(f'.SS {plain(title)}\n{entries(rows)}' for title, rows in common.items())
    synopsis = '\n.br\n'.join(usage(text.usage) for text in helps.values())
    date = time.gmtime(int(os.environ.get('SOURCE_DATE_EPOCH', os.path.getmtime(template))))
    places = {
        'DATE': time.strftime('%Y-%m-%d', date),
        'VERSION': plain(run(weir, '--version').split()[1]),
        'SYNOPSIS': synopsis + '\n.br\n' + usage('weir help [COMMAND]'),
        'COMMANDS': entries(commands),
        'OPTIONS': options,
        'COMMON': shared,
    }
    with open(template, encoding='utf-8') as file:
        return re.sub(r'@([A-Z]+)@', lambda m: places[m.group(1)].rstrip('\n'), file.read())


sys.stdout.write(page(*sys.argv[1:]))

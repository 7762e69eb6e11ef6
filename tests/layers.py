#!/usr/bin/python3
"""layers.py [TREE] -- the include rule of the layers, and what may stand in one place only.

A layer includes itself, the layers below it, public headers and the system's. Prints
FILE:LINE: what is wrong, and ends with 1 if anything is. --self-test proves that it sees
each kind of offence."""
import os
import re
import sys
import tempfile

# What each layer stands on; what lies below those comes with them. The order is the reading order.
BELOW = {
    'base': [],
    'codec': ['base'],
    'runtime': ['base'],
    'net': ['runtime'],
    'tls': ['net'],
    'http': ['codec', 'tls'],
    'pool': ['http'],
    'lb': ['pool'],
    'limits': ['runtime'],
    'cache': ['codec', 'runtime'],
    'proxy': ['pool', 'lb', 'limits', 'cache'],
    'server': ['proxy'],
}

# Folders outside src/ that are users of the library like anybody else.
USERS = ['gateway', 'examples']

# System headers that belong to one layer; the demo's client is a program that uses the library and
# speaks TLS by itself.
FOREIGN = {'openssl/': ('src/tls/', 'gateway/demo_tls.c')}

# Words that only these files may say, and why.
WORDS = [
    (r'__thread|_Thread_local|thread_local', {'src/runtime/worker.c'},
     'a coroutine may wake on another thread: thread-local data lives in src/runtime/worker.c'),
    (r'errno', {'src/runtime/sys.c', 'src/runtime/sys.h', 'src/base/inject.c'},
     'system calls return -errno through src/runtime/sys.h; errno itself stays there'),
]

NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
INCLUDE_LINE = re.compile(r'^\s*#\s*include[^\n]*', re.MULTILINE)


def blank(match, keep_strings=False):
    """A comment or literal becomes blanks of the same shape, so that line numbers stay."""
    text = match.group()
    if keep_strings and text[0] in '"\'':
        return text
    return re.sub(r'[^\n]', ' ', text)


def reachable(layer):
    seen = {layer}
    for below in BELOW[layer]:
        seen |= reachable(below)
    return seen


def include_fault(path, bracket, name):
    """Why the file `path` may not include `name`, or None."""
    top, folder = (path.split('/') + [''])[:2]
    owners = next((o for prefix, o in FOREIGN.items() if name.startswith(prefix)), None)
    if owners and not path.startswith(owners):
        return f'<{name}> is included in {" and ".join(owners)} only'
    if bracket == '<':
        return None
    if '..' in name.split('/'):
        return f'"{name}" climbs: name it from src/'
    target = name.split('/')[0]
    if top in USERS:
        return f'"{name}": {top}/ uses the public headers only' if '/' in name else None
    if folder not in BELOW:
        return f'src/{folder} is no layer'
    if '/' not in name or target not in BELOW:
        return f'"{name}": internal includes are written from src/, as "{folder}/{name}"'
    if target not in reachable(folder):
        return f'"{name}": {folder} stands on {", ".join(BELOW[folder]) or "nothing"} only'
    return None


def faults(tree):
    for top in ['src'] + USERS:
        for folder, _, names in sorted(os.walk(os.path.join(tree, top))):
            for name in sorted(names):
                if not name.endswith(('.c', '.h', '.S')):
                    continue
                full = os.path.join(folder, name)
                path = os.path.relpath(full, tree)
                with open(full, encoding='utf-8') as file:
                    text = file.read()
                yield from file_faults(path, text)


def file_faults(path, text):
    code = NOT_CODE.sub(lambda m: blank(m, keep_strings=True), text)
    for match in INCLUDE.finditer(code):
        why = include_fault(path, *match.groups())
        if why:
            yield path, code.count('\n', 0, match.start(1)) + 1, why
    bare = INCLUDE_LINE.sub(blank, NOT_CODE.sub(blank, text))
    for words, places, why in WORDS:
        if path.startswith('src/') and path not in places:
            for match in re.finditer(rf'\b(?:{words})\b', bare):
                yield path, bare.count('\n', 0, match.start()) + 1, why


GOOD = {
    'src/codec/head.c': '#include "codec/head.h"\n#include "base/arena.h"\n#include <weir/head.h>\n'
                        '/* errno, #include "proxy/x.h" */ const char *s = "errno";\n',
    'src/runtime/sys.c': '#include <errno.h>\nint f(void) { return -errno; }\n',
    'src/runtime/worker.c': 'static __thread int me;\n',
    'src/server/run.c': '#include "base/log.h"\n#include "tls/ctx.h"\n#include <errno.h>\n',
    'src/tls/ctx.c': '#include <openssl/ssl.h>\n',
    'gateway/demo_tls.c': '#include <openssl/ssl.h>\n',
    'gateway/main.c': '#include <weir/weir.h>\n#include "options.h"\n',
}
BAD = {     # each with the line of its only offence
    'src/codec/up.c': (2, '#include "base/arena.h"\n#include "runtime/co.h"\n'),
    'src/runtime/net.c': (1, '#include "net/addr.h"\n'),
    'src/base/short.c': (1, '#include "arena.h"\n'),
    'src/base/climb.c': (1, '#include "../codec/head.h"\n'),
    'src/extra/new.c': (1, '#include "base/arena.h"\n'),
    'src/http/ssl.c': (3, '/* two\nlines */\n#  include <openssl/ssl.h>\n'),
    'src/pool/tls.c': (2, '\nstatic _Thread_local int n;\n'),
    'src/net/call.c': (4, '/* errno */\n#include <errno.h>\n// errno\nint f(void) { return errno; }\n'),
    'gateway/demo.c': (2, '#include "demo.h"\n#include <openssl/ssl.h>\n'),
    'gateway/inside.c': (1, '#include "pool/pool.h"\n'),
    'examples/inside.c': (1, '#include "../src/pool/pool.h"\n'),
}


def self_test():
    with tempfile.TemporaryDirectory() as tree:
        for path, text in list(GOOD.items()) + [(p, t) for p, (_, t) in BAD.items()]:
            os.makedirs(os.path.join(tree, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(tree, path), 'w', encoding='utf-8') as file:
                file.write(text)
        found = sorted((path, line) for path, line, _ in faults(tree))
    wanted = sorted((path, line) for path, (line, _) in BAD.items())
    for path, line in sorted(set(wanted) ^ set(found)):
        print(f'self-test: {path}:{line}:', 'missed' if (path, line) in wanted else 'wrongly seen')
    return 0 if found == wanted else 1


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    found = list(faults(sys.argv[1] if len(sys.argv) > 1 else '.'))
    for path, line, why in found:
        print(f'{path}:{line}: {why}')
    return 1 if found else 0


sys.exit(main())

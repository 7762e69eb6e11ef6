#!/usr/bin/python3
"""filter.py HEADER -- a public header as Doxygen wants to see it, line by line where it was.

Our comments are prose without marks, and stay so. Here they get the marks that say what they are
of: the first one of the file, as are those with a blank line behind; one behind code of that code;
any other one of what follows, all of it up to the next blank line or comment. The table of errors
becomes the values that it makes."""
import os
import re
import sys

COMMENT = re.compile(r'/\*(.*?)\*/', re.DOTALL)
ERROR = re.compile(r'X\((\w+), +(-\d+), +"(\w+)", +(\w+), +(\d+), +"([^"]*)"\)')

SEVERAL = re.compile(r'((?:^|(?<=\n)) +(?:[a-z_0-9]+ +)+)(\*?\w+(?:, \*?\w+)+);( *)\Z')


def prose(text):
    """Without what Doxygen takes for a tag of HTML, or for a rule."""
    text = re.sub(r'<(weir/\w+\.h)>', r'\1', text)
    return re.sub(r' -{4}', '', text)


def run_behind(text):
    """The lines behind a comment that it stands for, as one string."""
    lines = []
    for line in text.splitlines(keepends=True):
        if not line.strip() or '/*' in line or line.strip().startswith('}'):
            break
        lines.append(line)
    return ''.join(lines)


def is_group(run):
    """More than one declaration, and no body among them?"""
    heads = [line for line in run.splitlines() if line.startswith('#define')]
    flat = re.sub(r'\{[^{}]*\}', '', run)
    return '{' not in flat and (flat.count(';') > 1 or len(heads) > 1)


def split(out, body):
    """Several names in one declaration, which ends `out`: each its own, with the comment behind."""
    m = SEVERAL.search(out)
    if not m:
        return out
    body = ' '.join(body.split())
    names = m[2].split(', ')
    return out[:m.start()] + ''.join(f'{m[1]}{name}; /**< {body} */ ' for name in names[:-1]) + \
        f'{m[1]}{names[-1]};{m[3]}'


def errors(text):
    """The values of enum weir_error, on one line."""
    values = ''.join(f'{name} = {number}, /**< {sentence}; in logs `{why}`, status {status} */ '
                     for name, number, why, _, status, sentence in ERROR.findall(text))
    return re.sub(r'#define X\(.*\n    WEIR_ERRORS\(X\)\n#undef X\n',
                  lambda _: f'\n{values}\n\n', text)


def main_page(text):
    """The headers in the order in which weir.h includes them, with what it says of each."""
    rows = ''.join(f'- {name}: {what}\n'
                   for name, what in re.findall(r'<(weir/\w+\.h)> +/\* (.*?) \*/', text))
    return f'/** @mainpage The public headers\n\nAs one meets them:\n\n{rows}*/\n' if rows else ''


def marked(text, name):
    out, at, close = '', 0, None
    for m in COMMENT.finditer(text):
        if close is not None and m.start() >= close:
            out += text[at:close] + '/**@}*/'
            at, close = close, None
        before = text[text.rfind('\n', 0, m.start()) + 1:m.start()]
        behind = text[m.end():]
        out += text[at:m.start()]
        at = m.end()
        body = prose(m[1])
        if behind.startswith(' \\\n') or m[1].startswith((' clang-format', ' include', '*')) \
                or before.startswith('#include'):
            out += m[0]
        elif m.start() == 0:
            out += f'/** @file {name} @brief' + body.partition(' --')[2] + '*/'
        elif before.strip():
            out = split(out, body) + f'/**<{body}*/'
        elif re.match(r'\n\s*\n', behind) or re.fullmatch(r' -{4}.*-{4} ', m[1]):
            out += f'/** @file {name} {body}*/' if '\n' in body else m[0]
        else:
            run = run_behind(behind[1:])
            group = is_group(run)
            out += f'/**{body}*/' + ('/**@{*/' if group else '')
            close = m.end() + 1 + len(run) if group else None
    if close is not None:
        out += text[at:close] + '/**@}*/'
        at = close
    return out + text[at:]


with open(sys.argv[1], encoding='utf-8') as file:
    header = file.read()
sys.stdout.write(marked(errors(header), os.path.basename(sys.argv[1])) + main_page(header))

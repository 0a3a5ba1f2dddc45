# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes mutants of C++ sources: each is one line, changed so that the program should behave otherwise.

The kinds of change:

    negate     the condition of an `if` or `while` is negated
    compare    == and !=, < and <=, > and >= are exchanged
    logic      && and || are exchanged
    constant   an integer is made one larger
    boolean    true and false are exchanged
    call       a statement that is only a call is removed, also behind an `if` on the same line
    guard      `if (...) return ...;` is removed; `continue` and `break` as well

A mutant is known by its file, the text of its line, what that becomes, and which of such lines it is in the file: not
by its line's number, which changes whenever a line is added above. What is not code is left alone: comments, the text
of literals, the preprocessor's lines, assertions (lines between `#ifdef VIRT_UV_CHECKS` and `#else`, too). So are
numbers that change nothing when they grow: the size of a buffer, the hint of __builtin_expect, a -1 to begin with. No
change is made twice in other words: `x < 1` is `x <= 0`, and `!(x == 0)` is `x != 0`.

The scanner knows the sources' format: an operator has a space on each side, a statement begins on a line of its own.
"""

import dataclasses
import hashlib
import re


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str
    number: int  # of the line, from 0
    kind: str
    line: str  # the text, without its indentation
    becomes: str
    nth: int = 0  # among those of the file with the same text and change

    @property
    def key(self):
        return (self.file, self.line, self.becomes, self.nth)


EXCHANGES = {
    'compare': {'==': '!=', '!=': '==', '<': '<=', '<=': '<', '>': '>=', '>=': '>'},
    'logic': {'&&': '||', '||': '&&'},
    'boolean': {'true': 'false', 'false': 'true'},
}
TOKENS = {
    'compare': re.compile(r'(?<=\s)(==|!=|<=|>=|<|>)(?=\s|$)'),
    'logic': re.compile(r'(?<=\s)(&&|\|\|)(?=\s|$)'),
    'boolean': re.compile(r'\b(true|false)\b'),
}
INTEGER = re.compile(r"(?<![\w.'])(0x[0-9a-fA-F]+|\d[\d']*)([uUlL]*)(?![\w.'])")
# Numbers that are left alone: what follows or precedes them.
NO_EFFECT = re.compile(r"""__builtin_frame_address\(\d\) | __builtin_expect\(.*,\ [01]\) | alignas\(\d+\)
                         | ^\s*(?:char|int)\ \w+\[\d+\] | \w\ :\ \d+;
                         | \ (?:<|>=)\ \d+ | ^\s*(?:int|std::atomic<int>)\ .*\b\w+(?:\ =\ |\{)-1\b""", re.VERBOSE)
NOT_CODE = re.compile(r'\s*(?:#|using\b|namespace\b|friend\b|template\b|static_assert\b|assert\()|.*=\s*delete;')
ASSERTION = re.compile(r'\b(?:calling_out|count_locks)\(')
CALL = re.compile(r'(?!(?:if|while|for|switch|return|throw|delete|sizeof|else)\b)[A-Za-z_:][\w:]*'
                  r'(?:(?:\.|->|::)\w+|\([^()]*\)|\[[^\]]*\]|<[\w ]+>)*\(.*\);$')
STATEMENT_ENDS = re.compile(r'(?:^|[;{}]|\belse|\bdo|:|^(?:\} )?(?:else )?(?:if|while|for) \(.*\))$')
LEAVES = re.compile(r'(?:return\b.*|continue|break);$')
CONDITION = re.compile(r'\b(?:if|while) \(')


def masked(source):
    """The lines, with comments and the text of literals made blank: each as long as it was."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)

    def blank(match):
        text = match.group()
        if text[0] == '/':
            return re.sub(r'[^\n]', ' ', text)
        return text[0] + '_' * (len(text) - 2) + text[-1]

    # A digit separator is no quote.
    hidden = re.sub(r"(?<=\d)'(?=\d)", '\x01', source)
    return pattern.sub(blank, hidden).replace('\x01', "'").split('\n')


def code_lines(source):
    """(number, masked line) of each line that may be mutated."""
    checks = preprocessor = False
    for number, line in enumerate(masked(source)):
        text = line.strip()
        if text.startswith('#'):
            checks = text == '#ifdef VIRT_UV_CHECKS' or (checks and text not in ('#else', '#endif'))
        in_directive, preprocessor = preprocessor, (text.startswith('#') or preprocessor) and text.endswith('\\')
        if text and not checks and not in_directive and not NOT_CODE.match(line) and not ASSERTION.search(line):
            yield number, line


def closing(line, opening):
    """The place of the parenthesis that closes the one at `opening`; None: it is on a later line."""
    depth = 0
    for place in range(opening, len(line)):
        depth += {'(': 1, ')': -1}.get(line[place], 0)
        if depth == 0:
            return place
    return None


def condition(line):
    """(start, opening, closing) of the condition of an `if` or `while` that is whole on this line."""
    match = CONDITION.search(line)
    if match is None:
        return None
    opening = match.end() - 1
    end = closing(line, opening)
    return None if end is None else (match.start(), opening, end)


def declares(text):
    """Does the condition declare what it tests?"""
    return re.match(r'(?:const )?[\w:]+[ *&]+\w+ = ', text) is not None


def is_negation(line, match):
    """Would an exchange of == and != here negate the whole condition?"""
    found = condition(line)
    if found is None or match.group() not in ('==', '!='):
        return False
    _, opening, end = found
    return opening < match.start() < end and not re.search(r'&&|\|\||\?', line[opening:end]) and \
        line[opening:match.start()].count('(') == 1 + line[opening:match.start()].count(')')


def exchanges(line):
    for kind, pattern in TOKENS.items():
        for match in pattern.finditer(line):
            if is_negation(line, match):
                continue
            yield kind, match.start(), match.end(), EXCHANGES[kind][match.group()]


def constants(line):
    spared = [match.span() for match in NO_EFFECT.finditer(line)]
    for match in INTEGER.finditer(line):
        if any(start <= match.start() < end for start, end in spared):
            continue
        digits, suffix = match.groups()
        larger = str(int(digits) + 1) + suffix if digits.isdigit() and (digits == '0' or digits[0] != '0') else \
            f'({match.group()} + 1)'
        yield 'constant', match.start(), match.end(), larger


def negations(line):
    found = condition(line)
    if found is None:
        return
    _, opening, end = found
    if not declares(line[opening + 1:end]):
        yield 'negate', opening + 1, end, '!({})'


def removals(line, before):
    """A call, and an early way out: the whole statement, or what is behind the `if`."""
    text = line.strip()
    start = len(line) - len(line.lstrip())
    found = condition(line)
    if CALL.match(text) and STATEMENT_ENDS.search(before):
        yield 'call', start, len(line.rstrip()), ';'
    if found is None or not text.startswith('if ('):
        return
    body = found[2] + 1 + len(line[found[2] + 1:]) - len(line[found[2] + 1:].lstrip())
    if LEAVES.match(line[body:].rstrip()):
        yield 'guard', start, len(line.rstrip()), ';'
    elif CALL.match(line[body:].rstrip()):
        yield 'call', body, len(line.rstrip()), ';'


def changes(line, before):
    """(kind, start, end, text) of each change of this masked line; `before`: the code before it."""
    yield from negations(line)
    yield from exchanges(line)
    yield from constants(line)
    yield from removals(line, before)


def apply(line, start, end, text):
    return line[:start] + text.format(line[start:end]) + line[end:]


def mutants_of(file, source):
    """All mutants of a file, in the order of its lines."""
    lines = source.split('\n')
    seen = {}
    before = ''
    for number, line in code_lines(source):
        for kind, start, end, text in changes(line, before):
            becomes = apply(lines[number], start, end, text).strip()
            same = (lines[number].strip(), becomes)
            yield Mutant(file, number, kind, *same, seen.get(same, 0))
            seen[same] = seen.get(same, 0) + 1
        before = line.strip()


def applied(mutant, source):
    """The source with this change."""
    lines = source.split('\n')
    line = lines[mutant.number]
    lines[mutant.number] = line[:len(line) - len(line.lstrip())] + mutant.becomes
    return '\n'.join(lines)


def rank(mutant):
    """A number that stays the same whatever else is in the sources."""
    return hashlib.sha256('\0'.join(map(str, mutant.key)).encode()).hexdigest()


def quotas(sizes, available, number):
    """How many of `number` each file gets: as its share of the lines, and no more than it has."""
    quota = dict.fromkeys(sizes, 0)
    while sum(quota.values()) < min(number, sum(available.values())):
        hungry = [file for file in sizes if quota[file] < available[file]]
        # The one that is furthest behind its share.
        file = min(hungry, key=lambda name: ((quota[name] + 1) / sizes[name], name))
        quota[file] += 1
    return quota


def sample(sources, number):
    """`number` mutants of these files ({name: source}), spread evenly over their lines; None: all."""
    every = {file: list(mutants_of(file, source)) for file, source in sources.items()}
    if number is None:
        return [mutant for mutants in every.values() for mutant in mutants]
    sizes = {file: max(1, sum(1 for _ in code_lines(source))) for file, source in sources.items()}
    quota = quotas(sizes, {file: len(mutants) for file, mutants in every.items()}, number)
    chosen = []
    for file, mutants in every.items():
        chosen += sorted(sorted(mutants, key=rank)[:quota[file]], key=lambda mutant: mutant.number)
    return chosen

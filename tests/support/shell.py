"""Commands in the code of a document, as a shell reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
SHELLS = ("", "bash", "sh")
ENDS = re.compile(r"^[();<>|&]+$")
ASSIGNMENT = re.compile(r"^[A-Z_a-z][A-Z_a-z0-9]*=")
SUBSTITUTION = re.compile(r"\$\((.*)\)", re.DOTALL)


def blocks_in(text: str) -> Iterator[str]:
    """The blocks of shell in Markdown."""
    for language, block in FENCE.findall(text):
        if language in SHELLS:
            yield block


def spans_in(text: str) -> Iterator[str]:
    """The spans of code outside blocks."""
    yield from SPAN.findall(FENCE.sub("", text))


def commands_of(text: str, programs: Iterable[str]) -> list[list[str]]:
    """The words of each command of these programs that has arguments."""
    known = set(programs)
    found = [command for block in blocks_in(text) for line in _lines(block) for command in _commands(line)]
    for span in spans_in(text):
        # A span may be anything: an apostrophe in it is no open quote of ours.
        if span.split()[0] in known or ASSIGNMENT.match(span):
            found += _commands(span)
    return [command for command in found if command[0] in known and len(command) > 1]


def _lines(block: str) -> list[str]:
    """The lines of a block, those that go on joined; a document that is written in place is left out."""
    joined = block.replace("\\\n", " ")
    return re.sub(r"<<'?(\w+)'?.*?^\1$", "", joined, flags=re.DOTALL | re.MULTILINE).splitlines()


def _commands(line: str) -> Iterator[list[str]]:
    """The commands of a line, those in substitutions and in quoted words too."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if ENDS.match(word):
            while words and ASSIGNMENT.match(words[0]):
                words.pop(0)
            if words:
                yield words
            words = []
            continue
        words.append(word)
        inner = SUBSTITUTION.search(word)
        if inner or " && " in word:
            yield from _commands(inner[1] if inner else word)

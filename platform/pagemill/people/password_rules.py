"""Which passwords are accepted: long ones that nobody guesses first (NIST SP 800-63B, 5.1.1.2).

There are no rules of composition: any characters do. What everybody tries first is refused, and what is made
of it: words of lists of leaked passwords, runs of the keyboard or the alphabet, repetitions, the person's own
address.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable
from importlib.resources import files
from typing import Final

SHORTEST: Final = 12
LONGEST: Final = 256
"""Characters. Hashing takes the same time for all of them."""
FEWEST_LEFT: Final = 6
"""Characters that have to be left of a password without what is guessed first."""
FEWEST_DIFFERENT: Final = 5
SHORTEST_RUN: Final = 3

TOO_SHORT: Final = f"Use at least {SHORTEST} characters. A few unrelated words are easy to remember."
TOO_LONG: Final = f"Use at most {LONGEST} characters."
TOO_EASY: Final = "This password is easy to guess. Use a few unrelated words."
UNREADABLE: Final = "This password has characters that cannot be used."

WORDS: Final = "guessed_words.txt"
"""Words that lists of leaked passwords begin with, and what people make passwords of."""
RUNS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
)

_REPEATED = re.compile(r"(.{1,8}?)\1+")
_YEAR = re.compile(r"(19|20)\d\d")


def normalized(password: str) -> str:
    """Return the one form of a password: however a keyboard composes its characters."""
    return unicodedata.normalize("NFKC", password)


def problem_with(password: str, *, email: str = "") -> str | None:
    """Return why a password is not accepted, as a sentence for the person; None when it is."""
    password = normalized(password)
    if "\0" in password or not _encodes(password):
        return UNREADABLE
    if len(password) < SHORTEST:
        return TOO_SHORT
    if len(password) > LONGEST:
        return TOO_LONG
    lowered = password.casefold()
    if len(set(lowered)) < FEWEST_DIFFERENT or len(_without_guesses(lowered, email)) < FEWEST_LEFT:
        return TOO_EASY
    return None


def _without_guesses(password: str, email: str) -> str:
    """Return a password without the parts that are guessed first."""
    of_address = (part for part in re.split(r"[^a-z0-9]+", email.casefold()) if len(part) >= SHORTEST_RUN)
    words = {*_guessed_words(), *of_address}
    left = password
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, " ")
    left = _YEAR.sub(" ", left)
    left = _without_runs(left, [*RUNS, *(run[::-1] for run in RUNS)])
    return re.sub(r"\s+", "", _REPEATED.sub(r"\1", left))


def _without_runs(text: str, runs: Iterable[str]) -> str:
    """Return a text without pieces of at least three characters that follow each other in one of ``runs``."""
    kept, position, runs = [], 0, list(runs)
    while position < len(text):
        length = max(_run_at(text, position, run) for run in runs)
        if length < SHORTEST_RUN:
            kept.append(text[position])
            length = 1
        position += length
    return "".join(kept)


def _run_at(text: str, position: int, run: str) -> int:
    """Return for how many characters a text follows a run from a position on."""
    start = run.find(text[position])
    if start < 0:
        return 0
    pairs = zip(text[position:], run[start:], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


@functools.cache
def _guessed_words() -> frozenset[str]:
    return frozenset(files(__package__).joinpath(WORDS).read_text().split())


def _encodes(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True

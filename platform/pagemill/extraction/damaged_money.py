"""Sums of money in which a letter was read instead of a digit: "E.60", "5.c", "1O.00".

Another amount of the document often says which digit it was: totals are repeated, or are the sum or the
difference of two others. Without one, the value is a guess and has little confidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import combinations

from pagemill.extraction.printed_characters import plain
from pagemill.extraction.printed_numbers import LONGEST_PRINT, REMEMBERED, read_number

LIKELY_DIGITS = {
    **dict.fromkeys("OoQDUcCe", "0"),
    **dict.fromkeys("IliJt|!", "1"),
    **dict.fromkeys("Zz", "2"),
    **dict.fromkeys("Ah", "4"),
    **dict.fromkeys("Ss", "5"),
    **dict.fromkeys("Gb", "6"),
    "T": "7",
    **dict.fromkeys("BE", "8"),
    **dict.fromkeys("gq", "9"),
}
"""Letters that readers of pixels give for digits, with the digit that looks most alike."""
MOST_LETTERS = 2
REPEATED, CALCULATED, GUESSED = 0.9, 0.6, 0.3
"""Probability that a repaired value is right, by where its digits come from."""
MOST_AMOUNTS = 40
"""Amounts whose sums and differences are tried."""

_CHARACTER = "[0-9" + re.escape("".join(LIKELY_DIGITS)) + "]"
_DAMAGED = re.compile(
    rf"(?:[A-Za-z]{{2,4}}(?=\d)|[^\w.,|!]{{0,3}})(?P<whole>{_CHARACTER}{{1,3}}(?:[.,]?{_CHARACTER}{{3}})?)"
    rf"[.,](?P<cents>{_CHARACTER}{{1,2}})[^\w.,|!]{{0,2}}"
)


def _parts(text: str) -> tuple[str, str] | None:
    """Return the characters before and behind the decimal mark of a damaged amount."""
    match = _DAMAGED.fullmatch(plain(text).strip()) if len(text) <= LONGEST_PRINT else None
    if match is None:
        return None
    whole, cents = re.sub(r"[.,]", "", match["whole"]), match["cents"]
    letters = sum(character in LIKELY_DIGITS for character in whole + cents)
    if not 0 < letters <= MOST_LETTERS or letters == len(whole + cents):
        return None
    return None if len(cents) == 1 and cents.isdecimal() else (whole, cents)


@lru_cache(maxsize=REMEMBERED)
def is_damaged_money(text: str) -> bool:
    """Return whether ``text`` looks like a sum of money with letters among its digits."""
    return _parts(text) is not None and read_number(text) is None


def may_be(text: str, amount: Decimal) -> bool:
    """Return whether a damaged print can have been an amount."""
    parts = _parts(text)
    return parts is not None and _pattern(parts).fullmatch(f"{amount:.2f}") is not None


def _pattern(parts: tuple[str, str]) -> re.Pattern[str]:
    whole, cents = (re.sub(r"[^0-9]", r"\\d", part) for part in parts)
    return re.compile(rf"{whole}\.{cents}" + (r"\d" if len(parts[1]) == 1 else ""))


def repair(text: str, amounts: Mapping[Decimal, int]) -> tuple[Decimal, float] | None:
    """Return the likeliest value of a damaged amount and its probability.

    ``amounts`` are those that the document prints undamaged, with how often. None for other text.
    """
    parts = _parts(text)
    if parts is None or read_number(text) is not None:
        return None
    pattern = _pattern(parts)
    printed = [amount for amount in amounts if pattern.fullmatch(f"{amount:.2f}")]
    if printed:
        best = max(printed, key=lambda amount: amounts[amount])
        return best, REPEATED / len(printed)
    calculated = {amount for amount in _calculated(amounts) if pattern.fullmatch(f"{amount:.2f}")}
    if len(calculated) == 1:
        return calculated.pop(), CALCULATED
    whole, cents = ("".join(LIKELY_DIGITS.get(one, one) for one in part) for part in parts)
    return Decimal(f"{whole}.{cents:<02}"), GUESSED


def _calculated(amounts: Iterable[Decimal]) -> Iterable[Decimal]:
    """Yield sums and differences of two amounts."""
    for first, second in combinations(list(amounts)[:MOST_AMOUNTS], 2):
        yield first + second
        yield abs(first - second)

"""Numbers and sums of money as they are printed: separators, signs, currencies, digits of all scripts.

What a separator means can be open: "1,234" is a thousand and more where a point marks decimals, else one and
a quarter. All readings are returned; what they are chosen by stands in ``conventions``.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple

from pagemill.extraction.printed_characters import comparable, currency_words, plain

DecimalMark = Literal["point", "comma"]

LONGEST_PRINT = 200
"""Longer text is no date and no number: what strangers send is neither searched nor remembered."""
REMEMBERED = 50_000
LONGEST_UNIT_BEFORE = 4
LONGEST_UNIT_AFTER = 3
MOST_UNITS = 2

MARKS: dict[DecimalMark, str] = {"point": ".", "comma": ","}

_DIGIT = re.compile(r"\d")
_BODY = re.compile(r"(?:(?<!\w)[.,](?=\d\d?\b(?!\s*[.,]?\d)))?\d(?:[\d.,'\u00b7 ]*\d)?")
_NO_CENTS = re.compile(r"\s?[.,:]\s?[-=_~]{1,2}")
"""Signs that stand for "no cents": "1234,-", "50.--", "100:-"."""
_SPACED_MARK = re.compile(r"(?<=\d)(?: ([.,])|([.,]) )(?=\d{2}$|\d{3}(?!\d))")
_PIECE = re.compile(r"S/\.?|[^\W\d_](?:[^\W\d_]|[./'](?=[^\W\d_])|[^\w\s.,:;()%/+-])*\.?|\S")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:([.,' ])\d{3})(?:\1\d{3})*")
_LAKHS = re.compile(r"[1-9]\d?(?:([,' ])\d{2})(?:\1\d{2})*\1\d{3}")
"""Groups of South Asia: 12,34,567."""
_PERCENT = "%"
_CREDIT, _DEBIT = frozenset({"cr"}), frozenset({"dr", "db"})
_MINUS_WORDS = frozenset({"minus"})
_MULTIPLIER_WORDS = (
    "k mn mio mill mln mld mrd bn mil lakh lakhs lac crore crores million millions thousand tusen tkr teur "
    "\u0442\u044b\u0441 \u043c\u043b\u043d \u043c\u043b\u0440\u0434"
)
"""What follows is not the number that is meant: "5 mio" is neither 5 nor read here."""
_MULTIPLIERS = frozenset(_MULTIPLIER_WORDS.split())


class PrintedNumber(NamedTuple):
    """The values that a print can have by the mark of its decimals; both are equal where it is not open."""

    values: dict[DecimalMark, Decimal]
    is_percentage: bool

    def value(self, mark: DecimalMark | None = None) -> Decimal:
        """Return the value, by ``mark`` where that makes sense; groups of three digits are thousands."""
        if mark in self.values:
            return self.values[mark]
        return max(self.values.values(), key=abs)


class _Affixes(NamedTuple):
    """What stands around the digits, taken together."""

    minuses: int = 0
    opened: bool = False
    closed: bool = False
    credit: bool = False
    percent: bool = False
    units: int = 0


def read_number(text: str) -> PrintedNumber | None:
    """Return the number, the percentage or the sum of money that is printed; None for anything else."""
    return _read_number(text) if len(text) <= LONGEST_PRINT else None


@lru_cache(maxsize=REMEMBERED)
def _read_number(text: str) -> PrintedNumber | None:
    characters = plain(text).strip()
    body = _BODY.search(characters) if _DIGIT.search(characters) else None
    if body is None:
        return None
    before, after = characters[: body.start()], characters[body.end() :]
    if any(map(str.isdecimal, after)):
        return None
    no_cents = _NO_CENTS.match(after)
    after = after[no_cents.end() :] if no_cents else after
    if not no_cents and _looks_damaged(before, body[0], after):
        return None
    prefix, suffix = _affixes(before, LONGEST_UNIT_BEFORE), _affixes(after, LONGEST_UNIT_AFTER)
    if prefix is None or suffix is None or prefix.units + suffix.units > MOST_UNITS or prefix.closed:
        return None
    values = _values(body[0])
    if no_cents:
        values = _without_cents(values, no_cents[0].strip()[0])
    if not values:
        return None
    negative = (
        bool(prefix.minuses + suffix.minuses)
        or (prefix.opened and suffix.closed)
        or prefix.credit
        or suffix.credit
    )
    if negative:
        values = {mark: -value if value else value for mark, value in values.items()}
    return PrintedNumber(values, prefix.percent or suffix.percent)


def _without_cents(values: dict[DecimalMark, Decimal], sign: str) -> dict[DecimalMark, Decimal]:
    """Return the whole numbers among values; the sign before the dash marks decimals: "2.000,-"."""
    own = {mark: value for mark, value in values.items() if MARKS[mark] == sign}
    return {mark: value for mark, value in (own or values).items() if value == value.to_integral_value()}


def _looks_damaged(before: str, digits: str, after: str) -> bool:
    """Return whether a letter stands where a digit belongs: "E.60", "5.c", "12.5B"."""
    if re.match(r"[.,][^\W\d_]", after):
        return True
    if re.match(r"[^\W\d_]", after) and re.search(r"[.,]\d$", digits):
        return True
    letters = re.search(r"([^\W\d_]+)[.,]$", before)
    if letters is None or not re.fullmatch(r"\d\d", digits):
        return False
    return comparable(letters[1]) not in currency_words()


def _affixes(text: str, longest_unit: int) -> _Affixes | None:
    """Return what stands before or behind the digits, or None where it makes them something else."""
    found = _Affixes()
    for piece in _PIECE.findall(text):
        changed = _with_piece(found, piece, longest_unit)
        if changed is None:
            return None
        found = changed
    return found


def _with_piece(found: _Affixes, piece: str, longest_unit: int) -> _Affixes | None:
    if piece == "-":
        return found._replace(minuses=found.minuses + 1)
    if piece == "(":
        return found._replace(opened=True)
    if piece == ")":
        return found._replace(closed=True)
    if piece == _PERCENT:
        return found._replace(percent=True)
    if len(piece) == 1 and not piece.isalnum():
        is_currency = unicodedata.category(piece) == "Sc"
        return None if piece in "/&" else found._replace(units=found.units + is_currency)
    # A half, a power, or ten thousand makes another number of the digits.
    return None if piece[0].isnumeric() else _with_word(found, comparable(piece), longest_unit)


def _with_word(found: _Affixes, word: str, longest_unit: int) -> _Affixes | None:
    if word in _CREDIT:
        return found._replace(credit=True)
    if word in _DEBIT:
        return found
    if word in _MINUS_WORDS:
        return found._replace(minuses=found.minuses + 1)
    if word in _MULTIPLIERS:
        return None
    if word in currency_words() or len(word) <= longest_unit:
        return found._replace(units=found.units + 1)
    return None


def _values(digits: str) -> dict[DecimalMark, Decimal]:
    """Return the values that digits with separators can have; none where the separators make no sense."""
    body = _SPACED_MARK.sub(r"\1\2", re.sub(r" +", " ", digits))
    if "\u00b7" in body:
        whole, _, fraction = body.partition("\u00b7")
        value = _value(whole, fraction) if fraction.isdecimal() else None
        return {} if value is None else {"point": value, "comma": value}
    values: dict[DecimalMark, Decimal] = {}
    for mark, sign in MARKS.items():
        whole, found, fraction = body.partition(sign)
        if found and not fraction.isdecimal():
            # The mark groups digits, or something behind it does.
            continue
        value = _value(whole or "0", fraction)
        if value is not None and not (found and sign in whole):
            values[mark] = value
    return values


def _value(whole: str, fraction: str) -> Decimal | None:
    grouped = _THOUSANDS.fullmatch(whole) or _LAKHS.fullmatch(whole)
    if not whole.isdecimal() and grouped is None:
        return None
    return Decimal(re.sub(r"\D", "", whole) + (f".{fraction}" if fraction else ""))

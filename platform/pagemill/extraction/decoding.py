"""Normalisation of printed text by field type."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Literal

from rapidfuzz import fuzz, process

DateOrder = Literal["day", "month"]

MAXIMUM_VALUE_LENGTH = 1024
ENUM_SIMILARITY = 60.0
CENTURY_PIVOT = 70
LONGEST_PRINT = 200
"""Longer text is no date and no number: what strangers send is neither searched nor remembered."""
REMEMBERED = 50_000
FEWEST_DATE_DIGITS = 3

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "januar", "january"),
            ("feb", "februar", "february"),
            ("mar", "mars", "march", "maerz", "märz"),
            ("apr", "april"),
            ("may", "mai"),
            ("jun", "juni", "june"),
            ("jul", "juli", "july"),
            ("aug", "august"),
            ("sep", "sept", "september"),
            ("oct", "okt", "october", "oktober"),
            ("nov", "november"),
            ("dec", "des", "dez", "december", "desember", "dezember"),
        ),
        start=1,
    )
    for name in names
}
_MONTH_WORD = "|".join(sorted(_MONTHS, key=len, reverse=True))
_SEPARATOR = r"\s?[-/.,]\s?|\s"
_NUMERIC_DATE = re.compile(
    rf"(?<![\d.,/-])(\d{{1,2}})({_SEPARATOR})(\d{{1,2}})(?:{_SEPARATOR})(\d{{4}}|\d{{2}})(?!\d)"
)
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})\s?[-/.]\s?(\d{1,2})\s?[-/.]\s?(\d{1,2})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(\d{8})(?!\d)")
_DAY_MONTH = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|\.)?[\s\-/.,]*({_MONTH_WORD})[\s\-/.,']*(\d{{4}}|\d{{2}})(?!\d)",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    rf"(?<![a-z])({_MONTH_WORD})[\s\-/.]*(\d{{1,2}})(?:st|nd|rd|th)?[\s\-/.,']+(\d{{4}}|\d{{2}})(?!\d)",
    re.IGNORECASE,
)
_MONTH_BEGINNING = f"(?:{'|'.join(sorted({name[:3] for name in _MONTHS}))})"
_BEGINNING_OF_DATE = re.compile(
    rf"(?=(\d{{1,2}}(?:{_SEPARATOR})\d{{1,2}}(?:{_SEPARATOR})\d|\d{{4}}\s?[-/.]\s?\d|\d{{8}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s\-/.,]*{_MONTH_BEGINNING}[a-z]*[\s\-/.,']*\d"
    rf"|{_MONTH_BEGINNING}[a-z]*[\s\-/.]*\d{{1,2}}(?:st|nd|rd|th)?[\s\-/.,']+\d))"
)
_SAME_LETTERS = str.maketrans("\u017f\u0131", "si")
"""Letters that are equal to others where case is ignored, but not in lower case."""
_AMOUNT = re.compile(
    r"^(?:[^\w(+$€£¥.,-]|[.,](?!\d\d\W*$))*(?P<open>\()?\s*(?P<minus>-)?\s*(?:[A-Za-z]{1,4}\.?:?\s*)?[$€£¥]?\s*(?P<inner>-)?\s*"
    r"(?P<number>\d[\d.,' \u00a0]*|[.,]\d{2})(?P<after>-)?\s*(?:[$€£¥]|[A-Za-z]{1,3}\.?)?\s*\)?[^\w%:/]*$"
)
_GROUPED = re.compile(r"\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*$")


def fold(text: str) -> str:
    """Return the letters and digits of ``text`` in upper case, to compare two prints of a string."""
    upper = text.upper()
    return upper if upper.isalnum() else "".join(filter(str.isalnum, upper))


def _iso(year: str, month: int, day: int) -> str | None:
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < CENTURY_PIVOT else 1900
    try:
        return datetime.date(number, month, day).isoformat()
    except ValueError:
        return None


def _numeric_readings(text: str) -> dict[DateOrder, str] | None:
    match = _NUMERIC_DATE.search(text)
    if match is None:
        return None
    first, second, year = int(match[1]), int(match[3]), match[4]
    day_first, month_first = _iso(year, second, first), _iso(year, first, second)
    readings: dict[DateOrder, str] = {}
    if day_first:
        readings["day"] = day_first
    if month_first:
        readings["month"] = month_first
    return readings or None


def _compact_reading(text: str) -> str | None:
    match = _COMPACT.search(text)
    if match is None:
        return None
    digits = match[1]
    if 1950 <= int(digits[:4]) <= 2100:
        return _iso(digits[:4], int(digits[4:6]), int(digits[6:]))
    if 1950 <= int(digits[4:]) <= 2100:
        return _iso(digits[4:], int(digits[2:4]), int(digits[:2]))
    return None


def date_readings(text: str) -> dict[DateOrder, str]:
    """Return the ISO dates that ``text`` can mean, by order of day and month.

    A date in digits can have a different reading for each order; any other date has the same for both.
    """
    return dict(_date_readings(text)) if len(text) <= LONGEST_PRINT else {}


def _month(name: str) -> int:
    return _MONTHS[name.lower().translate(_SAME_LETTERS)]


def _has_digits_of_date(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= FEWEST_DATE_DIGITS


@lru_cache(maxsize=REMEMBERED)
def _date_readings(text: str) -> dict[DateOrder, str]:
    if not _has_digits_of_date(text):
        return {}
    reading: str | None = None
    if match := _YEAR_FIRST.search(text):
        reading = _iso(match[1], int(match[2]), int(match[3]))
    elif match := _DAY_MONTH.search(text):
        reading = _iso(match[3], _month(match[2]), int(match[1]))
    elif match := _MONTH_DAY.search(text):
        reading = _iso(match[3], _month(match[1]), int(match[2]))
    elif readings := _numeric_readings(text):
        return readings
    else:
        reading = _compact_reading(text)
    return {"day": reading, "month": reading} if reading else {}


def beginnings_of_dates(text: str) -> list[tuple[int, int]] | None:
    """Return where in a line each part that reads as a date begins, and the end of what it needs at least.

    Whatever such a part leaves out of the line before and behind it. There are also places where no date
    begins; None if it cannot be told.
    """
    if not _has_digits_of_date(text):
        return []
    lower = text.lower() if text.isascii() else text.lower().translate(_SAME_LETTERS)
    if len(lower) != len(text):
        return None
    return [found.span(1) for found in _BEGINNING_OF_DATE.finditer(lower)]


def parse_date(text: str, order: DateOrder = "day") -> str | None:
    """Return ``text`` as YYYY-MM-DD, or None; ``order`` decides only where both orders are possible."""
    readings = date_readings(text)
    return readings.get(order) or next(iter(readings.values()), None)


def _plain_number(text: str) -> str:
    """Return the digits with at most one decimal point, whichever way they were grouped."""
    number = re.sub(r"[\u00a0]", " ", text).strip().rstrip(".,' ")
    decimal = max(number.rfind("."), number.rfind(","))
    if decimal >= 0:
        kinds = {character for character in number if character in ".,"}
        mixed = len(kinds) == 2
        repeated = number.count(number[decimal]) > 1
        fraction = len(number) - decimal - 1
        grouped = bool(_GROUPED.fullmatch(number)) and not number.startswith("0")
        if (mixed or not grouped) and not (repeated and not mixed and fraction == 3):
            whole = re.sub(r"\D", "", number[:decimal]) or "0"
            return f"{whole}.{re.sub(r'[^0-9]', '', number[decimal + 1 :])}"
    return re.sub(r"\D", "", number)


def parse_number(text: str) -> Decimal | None:
    """Return the number or sum of money that is printed; None for anything else (a date, a time, a rate)."""
    return _parse_number(text) if len(text) <= LONGEST_PRINT else None


@lru_cache(maxsize=REMEMBERED)
def _parse_number(text: str) -> Decimal | None:
    match = _AMOUNT.match(text.strip())
    if match is None:
        return None
    number = match["number"]
    if re.search(r"\d \d", number) and not re.fullmatch(
        r"\d{1,3}(?: \d{3})+(?:[.,]\d{1,2})?", number.strip()
    ):
        return None
    if len(re.findall(r"[.,]", number)) > 1 and not re.fullmatch(
        r"\d{1,3}(?:[.,' ]\d{3})*[.,]?\d*[.,]*", number.strip()
    ):
        return None
    try:
        value = Decimal(_plain_number(number) or "x")
    except InvalidOperation:
        return None
    negative = bool(match["open"] and ")" in text) or bool(match["minus"] or match["inner"] or match["after"])
    return -value if negative and value else value


def parse_amount(text: str) -> str | None:
    """Return a sum of money with two decimals, or None."""
    value = parse_number(text)
    if value is None or abs(value) >= Decimal(10) ** 15:
        return None
    return f"{value:.2f}"


def parse_numeric(text: str) -> str | None:
    """Return a number without grouping, its decimals as printed, or None."""
    value = parse_number(text)
    return None if value is None else f"{value:f}"


def parse_digits(text: str) -> str | None:
    """Return only the digits 0-9 of ``text``, or None when there are none."""
    return re.sub(r"[^0-9]", "", text) or None


def closest_choice(text: str, choices: Sequence[str]) -> tuple[str, float] | None:
    """Return the choice closest to ``text`` and their similarity in percent, or None without choices."""
    folded = fold(text)
    if not folded or not choices:
        return None
    _, similarity, index = process.extractOne(folded, [fold(choice) for choice in choices], scorer=fuzz.ratio)
    return choices[index], similarity


def parse_enum(text: str, choices: Sequence[str]) -> str | None:
    """Return the choice closest to ``text``, or None when none is close enough."""
    closest = closest_choice(text, choices)
    return closest[0] if closest and closest[1] >= ENUM_SIMILARITY else None


def clean_string(text: str) -> str | None:
    """Return the text with single spaces and without separators around it, or None when nothing is left."""
    return re.sub(r"\s+", " ", text).strip().strip(",:;|").strip()[:MAXIMUM_VALUE_LENGTH].strip() or None


def field_type(field: Mapping[str, object]) -> str:
    """Return the field's type; an unknown type counts as ``string``."""
    kind = field.get("type")
    known = ("amount", "date", "digits", "enum", "lines", "numeric", "string")
    return kind if isinstance(kind, str) and kind in known else "string"


def enum_choices(field: Mapping[str, object]) -> list[str]:
    """Return the choices of an enum field."""
    choices = field.get("enum")
    return [choice for choice in choices if isinstance(choice, str)] if isinstance(choices, list) else []


def normalise(text: str, field: Mapping[str, object], order: DateOrder = "day") -> str | None:
    """Return ``text`` in the form of the field's type, or None when it cannot be a value of that type."""
    match field_type(field):
        case "date":
            return parse_date(text, order)
        case "amount":
            return parse_amount(text)
        case "numeric":
            return parse_numeric(text)
        case "digits":
            return parse_digits(text)
        case "enum":
            return parse_enum(text, enum_choices(field))
        case _:
            return clean_string(text)


def as_text(value: object) -> str | None:
    """Return a ground truth scalar as text; None when it is null, empty or nested."""
    if value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() or None


def same_value(expected: str, found: str | None, field: Mapping[str, object], order: DateOrder) -> bool:
    """Return whether a found value equals the ground truth's, compared by the field's type."""
    if found is None:
        return False
    kind = field_type(field)
    if kind == "date":
        return parse_date(expected, order) == found or found in date_readings(expected).values()
    if kind in ("amount", "numeric"):
        left, right = parse_number(expected), parse_number(found)
        return left is not None and left == right
    if kind == "digits":
        return (parse_digits(expected) or "").lstrip("0") == found.lstrip("0")
    return fold(expected) == fold(found)

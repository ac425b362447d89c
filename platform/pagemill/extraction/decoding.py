"""Normalisation of printed text by field type."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from rapidfuzz import fuzz, process

from pagemill.extraction.damaged_money import may_be
from pagemill.extraction.printed_characters import plain
from pagemill.extraction.printed_dates import DateOrder, date_readings
from pagemill.extraction.printed_numbers import DecimalMark, read_number

MAXIMUM_VALUE_LENGTH = 1024
ENUM_SIMILARITY = 60.0
LARGEST_AMOUNT = Decimal(10) ** 15

_CANONICAL = re.compile(r"-?\d+(?:\.\d+)?")


def fold(text: str) -> str:
    """Return the letters and digits of ``text`` in upper case, to compare two prints of a string."""
    upper = text.upper()
    return upper if upper.isalnum() else "".join(filter(str.isalnum, upper))


def parse_date(text: str, order: DateOrder = "day") -> str | None:
    """Return ``text`` as YYYY-MM-DD, or None; ``order`` decides only where both orders are possible."""
    readings = date_readings(text)
    return readings.get(order) or next(iter(readings.values()), None)


def parse_number(text: str, mark: DecimalMark | None = None) -> Decimal | None:
    """Return the number or sum of money that is printed; None for anything else (a date, a time, a rate).

    ``mark`` decides only where both marks of decimals are possible.
    """
    found = read_number(text)
    return None if found is None or found.is_percentage else found.value(mark)


def parse_amount(text: str, mark: DecimalMark | None = None) -> str | None:
    """Return a sum of money with two decimals, or None."""
    value = parse_number(text, mark)
    return None if value is None else as_amount(value)


def as_amount(value: Decimal) -> str | None:
    """Return a number as a sum of money with two decimals; None when it is too large for one."""
    return f"{value:.2f}" if abs(value) < LARGEST_AMOUNT else None


def parse_numeric(text: str, mark: DecimalMark | None = None) -> str | None:
    """Return a number or a percentage without grouping, its decimals as printed, or None."""
    found = read_number(text)
    return None if found is None else f"{found.value(mark):f}"


def parse_digits(text: str) -> str | None:
    """Return only the digits 0-9 of ``text``, or None when there are none."""
    return re.sub(r"[^0-9]", "", plain(text)) or None


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


def normalise(
    text: str, field: Mapping[str, object], order: DateOrder = "day", mark: DecimalMark | None = None
) -> str | None:
    """Return ``text`` in the form of the field's type, or None when it cannot be a value of that type."""
    match field_type(field):
        case "date":
            return parse_date(text, order)
        case "amount":
            return parse_amount(text, mark)
        case "numeric":
            return parse_numeric(text, mark)
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


def numbers_meant(text: str) -> set[Decimal]:
    """Return what a number of the ground truth can be: itself, or the readings of what was copied."""
    if _CANONICAL.fullmatch(text):
        return {Decimal(text)}
    found = read_number(text)
    return set() if found is None else set(found.values.values())


def prints(value: str, text: str, field: Mapping[str, object], order: DateOrder | None = None) -> bool:
    """Return whether ``text`` can be a print of a value of the ground truth; None for any order of dates."""
    match field_type(field):
        case "date":
            readings = date_readings(text)
            found = set(readings.values()) if order is None else {parse_date(text, order)} - {None}
            return not found.isdisjoint(date_readings(value).values())
        case "amount":
            number = read_number(text)
            meant = numbers_meant(value)
            if number is None:
                return any(may_be(text, abs(amount)) for amount in meant)
            return not number.is_percentage and not meant.isdisjoint(number.values.values())
        case "numeric":
            number = read_number(text)
            return number is not None and not numbers_meant(value).isdisjoint(number.values.values())
        case _:
            return same_value(value, normalise(text, field), field, order or "day")


def same_value(expected: str, found: str | None, field: Mapping[str, object], order: DateOrder) -> bool:
    """Return whether a found value equals the ground truth's, compared by the field's type."""
    if found is None:
        return False
    kind = field_type(field)
    if kind == "date":
        return parse_date(expected, order) == found or found in date_readings(expected).values()
    if kind in ("amount", "numeric"):
        numbers = numbers_meant(found)
        return not numbers.isdisjoint(numbers_meant(expected))
    if kind == "digits":
        return (parse_digits(expected) or "").lstrip("0") == found.lstrip("0")
    return fold(expected) == fold(found)

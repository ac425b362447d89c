"""Options of a field that bound its values: ``maxLength``, ``format``, ``strict`` and ``isMultivalue``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import re2

from pagemill.extraction.decoding import enum_choices, field_type, fold

Convention = Literal["day", "month", "point", "comma"]

MISFIT = 0.5
"""Share of its confidence that a value keeps which has not the field's format, where that is not strict."""
MAXIMUM_FORMAT = 4096

_DAY = re.compile(r"%[de]|D{1,2}|d{1,2}")
_MONTH = re.compile(r"%[mbB]|M{1,4}|m{1,2}")
_YEAR = re.compile(r"%[yY]|Y{2,4}|y{1,4}|u{4}")
_ONLY_DATE = re.compile(r"(?:%[demyYbB]|[DdMmYyu]+|[-/.,\s']|de|of)+")
_NUMBER_MARK = re.compile(r"[#0-9]([.,])[#0-9]{1,2}\D*$")


def is_multivalue(field: Mapping[str, object]) -> bool:
    """Return whether a document can have several values of a field."""
    return field.get("isMultivalue") is True


def is_strict(field: Mapping[str, object]) -> bool:
    """Return whether only values that fit the field's options are returned."""
    return field.get("strict") is True


def conventions_of(field: Mapping[str, object]) -> list[Convention]:
    """Return what the format of a date or a number says: "DD.MM.YYYY", "%m/%d/%Y", "#.##0,00"."""
    text = _format(field)
    if text is None:
        return []
    if field_type(field) == "date":
        return _order_of(text)
    mark = _NUMBER_MARK.search(text) if field_type(field) in ("amount", "numeric") else None
    marks: dict[str, Convention] = {".": "point", ",": "comma"}
    return [] if mark is None else [marks[mark[1]]]


def _order_of(text: str) -> list[Convention]:
    day, month, year = (part.search(text) for part in (_DAY, _MONTH, _YEAR))
    if not _ONLY_DATE.fullmatch(text) or day is None or month is None or year is None:
        return []
    if year.start() < min(day.start(), month.start()):
        return []
    first: Convention = "day" if day.start() < month.start() else "month"
    return [first]


def _format(field: Mapping[str, object]) -> str | None:
    text = field.get("format")
    return text if isinstance(text, str) and 0 < len(text) <= MAXIMUM_FORMAT else None


def certainty_of(value: str, raw: str, field: Mapping[str, object]) -> float:
    """Return the share of its confidence that a value keeps: 1 when it fits the field's options, 0 when not.

    ``maxLength`` is kept by every value. ``format`` is a regular expression (RE2) of the whole value, for
    fields of type string and digits; a choice of an enum fits when it is printed. Both only lower the
    confidence of a value, unless the field is strict.
    """
    longest = field.get("maxLength")
    if isinstance(longest, int) and len(value) > longest:
        return 0.0
    return 1.0 if _has_form(value, raw, field) else (0.0 if is_strict(field) else MISFIT)


def _has_form(value: str, raw: str, field: Mapping[str, object]) -> bool:
    kind = field_type(field)
    if kind == "enum":
        return not is_strict(field) or fold(raw) in {fold(choice) for choice in enum_choices(field)}
    text = _format(field) if kind in ("string", "digits") else None
    pattern = _compiled(text) if text is not None else None
    return pattern is None or bool(pattern.fullmatch(value))


@lru_cache(maxsize=1000)
def _compiled(text: str) -> re2._Regexp[str] | None:
    """Return a format as an expression; None when it is none: it says nothing then."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error:
        return None

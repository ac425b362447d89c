"""Dates as they are printed, in digits or with the month's name in about 80 languages.

The order of day and month can be open: "05/12/2018". Both readings are returned then; what they are chosen by
stands in ``conventions``.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from pagemill.extraction.printed_characters import comparable, month_numbers, plain
from pagemill.extraction.printed_numbers import LONGEST_PRINT, REMEMBERED

DateOrder = Literal["day", "month"]
DateReadings = dict[DateOrder, str]

CENTURY_PIVOT = 70
YEARS = range(1900, 2101)
"""Other years are misread digits or no years at all."""
BUDDHIST_YEARS = range(2443, 2644)
BUDDHIST_ERA = 543
ERAS = {"\u4ee4\u548c": 2018, "\u5e73\u6210": 1988, "\u662d\u548c": 1925}
FIRST_YEAR_OF_ERA = "\u5143"

_SEPARATOR = r"\s?[-/.,]\s?|\s"
_IN_DIGITS = re.compile(rf"(?<!\d)(?=(\d{{1,2}})({_SEPARATOR})(\d{{1,2}})({_SEPARATOR})(\d{{2,10}}))")
_YEAR_FIRST = re.compile(r"(?<!\d)(?=(\d{4})\s?([-/.])\s?(\d{1,2})\s?\2\s?(\d{1,10}))")
_DAY_NAME_YEAR = re.compile(r"(?<!\d)(?=(\d{1,2})(\D{2,32}?)(\d{2,10}))")
_NAME_DAY_YEAR = re.compile(
    r"(?<![^\W\d_])(?=([^\W\d_][^\s\d,/:;()\[\]-]*)[\s\-/.,]{0,3}(\d{1,2})(?!\d)"
    r"((?:st|nd|rd|th)?[\s\-/.,']+)(\d{2,10}))",
    re.IGNORECASE,
)
_YEAR_NAME_DAY = re.compile(r"(?<!\d)(?=(\d{4})(\D{4,24}?)(\d{1,10}))")
_EAST_ASIAN = re.compile(
    r"(?=(\u4ee4\u548c|\u5e73\u6210|\u662d\u548c)?(?<!\d)(\d{1,4}|\u5143)\s?[\u5e74\ub144]\s?(\d{1,2})\s?[\u6708\uc6d4]\s?(\d{1,2}))"
)
_VIETNAMESE = re.compile(
    r"(?<!\d)(?=(\d{1,2})\s?th\u00e1ng\s?(\d{1,2})(?:,|\s)\s?(?:n\u0103m\s?)?(\d{4}))", re.IGNORECASE
)
_LATVIAN = re.compile(r"(?<!\d)(?=(\d{4})\.?\s?(?:gada|g\.)\s?(\d{1,2})\.?\s?([^\W\d_]+))", re.IGNORECASE)
_COMPACT = re.compile(r"(?<!\d)(?=(\d{8})(?!\d))")
_WORD = re.compile(r"[^\W\d_][^\s\d,/:;()\[\]\-]*")
_THAI = re.compile("[\u0e00-\u0e7f]")
_THREE_DIGITS = re.compile(r"\d\D*\d\D*\d")
_CLOCK = re.compile(r"[:.h]\d\d")
_FILLER_WORDS = (
    "st nd rd th er re e eme ere de del di da d of the den der a og i ng ta h o va g gada m ko "
    "\u0569 \u0433 \u0433\u043e \u0435 \u03b7 \u03b7\u03c2 \u0bae\u0bcd \u0e1e\u0e28"
)
"""Words between a day, a month and a year: endings of ordinal numbers, articles, prepositions."""
_FILLERS = frozenset(_FILLER_WORDS.split())


class PrintedDate(NamedTuple):
    """A date between two places of a text, with its readings by the order of day and month."""

    begin: int
    end: int
    readings: DateReadings


class _Year(NamedTuple):
    """A year, and the number of digits that print it."""

    number: int
    width: int


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return None


def _short_year(digits: str) -> _Year:
    number = int(digits)
    return _Year(number + (2000 if number < CENTURY_PIVOT else 1900), 2)


def _year(run: str, following: str, *, buddhist: bool = False) -> _Year | None:
    """Return the year that a run of digits begins with, or None.

    A time of day may be glued to it: "201810:20" is 2018 and twenty past ten.
    """
    clock = _CLOCK.match(following) is not None
    if len(run) == 2:
        is_clock = clock and following[0] == ":"
        return None if is_clock else _short_year(run)
    number = int(run[:4]) if len(run) >= 4 else 0
    if buddhist and number in BUDDHIST_YEARS:
        number -= BUDDHIST_ERA
    glued = run[4:]
    if number in YEARS and (not glued or _is_clock(glued, clock=clock)):
        return _Year(number, 4)
    return _short_year(run[:2]) if len(run) in (3, 4) and clock and _is_clock(run[2:], clock=True) else None


def _is_clock(digits: str, *, clock: bool) -> bool:
    """Return whether digits are an hour before ":20", or a whole time of day."""
    if len(digits) <= 2:
        return clock and int(digits) < 24
    return len(digits) in (4, 6) and int(digits[:2]) < 24 and int(digits[2:4]) < 60


def _day_width(run: str, following: str) -> int | None:
    """Return how many of the digits that end a date print its day; others may be a time of day."""
    if len(run) <= 2:
        return len(run)
    return 2 if _is_clock(run[2:], clock=_CLOCK.match(following) is not None) else None


def _in_digits(text: str) -> Iterator[PrintedDate]:
    for match in _IN_DIGITS.finditer(text):
        left, right = match[2].strip(), match[4].strip()
        begin = match.start(1)
        year = _year(match[5], text[match.end(5) :])
        if year is None or (year.width == 2 and not left and not right and not _all_two_digits(match)):
            continue
        end = match.start(5) + year.width
        if not _stands_alone(text, begin, end, left, right, year.width):
            continue
        first, second = int(match[1]), int(match[3])
        readings: DateReadings = {}
        if day_first := _iso(year.number, second, first):
            readings["day"] = day_first
        if month_first := _iso(year.number, first, second):
            readings["month"] = month_first
        if readings:
            yield PrintedDate(begin, end, readings)


def _all_two_digits(match: re.Match[str]) -> bool:
    return len(match[1]) == len(match[3]) == 2


def _stands_alone(text: str, begin: int, end: int, left: str, right: str, width: int) -> bool:
    """Return whether the digits around a date in digits are no part of it: "1.2.3.2020" is no date.

    What has another separator is another number: "19-11/03/2018".
    """
    same = left == right
    before = text[begin - 1 : begin]
    if begin > 1 and before in ".,/-" and text[begin - 2].isdigit() and not (same and before != left):
        return False
    after = text[end : end + 1]
    followed = bool(after) and after in "./-" and text[end + 1 : end + 2].isdigit()
    return not (followed and width == 2 and not (same and after != left))


def _year_first(text: str) -> Iterator[PrintedDate]:
    for match in _YEAR_FIRST.finditer(text):
        width = _day_width(match[4], text[match.end(4) :])
        if width is not None and int(match[1]) in YEARS:
            yield from _sure(
                match.start(1),
                match.start(4) + width,
                _iso(int(match[1]), int(match[3]), int(match[4][:width])),
            )


def _sure(begin: int, end: int, iso: str | None) -> Iterator[PrintedDate]:
    """Yield a date that has the same reading for both orders."""
    if iso is not None:
        yield PrintedDate(begin, end, {"day": iso, "month": iso})


def _month_among(words: list[str]) -> int | None:
    """Return the month that is named between a day and a year; None with another word beside it."""
    months = []
    for word in words:
        name = comparable(word)
        month = month_numbers().get(name)
        if month is not None:
            months.append(month)
        elif name not in _FILLERS:
            return None
    return months[0] if len(months) == 1 else None


def _day_name_year(text: str) -> Iterator[PrintedDate]:
    for match in _DAY_NAME_YEAR.finditer(text):
        month = _month_among(_WORD.findall(match[2]))
        if month is None:
            continue
        year = _year(match[3], text[match.end(3) :], buddhist=_THAI.search(match[2]) is not None)
        if year is not None:
            yield from _sure(
                match.start(1), match.start(3) + year.width, _iso(year.number, month, int(match[1]))
            )


def _name_day_year(text: str) -> Iterator[PrintedDate]:
    for match in _NAME_DAY_YEAR.finditer(text):
        month = month_numbers().get(comparable(match[1]))
        year = _year(match[4], text[match.end(4) :]) if month is not None else None
        if month is not None and year is not None:
            yield from _sure(
                match.start(1), match.start(4) + year.width, _iso(year.number, month, int(match[2]))
            )


def _year_name_day(text: str) -> Iterator[PrintedDate]:
    for match in _YEAR_NAME_DAY.finditer(text):
        month = _month_among(_WORD.findall(match[2])) if int(match[1]) in YEARS else None
        width = _day_width(match[3], text[match.end(3) :])
        if month is not None and width is not None:
            yield from _sure(
                match.start(1),
                match.start(3) + width,
                _iso(int(match[1]), month, int(match[3][:width])),
            )


def _east_asian(text: str) -> Iterator[PrintedDate]:
    for match in _EAST_ASIAN.finditer(text):
        number = 1 if match[2] == FIRST_YEAR_OF_ERA else int(match[2])
        year = ERAS[match[1]] + number if match[1] else number
        if year in YEARS:
            yield from _sure(
                match.start(1) if match[1] else match.start(2),
                match.end(4),
                _iso(year, int(match[3]), int(match[4])),
            )


def _vietnamese(text: str) -> Iterator[PrintedDate]:
    for match in _VIETNAMESE.finditer(text):
        if int(match[3]) in YEARS:
            yield from _sure(match.start(1), match.end(3), _iso(int(match[3]), int(match[2]), int(match[1])))


def _latvian(text: str) -> Iterator[PrintedDate]:
    for match in _LATVIAN.finditer(text):
        month = month_numbers().get(comparable(match[3]))
        if month is not None and int(match[1]) in YEARS:
            yield from _sure(match.start(1), match.end(3), _iso(int(match[1]), month, int(match[2])))


def _compact(text: str) -> Iterator[PrintedDate]:
    for match in _COMPACT.finditer(text):
        digits = match[1]
        for year, month, day in (
            (digits[:4], digits[4:6], digits[6:]),
            (digits[4:], digits[2:4], digits[:2]),
        ):
            if 1950 <= int(year) <= YEARS[-1]:
                yield from _sure(match.start(1), match.end(1), _iso(int(year), int(month), int(day)))
                break


_WITH_NAMES: tuple[Callable[[str], Iterator[PrintedDate]], ...] = (
    _day_name_year,
    _name_day_year,
    _year_name_day,
    _east_asian,
    _vietnamese,
    _latvian,
)


def find_dates(text: str) -> list[PrintedDate]:
    """Return all dates in ``text``, the most certain kinds first; the places are those of ``plain(text)``."""
    return list(_dates(plain(text)))


def _dates(text: str) -> Iterator[PrintedDate]:
    if not has_digits_of_date(text):
        return
    yield from _year_first(text)
    if any(map(str.isalpha, text)):
        for kind in _WITH_NAMES:
            yield from kind(text)
    yield from sorted(_in_digits(text), key=lambda found: -(found.end - found.begin))
    yield from _compact(text)


def has_digits_of_date(text: str) -> bool:
    """Return whether ``text`` has as many digits as the shortest date."""
    return _THREE_DIGITS.search(text) is not None


def date_readings(text: str) -> DateReadings:
    """Return the ISO dates that ``text`` can mean, by order of day and month.

    A date in digits can have a different reading for each order; any other date has the same for both.
    """
    return dict(_date_readings(text)) if len(text) <= LONGEST_PRINT else {}


@lru_cache(maxsize=REMEMBERED)
def _date_readings(text: str) -> DateReadings:
    first = next(_dates(plain(text)), None)
    return {} if first is None else first.readings

"""Candidate spans: the places on a page where a value of some type could stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import add

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.decoding import (
    beginnings_of_dates,
    closest_choice,
    date_readings,
    enum_choices,
    field_type,
    fold,
    parse_number,
)
from pagemill.extraction.layout import Layout

MAXIMUM_DATE_TOKENS = 5
MAXIMUM_DIGIT_TOKENS = 4
MAXIMUM_ENUM_TOKENS = 5
ENUM_PRINT_SIMILARITY = 85.0

_DIGIT_TEXT = re.compile(r"[\d\s.\-/]+")
_GROUP_TAIL = re.compile(r"\d{3}(?:[.,]\d{2})?\W*")
_GROUP_HEAD = re.compile(r"\W?\d{1,3}")
_SIGN = re.compile(r"[-(]|(?:[-(]\s?)?[$€£¥]")


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of tokens on a page, both ends inclusive."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def pairs(self) -> list[tuple[int, int]]:
        """Return (start, end) of each span."""
        return list(zip(self.starts.tolist(), self.ends.tolist(), strict=True))


def _spans(pairs: list[tuple[int, int]]) -> Spans:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Spans(table[:, 0], table[:, 1])


def _date_spans(layout: Layout) -> Spans:
    """Return the shortest spans that read as a date."""
    found: list[tuple[int, int]] = []
    first_ends = _first_ends_of_dates(layout)
    lines = layout.lines.tolist()
    for start, text in enumerate(layout.texts):
        reach = min(start + MAXIMUM_DATE_TOKENS, len(lines))
        if first_ends[start] >= reach or not any(map(str.isalnum, text)):
            continue
        for end in range(first_ends[start], reach):
            if lines[end] != lines[start]:
                break
            if date_readings(layout.text(start, end)):
                if end == start or not date_readings(layout.text(start + 1, end)):
                    found.append((start, end))
                break
    return _spans(found)


def _first_ends_of_dates(layout: Layout) -> list[int]:
    """Return for each token the first one that a span from it on has to reach to hold a date.

    That is the number of all tokens where no date follows in the line. Most spans need not be put together
    and searched then.
    """
    count = len(layout)
    first_ends = [count] * count
    for line in np.split(np.arange(count), np.flatnonzero(np.diff(layout.lines)) + 1):
        if not len(line):
            continue
        first, last = int(line[0]), int(line[-1])
        text = layout.text(first, last)
        places = beginnings_of_dates(text)
        if places is None:
            first_ends[first : last + 1] = line.tolist()
        elif places:
            begins = _begins(layout, first, last)
            for begin, end in places:
                start = first + bisect_right(begins, begin) - 1
                first_ends[start] = min(first_ends[start], first + bisect_right(begins, end - 1) - 1)
            for at in range(last - 1, first - 1, -1):
                first_ends[at] = min(first_ends[at], first_ends[at + 1])
    return first_ends


def _begins(layout: Layout, first: int, last: int) -> list[int]:
    """Return where each of some tokens begins in their common text."""
    lengths = (len(layout.texts[at]) for at in range(first, last))
    spaces = (0 if layout.glued[at] else 1 for at in range(first + 1, last + 1))
    return [0, *accumulate(map(add, lengths, spaces))]


def _amount_spans(layout: Layout) -> Spans:
    found: list[tuple[int, int]] = []
    for start, text in enumerate(layout.texts):
        if not any(map(str.isdigit, text)) or parse_number(text) is None:
            continue
        begin = start
        if (
            start
            and layout.lines[start - 1] == layout.lines[start]
            and _SIGN.fullmatch(layout.texts[start - 1])
        ):
            begin = start - 1
        found.append((begin if parse_number(layout.text(begin, start)) is not None else start, start))
        end = start + 1
        while (
            end < len(layout)
            and layout.lines[end] == layout.lines[start]
            and _GROUP_HEAD.fullmatch(text)
            and _GROUP_TAIL.fullmatch(layout.texts[end])
            and parse_number(layout.text(start, end)) is not None
        ):
            found.append((start, end))
            end += 1
    return _spans(found)


def _digit_spans(layout: Layout) -> Spans:
    found: list[tuple[int, int]] = []
    for start, text in enumerate(layout.texts):
        if not any(map(str.isdigit, text)):
            continue
        found.append((start, start))
        for end in range(start + 1, min(start + MAXIMUM_DIGIT_TOKENS, len(layout))):
            joined = layout.text(start, end)
            if layout.lines[end] != layout.lines[start] or not _DIGIT_TEXT.fullmatch(joined):
                break
            found.append((start, end))
    return _spans(found)


def _enum_spans(layout: Layout, choices: list[str]) -> Spans:
    """Return the spans that print a choice; of overlapping ones the closest."""
    found: list[tuple[float, int, int]] = []
    longest = max((len(fold(choice)) for choice in choices), default=0)
    for start in range(len(layout)):
        for end in range(start, min(start + MAXIMUM_ENUM_TOKENS, len(layout))):
            text = layout.text(start, end)
            if len(fold(text)) > longest + 2:
                break
            closest = closest_choice(text, choices)
            if closest is not None and closest[1] >= ENUM_PRINT_SIMILARITY:
                found.append((-closest[1], start, end))
    taken: set[int] = set()
    kept: list[tuple[int, int]] = []
    for _, start, end in sorted(found):
        if taken.isdisjoint(range(start, end + 1)):
            taken.update(range(start, end + 1))
            kept.append((start, end))
    return _spans(sorted(kept))


def string_spans(layout: Layout, maximum: int) -> Spans:
    """Return every span of up to ``maximum`` tokens."""
    count = len(layout)
    starts = np.repeat(np.arange(count), maximum)
    ends = starts + np.tile(np.arange(maximum), count)
    inside = ends < count
    return Spans(starts[inside], ends[inside])


def candidate_key(field: Mapping[str, object]) -> str:
    """Return a key that is equal for fields with the same candidates."""
    kind = field_type(field)
    if kind == "numeric":
        return "amount"
    if kind == "enum":
        return "enum:" + "\x1f".join(enum_choices(field))
    return kind


def typed_spans(layout: Layout, field: Mapping[str, object]) -> Spans | None:
    """Return the spans that could be a value of the field's type; None when any span could (strings)."""
    match field_type(field):
        case "date":
            return _date_spans(layout)
        case "amount" | "numeric":
            return _amount_spans(layout)
        case "digits":
            return _digit_spans(layout)
        case "enum":
            return _enum_spans(layout, enum_choices(field))
        case _:
            return None

"""Candidate spans: the places on a page where a value of some type could stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.damaged_money import is_damaged_money
from pagemill.extraction.decoding import closest_choice, enum_choices, field_type, fold, parse_number
from pagemill.extraction.layout import Layout
from pagemill.extraction.printed_characters import plain
from pagemill.extraction.printed_dates import date_readings, find_dates, has_digits_of_date
from pagemill.extraction.printed_numbers import read_number

MAXIMUM_DIGIT_TOKENS = 4
MAXIMUM_ENUM_TOKENS = 5
ENUM_PRINT_SIMILARITY = 85.0
MOST_SIGNS_AFTER = 2
NEAR = 1.5
"""Widest gap between a number and a sign behind it, in heights of the line."""

_DIGIT_TEXT = re.compile(r"[\d\s.\-/]+")
_GROUP_TAIL = re.compile(r"\d{3}(?:[.,]\d{2})?\W*")
_GROUP_HEAD = re.compile(r"\W?\d{1,3}")
_SIGN = re.compile(r"[-(]|(?:[-(]\s?)?[$€£¥]|%")
_SIGN_AFTER = re.compile(r"-|\)|-?\)|\(?(?:CR|Cr|cr|DR|Dr|dr|DB)\.?\)?|%")


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


NO_SPANS = Spans(np.empty(0, np.int64), np.empty(0, np.int64))


def _spans(pairs: list[tuple[int, int]]) -> Spans:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Spans(table[:, 0], table[:, 1])


def _date_spans(layout: Layout) -> Spans:
    """Return the tokens that hold each date of a line; of two that hold the same one, the fewer."""
    found: set[tuple[int, int]] = set()
    for first, last in _lines(layout):
        if not has_digits_of_date("".join(layout.texts[first : last + 1])):
            continue
        begins, text = _plain_line(layout, first, last)
        for date in find_dates(text):
            start, end = bisect_right(begins, date.begin) - 1, bisect_right(begins, date.end - 1) - 1
            if date_readings(layout.text(first + start, first + end)):
                found.add((first + start, first + end))
    return _spans(_shortest(found))


def _shortest(spans: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans that hold no other one, in order."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        while kept and kept[-1][1] >= end:
            kept.pop()
        kept.append((start, end))
    return kept


def _lines(layout: Layout) -> list[tuple[int, int]]:
    """Return the first and the last token of each line."""
    edges = [0, *(np.flatnonzero(np.diff(layout.lines)) + 1).tolist(), len(layout)]
    return [(begin, end - 1) for begin, end in pairwise(edges) if end > begin]


def _plain_line(layout: Layout, first: int, last: int) -> tuple[list[int], str]:
    """Return where each of some tokens begins in their common text, and that text in plain characters."""
    texts = [plain(text) for text in layout.texts[first : last + 1]]
    parts = [text if not at or layout.glued[first + at] else f" {text}" for at, text in enumerate(texts)]
    ends = list(accumulate(map(len, parts)))
    return [end - len(text) for end, text in zip(ends, texts, strict=True)], "".join(parts)


def _amount_spans(layout: Layout, reads: Callable[[str], bool]) -> Spans:
    found: list[tuple[int, int]] = []
    lines = layout.lines.tolist()
    for start, text in enumerate(layout.texts):
        if text.isalpha() or not any(map(str.isdecimal, text)) or not reads(text):
            continue
        found += _with_signs(layout, lines, start, start, reads)
        end = start + 1
        while (
            end < len(lines)
            and lines[end] == lines[start]
            and _GROUP_HEAD.fullmatch(text)
            and _GROUP_TAIL.fullmatch(layout.texts[end])
            and reads(layout.text(start, end))
        ):
            found += _with_signs(layout, lines, start, end, reads)
            end += 1
    return _spans(found)


def _with_signs(
    layout: Layout, lines: Sequence[int], start: int, end: int, reads: Callable[[str], bool]
) -> Iterator[tuple[int, int]]:
    """Yield a number with the signs beside it, which can turn it around: "-", "(" and ")", "CR".

    Nothing where they make something else of it, such as a percentage of an amount.
    """
    begin, stop = start, end
    if start and lines[start - 1] == lines[start] and _SIGN.fullmatch(plain(layout.texts[start - 1])):
        begin = start - 1
    while (
        stop + 1 < len(lines)
        and stop < end + MOST_SIGNS_AFTER
        and lines[stop + 1] == lines[start]
        and _SIGN_AFTER.fullmatch(plain(layout.texts[stop + 1]))
        and _is_near(layout, stop)
    ):
        stop += 1
    spans = ((begin, stop), (start, stop), (begin, end), (start, end))
    fitting = next((span for span in spans if reads(layout.text(*span))), None)
    if fitting is not None and not any("%" in layout.texts[at] for at in range(fitting[1] + 1, stop + 1)):
        yield fitting


def _is_near(layout: Layout, token: int) -> bool:
    """Return whether the next token stands no further than a wide space away."""
    boxes = layout.boxes
    height = float(boxes[token, 3] - boxes[token, 1])
    return float(boxes[token + 1, 0] - boxes[token, 2]) * layout.aspect <= NEAR * height


def _digit_spans(layout: Layout) -> Spans:
    found: list[tuple[int, int]] = []
    for start, text in enumerate(layout.texts):
        if not any(map(str.isdecimal, text)):
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


def _is_amount(text: str) -> bool:
    return parse_number(text) is not None or is_damaged_money(text)


def _is_number(text: str) -> bool:
    return read_number(text) is not None


def candidate_key(field: Mapping[str, object]) -> str:
    """Return a key that is equal for fields with the same candidates."""
    kind = field_type(field)
    if kind == "enum":
        return "enum:" + "\x1f".join(enum_choices(field))
    return kind


def typed_spans(layout: Layout, field: Mapping[str, object]) -> Spans | None:
    """Return the spans that could be a value of the field's type; None when any span could (strings)."""
    match field_type(field):
        case "date":
            return _date_spans(layout)
        case "amount":
            return _amount_spans(layout, _is_amount)
        case "numeric":
            return _amount_spans(layout, _is_number)
        case "digits":
            return _digit_spans(layout)
        case "enum":
            return _enum_spans(layout, enum_choices(field))
        case _:
            return None

"""Features of tokens: hashed text and measurements, the input of the network."""

from __future__ import annotations

import math
import re
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.decoding import parse_number
from pagemill.extraction.layout import Layout
from pagemill.extraction.printed_dates import date_readings

BUCKETS = 1 << 15
PIECES = 14
"""Hashed pieces per token; unused ones point at bucket 0."""
MEASUREMENTS = 40

_MONEY = re.compile(r"\d[.,]\d{2}\D{0,3}$")


_KINDS = {
    kind: zlib.crc32(f"{kind}\x1f".encode())
    for kind in ("word", "bare", "shape", "head", "tail", "exact", "tri")
}
"""The sums of what stands in front of each kind of text."""


def _bucket(kind: str, text: str) -> int:
    return 1 + zlib.crc32(text.encode(), _KINDS[kind]) % (BUCKETS - 1)


def word_shape(text: str) -> str:
    """Return the shape of a word: "03/12/20" -> "99/99/99", "Inc-D" -> "Aa-A" (letters by run)."""
    shape = re.sub(r"\d", "9", text[:24])
    shape = re.sub(r"[^\W\d_]+", lambda run: _letters(run[0]), shape)
    return shape


def _letters(run: str) -> str:
    if run.isupper():
        return "A"
    return "a" if run.islower() else "Aa"


@lru_cache(maxsize=200_000)
def text_pieces(text: str) -> tuple[int, ...]:
    """Return the hash buckets of a token's word, shape, ends and inner trigrams."""
    lower = re.sub(r"\d", "0", text.lower()[:40])
    stripped = lower.strip(".,:;#*()")
    pieces = [
        _bucket("word", lower),
        _bucket("bare", stripped),
        _bucket("shape", word_shape(text)),
        _bucket("head", stripped[:3]),
        _bucket("tail", stripped[-3:]),
        _bucket("exact", text[:40]),
    ]
    padded = f"^{stripped}$"
    trigrams = [_bucket("tri", padded[index : index + 3]) for index in range(max(len(padded) - 2, 0))]
    pieces += trigrams[: PIECES - len(pieces)]
    return tuple(pieces + [0] * (PIECES - len(pieces)))


@lru_cache(maxsize=200_000)
def text_measurements(text: str) -> tuple[float, ...]:
    """Return what kind of token it is, as flags and small numbers."""
    size = max(len(text), 1)
    digits = sum(map(str.isdigit, text))
    letters = sum(map(str.isalpha, text))
    number = parse_number(text)
    return (
        min(len(text), 20) / 20,
        digits / size,
        letters / size,
        float(text.isupper()),
        float(text[:1].isupper()),
        float(text.isdigit()),
        float(bool(date_readings(text))),
        float(number is not None),
        float(bool(_MONEY.search(text))),
        float(any(sign in text for sign in "$€£¥")),
        float(text.endswith(":")),
        float(":" in text[1:-1]),
        float("%" in text),
        float(not digits and not letters),
        math.log10(1 + min(abs(float(number)), 1e12)) / 6 if number is not None else 0.0,
        float(number is not None and number == 0),
    )


def _ranks(layout: Layout) -> NDArray[np.float32]:
    """Rank a token's amount and date among the page's: largest, latest, repeated."""
    result = np.zeros((len(layout), 6), dtype=np.float32)
    others = [(index, text) for index, text in enumerate(layout.texts) if not text.isalpha()]
    amounts = {
        index: float(number)
        for index, text in others
        if _MONEY.search(text) and (number := parse_number(text)) is not None
    }
    dates = {index: min(readings.values()) for index, text in others if (readings := date_readings(text))}
    for column, values in ((0, amounts), (3, dates)):
        ordered = sorted(set(values.values()))  # type: ignore[type-var]
        place = {value: rank for rank, value in enumerate(ordered)}
        counts: dict[object, int] = {}
        for value in values.values():
            counts[value] = counts.get(value, 0) + 1
        for index, value in values.items():
            last = max(len(ordered) - 1, 1)
            result[index, column] = place[value] / last
            result[index, column + 1] = float(place[value] == len(ordered) - 1)
            result[index, column + 2] = min(counts[value], 6) / 6
    return result


def _line_measurements(layout: Layout) -> NDArray[np.float32]:
    """Return the position in the line and on the page, and the white space around."""
    boxes, lines, count = layout.boxes, layout.lines, len(layout)
    heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1e-3)
    typical = float(np.median(heights)) if count else 1.0
    per_line = np.bincount(lines, minlength=int(lines.max()) + 1 if count else 1)
    first = np.searchsorted(lines, np.arange(len(per_line)))
    position = np.arange(count) - first[lines]
    left, right, above, below = (layout.neighbours[:, column] for column in range(4))
    gap_left = np.where(left >= 0, boxes[:, 0] - boxes[left, 2], 0.5)
    gap_right = np.where(right >= 0, boxes[right, 0] - boxes[:, 2], 0.5)
    gap_above = np.where(above >= 0, boxes[:, 1] - boxes[above, 3], 0.2)
    gap_below = np.where(below >= 0, boxes[below, 1] - boxes[:, 3], 0.2)
    total = max(len(per_line) - 1, 1)
    columns = [
        boxes[:, 0] * 2 - 1,
        boxes[:, 1] * 2 - 1,
        boxes[:, 2] * 2 - 1,
        np.minimum((boxes[:, 2] - boxes[:, 0]) * 4, 2),
        np.clip(heights / typical - 1, -1, 2),
        np.minimum(position, 10) / 10,
        np.minimum(per_line[lines] - 1 - position, 10) / 10,
        (position == 0).astype(np.float32),
        (position == per_line[lines] - 1).astype(np.float32),
        np.clip(gap_left / typical, -1, 8) / 4,
        np.clip(gap_right / typical, -1, 8) / 4,
        np.clip(gap_above / typical, -1, 4) / 4,
        np.clip(gap_below / typical, -1, 4) / 4,
        lines / total,
        np.minimum(lines, 12) / 12,
        np.minimum(total - lines, 12) / 12,
    ]
    return np.column_stack(columns).astype(np.float32).reshape(count, len(columns))


def measure(layout: Layout, place: int, pages: int) -> NDArray[np.float32]:
    """Return the measurements of every token on page ``place`` of the ``pages`` of its document."""
    if not len(layout):
        return np.zeros((0, MEASUREMENTS), dtype=np.float32)
    kinds = np.array([text_measurements(text) for text in layout.texts], dtype=np.float32)
    whole = np.array([float(layout.page == 0), float(place == pages - 1)], dtype=np.float32)
    repeated = np.broadcast_to(whole, (len(layout), len(whole)))
    return np.concatenate([kinds, _line_measurements(layout), _ranks(layout), repeated], axis=1)

"""Logical order of text that is written from right to left, from the order in which it stands on the page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

Direction = Literal["left", "right", "number", "separator", "neutral"]
"""The way a piece runs: "left" from left to right (Latin), "right" from right to left (Arabic, Hebrew)."""

RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u065f\u066d-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
"""Blocks of Unicode whose letters are written from right to left, without their digits."""

_DIRECTIONS: dict[str, Direction] = {
    "L": "left",
    "R": "right",
    "AL": "right",
    "EN": "number",
    "AN": "number",
    "ES": "separator",
    "CS": "separator",
    "ET": "separator",
}


def character_direction(character: str) -> Direction:
    """Return the way a character runs."""
    return _DIRECTIONS.get(unicodedata.bidirectional(character), "neutral")


def text_direction(text: str) -> Direction:
    """Return the way a word runs: that of most of its letters, "number" where it has digits only."""
    directions = [character_direction(one) for one in text]
    left, right = directions.count("left"), directions.count("right")
    if left or right:
        return "left" if left > right else "right"
    return "number" if "number" in directions else "neutral"


def logical_order(directions: Sequence[Direction], *, right_to_left: bool) -> list[int]:
    """Return the positions of pieces that stand from left to right in the order in which they are read.

    This turns rule L2 of the Unicode Bidirectional Algorithm (UAX 9) round: the same reversals lead back.
    """
    levels = _levels_in_right_to_left(directions) if right_to_left else _levels_in_left_to_right(directions)
    order = list(range(len(directions)))
    for level in (2, 1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[end] >= level:
                end += 1
            # Positions move within spans of one level only, so that levels stay in step with them.
            order[start:end] = order[start:end][::-1]
            levels[start:end] = levels[start:end][::-1]
            start = max(end, start + 1)
    return order


def _levels_in_right_to_left(directions: Sequence[Direction]) -> list[int]:
    """Return 1 for what runs from right to left, 2 for Latin spans and numbers within it."""
    levels = [1] * len(directions)
    for start, end in _spans(directions, "right", trimmed_to=("left", "number")):
        if "left" in directions[start:end]:
            levels[start:end] = [2] * (end - start)
        else:
            levels[start:end] = _number_levels(directions[start:end])
    return levels


def _levels_in_left_to_right(directions: Sequence[Direction]) -> list[int]:
    """Return 0 for what runs from left to right, 1 for spans in the other direction, 2 for their numbers."""
    levels = [0] * len(directions)
    for start, end in _spans(directions, "left", trimmed_to=("right",)):
        levels[start:end] = _number_levels(directions[start:end])
    return levels


def _spans(
    directions: Sequence[Direction], border: Direction, trimmed_to: tuple[Direction, ...]
) -> list[tuple[int, int]]:
    """Return the spans between pieces of the border's direction, from the first to the last kept piece."""
    spans: list[tuple[int, int]] = []
    first: int | None = None
    last = 0
    for position, direction in enumerate(directions):
        if direction == border:
            if first is not None:
                spans.append((first, last + 1))
            first = None
        elif direction in trimmed_to:
            first = position if first is None else first
            last = position
    if first is not None:
        spans.append((first, last + 1))
    return spans


def _number_levels(directions: Sequence[Direction]) -> list[int]:
    """Return 2 for digits and for a separator between two of them, otherwise 1."""
    levels = [2 if direction == "number" else 1 for direction in directions]
    for position in range(1, len(directions) - 1):
        beside = levels[position - 1] == 2 and directions[position + 1] == "number"
        if beside and directions[position] == "separator":
            levels[position] = 2
    return levels

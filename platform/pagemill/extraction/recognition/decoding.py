"""Text of a line from the recogniser's output: connectionist temporal classification, best path."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP = 8
"""Width of a column of the output, in pixels of the line."""


@dataclass(frozen=True, slots=True)
class DecodedLine:
    """Characters of a line with their probabilities, and their middles in pixels of the line."""

    characters: tuple[str, ...]
    probabilities: tuple[float, ...]
    middles: tuple[float, ...]

    @property
    def text(self) -> str:
        """The characters together."""
        return "".join(self.characters)

    @property
    def confidence(self) -> float:
        """Mean probability of the characters, 0 without one."""
        return sum(self.probabilities) / len(self.probabilities) if self.probabilities else 0.0

    def widest_gap(self, width: float) -> float:
        """Return the widest part of the line, in pixels, without a character in its middle."""
        marks = [
            0.0,
            *(self.middles[at] for at, one in enumerate(self.characters) if not one.isspace()),
            width,
        ]
        return max(after - before for before, after in itertools.pairwise(marks))


@dataclass(frozen=True, slots=True)
class DecodedWord:
    """A word of a line: from ``start`` to ``end`` in pixels of the line; the confidence is its own."""

    text: str
    confidence: float
    start: float
    end: float


def decode(
    indexes: NDArray[np.int64], probabilities: NDArray[np.float32], characters: Sequence[str]
) -> DecodedLine:
    """Return the line: equal neighbours are one character, index 0 is none."""
    starts = np.flatnonzero(np.diff(indexes, prepend=-1))
    ends = np.append(starts[1:], len(indexes))
    kept = indexes[starts] != 0
    starts, ends = starts[kept], ends[kept]
    return DecodedLine(
        tuple(characters[index] for index in indexes[starts]),
        tuple(float(one) for one in probabilities[starts]),
        tuple(float(one) * STEP for one in (starts + ends) / 2),
    )


def words_of(line: DecodedLine, width: float) -> list[DecodedWord]:
    """Return the words of a line of this width, each as wide as its characters."""
    runs: list[list[int]] = [[]]
    for position, character in enumerate(line.characters):
        if character.isspace():
            runs.append([])
        else:
            runs[-1].append(position)
    half = _character_width(line, width) / 2
    return [_word(line, run, half, width) for run in runs if run]


def _character_width(line: DecodedLine, width: float) -> float:
    apart = np.diff(line.middles)
    return float(np.median(apart)) if len(apart) else width / 2


def _word(line: DecodedLine, run: Sequence[int], half: float, width: float) -> DecodedWord:
    probabilities = [line.probabilities[position] for position in run]
    return DecodedWord(
        "".join(line.characters[position] for position in run),
        sum(probabilities) / len(probabilities),
        min(max(line.middles[run[0]] - half, 0.0), width),
        min(max(line.middles[run[-1]] + half, 0.0), width),
    )

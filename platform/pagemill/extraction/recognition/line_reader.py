"""Text of lines that are cut out."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.crops import HEIGHT
from pagemill.extraction.recognition.decoding import DecodedLine, decode
from pagemill.extraction.recognition.detector import Pixels, to_input
from pagemill.extraction.recognition.device import Device
from pagemill.extraction.recognition.models import FIRST_IDEOGRAPH, INPUT, line_models, open_session
from pagemill.extraction.recognition.shared_batches import SharedBatches

NARROWEST = 128
"""Shorter lines are padded to this width, in pixels; the model reads them worse without."""
DOUBTFUL = 0.9
"""A line with less confidence may hold characters that the alphabetic model does not know."""
WIDEST_GAP = 1.3 * HEIGHT
"""So may a line with a wider gap, in pixels: it is wider than one ideograph."""
WIDEST_USUAL = 960
"""Width of the widest lines, in pixels, that a GPU is warmed up with."""

Values: TypeAlias = NDArray[np.float32]
BatchObserver: TypeAlias = Callable[[int], None]
"""Function that is told how many lines each batch has."""


def unobserved(_lines: int) -> None:
    """Tell nobody of a batch."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A line as the alphabetic model reads it, and its features (columns, features) for the complete one."""

    line: DecodedLine
    features: Values


class LineReader:
    """Recogniser of upright lines that are 48 pixels high. Thread-safe; lines of all threads share batches.

    Lines are read with all characters where the alphabet alone may not do, and if one of them has ideographs,
    so are the others of the same call, which are those of the same page.
    """

    def __init__(
        self, device: Device, places: threading.Semaphore, observer: BatchObserver = unobserved
    ) -> None:
        self._models, self._observer = line_models(), observer
        self._alphabetic = open_session(self._models.alphabetic, device)
        self._complete = open_session(self._models.complete, device)
        self._step, self._batch_size = device.width_step, device.batch_size
        self._share(places)

    def beside(self, places: threading.Semaphore) -> LineReader:
        """Return a recogniser with the same models, and batches and places of its own."""
        other = copy.copy(self)
        other._share(places)
        return other

    def read(self, lines: Sequence[Pixels]) -> list[DecodedLine]:
        """Return the text of each line (48, width, 3)."""
        found = self._lines.results([self._prepared(line) for line in lines])
        texts = [one.line for one in found]
        widths = [line.shape[1] for line in lines]
        doubtful = [
            position
            for position, (line, width) in enumerate(zip(texts, widths, strict=True))
            if line.confidence < DOUBTFUL or line.widest_gap(width) > WIDEST_GAP
        ]
        self._read_completely(doubtful, found, texts)
        if any(_has_ideographs(texts[position]) for position in doubtful):
            self._read_completely(sorted({*range(len(lines))} - {*doubtful}), found, texts)
        return texts

    def warm_up(self) -> None:
        """Read blank lines of each usual width, as many as a batch has."""
        for width in range(self._step, WIDEST_USUAL + 1, self._step):
            self._lines.results([np.zeros((3, HEIGHT, width), dtype=np.float32)] * self._batch_size)

    def _share(self, places: threading.Semaphore) -> None:
        size = self._batch_size
        self._lines: SharedBatches[Values, _Read] = SharedBatches(
            self._read_batch, kind=lambda line: line.shape[2], size=size, places=places
        )
        self._features: SharedBatches[Values, DecodedLine] = SharedBatches(
            self._complete_batch, kind=lambda line: line.shape[0], size=size, places=places
        )

    def _read_completely(
        self, positions: Sequence[int], found: Sequence[_Read], texts: list[DecodedLine]
    ) -> None:
        complete = self._features.results([found[position].features for position in positions])
        for position, line in zip(positions, complete, strict=True):
            texts[position] = line

    def _prepared(self, line: Pixels) -> Values:
        width = line.shape[1]
        padded = max(NARROWEST, -(-width // self._step) * self._step)
        values = np.zeros((3, HEIGHT, padded), dtype=np.float32)
        values[:, :, :width] = to_input(line)
        return values

    def _read_batch(self, batch: Sequence[Values]) -> list[_Read]:
        self._observer(len(batch))
        outputs = self._alphabetic.run(None, {INPUT: np.stack(batch)})
        return [
            _Read(decode(indexes, probabilities, self._models.alphabetic_characters), features)
            for features, indexes, probabilities in zip(*outputs, strict=True)
        ]

    def _complete_batch(self, batch: Sequence[Values]) -> list[DecodedLine]:
        outputs = self._complete.run(None, {self._models.features: np.stack(batch)})
        characters = self._models.complete_characters
        return [decode(indexes, likely, characters) for indexes, likely in zip(*outputs, strict=True)]


def _has_ideographs(line: DecodedLine) -> bool:
    return any(ord(character) >= FIRST_IDEOGRAPH for character in line.text)

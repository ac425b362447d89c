"""Text of lines that are cut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.crops import HEIGHT
from pagemill.extraction.recognition.decoding import DecodedLine, decode
from pagemill.extraction.recognition.detector import Pixels, to_input
from pagemill.extraction.recognition.device import Device
from pagemill.extraction.recognition.models import INPUT, line_models, open_session
from pagemill.extraction.recognition.shared_batches import SharedBatches

NARROWEST = 160
"""Shorter lines are padded to this width, in pixels; the model reads them worse without."""
DOUBTFUL = 0.9
"""A line with less confidence is read with all characters: it may be Chinese or Japanese."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as the model takes it (3, 48, padded width)."""

    values: NDArray[np.float32]


class LineReader:
    """Recogniser of upright lines that are 48 pixels high. Thread-safe; lines of all threads share batches."""

    def __init__(self, device: Device) -> None:
        self._models = line_models()
        self._alphabetic = open_session(self._models.alphabetic, device)
        self._complete = open_session(self._models.complete, device)
        self._step = device.width_step
        self._batches: SharedBatches[_Line, DecodedLine] = SharedBatches(
            self._read_batch,
            kind=lambda line: line.values.shape[2],
            size=device.batch_size,
            concurrency=device.concurrency,
        )

    def read(self, lines: Sequence[Pixels]) -> list[DecodedLine]:
        """Return the text of each line (48, width, 3)."""
        return self._batches.results([self._prepared(line) for line in lines])

    def _prepared(self, line: Pixels) -> _Line:
        width = line.shape[1]
        padded = max(NARROWEST, -(-width // self._step) * self._step)
        values = np.zeros((3, HEIGHT, padded), dtype=np.float32)
        values[:, :, :width] = to_input(line)
        return _Line(values)

    def _read_batch(self, batch: Sequence[_Line]) -> list[DecodedLine]:
        values = np.stack([line.values for line in batch])
        features, indexes, probabilities = self._alphabetic.run(None, {INPUT: values})
        characters = self._models.alphabetic_characters
        lines = [decode(*one, characters) for one in zip(indexes, probabilities, strict=True)]
        doubtful = [position for position, line in enumerate(lines) if line.confidence < DOUBTFUL]
        if doubtful:
            indexes, probabilities = self._complete.run(None, {self._models.features: features[doubtful]})
            characters = self._models.complete_characters
            for position, *one in zip(doubtful, indexes, probabilities, strict=True):
                lines[position] = decode(*one, characters)
        return lines

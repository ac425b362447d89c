"""The recogniser: words of plain pixels, with the models that come in rapidocr's wheel."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.word_geometry import plain
from pagemill.extraction.recognition.crops import Crop, crops_of, to_height
from pagemill.extraction.recognition.decoding import DecodedLine, DecodedWord, words_of
from pagemill.extraction.recognition.detector import Detector, Pixels, Quad
from pagemill.extraction.recognition.device import Device, find_device
from pagemill.extraction.recognition.line_reader import BatchObserver, LineReader, unobserved
from pagemill.extraction.types import ImageQuality, Word

LEGIBLE = 0.6
"""Lines with less confidence are pictures, lines and dirt."""
MARGIN = 0.12
"""Share of a line's box that is paper above its print, and below it."""
LINES_AT_ONCE = 256
PAGE_SECONDS = 60.0
WARM_UP_PAGE = (1312, 928, 3)
WHITE = 255

logger = logging.getLogger(__name__)


class _Models(NamedTuple):
    detector: Detector
    lines: LineReader


class Recognizer:
    """Recogniser on a GPU or ``threads`` threads of the processor, whichever is there.

    Thread-safe. It loads its models with the first image, since many documents never need them. ``observer``
    is told of the batches of lines, also of those of recognisers ``beside`` it.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        device: Device | None = None,
        page_seconds: float = PAGE_SECONDS,
        observer: BatchObserver = unobserved,
    ) -> None:
        self._threads, self._chosen, self._page_seconds = threads, device, page_seconds
        self._observer = observer
        self._loading = threading.RLock()
        self._loaded: _Models | None = None
        self._models_of: Recognizer | None = None

    def beside(self, *, page_seconds: float = PAGE_SECONDS) -> Recognizer:
        """Return a recogniser with the models of this one; neither waits for the other's work."""
        other = Recognizer(threads=self._threads, page_seconds=page_seconds)
        other._models_of = self
        return other

    @property
    def device(self) -> Device:
        """The device that it runs on."""
        with self._loading:
            if self._chosen is None:
                other = self._models_of
                self._chosen = other.device if other is not None else find_device(self._threads)
            return self._chosen

    def prepare(self) -> None:
        """Choose the device and log it. On a GPU, load the models and read something: first runs are slow."""
        logger.info("pages are recognised on %s", self.device)
        if self.device.is_gpu:
            models = self._models()
            models.detector.lines(np.full(WARM_UP_PAGE, WHITE, dtype=np.uint8), "LOW")
            models.lines.warm_up()

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return the words of upright RGB pixels (height, width, 3), boxes in 0..1 of them.

        Raises DocumentUnreadable when they take too long.
        """
        models, deadline = self._models(), time.monotonic() + self._page_seconds
        quads = models.detector.lines(pixels, quality)
        words: list[Word] = []
        for first in range(0, len(quads), LINES_AT_ONCE):
            if time.monotonic() > deadline:
                raise DocumentUnreadable(f"A page took longer than {self._page_seconds:g} seconds to read")
            words += _words_of_lines(models.lines, pixels, quads[first : first + LINES_AT_ONCE])
        return words

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return the text and the confidence of RGB pictures of one upright line each."""
        read = self._models().lines.read([to_height(crop) for crop in crops])
        return [(line.text, line.confidence) for line in read]

    def boxes(self, pixels: Pixels, quality: ImageQuality) -> list[Quad]:
        """Return the corners of the lines on a page, in pixels."""
        return self._models().detector.lines(pixels, quality)

    def _models(self) -> _Models:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> _Models:
        if self._models_of is not None:
            detector, lines = self._models_of._models()
            places = threading.Semaphore(self.device.concurrency)
            return _Models(detector.beside(places), lines.beside(places))
        cv2.setNumThreads(1)
        places = threading.Semaphore(self.device.concurrency)
        return _Models(Detector(self.device, places), LineReader(self.device, places, self._observer))


def _words_of_lines(reader: LineReader, pixels: Pixels, quads: Sequence[Quad]) -> list[Word]:
    candidates = [crops_of(pixels, quad) for quad in quads]
    read = iter(reader.read([crop.pixels for one in candidates for crop in one]))
    words: list[Word] = []
    for one in candidates:
        decoded = [(next(read), crop) for crop in one]
        line, crop = max(decoded, key=lambda found: found[0].confidence)
        if line.confidence >= LEGIBLE:
            words += _words_on_page(line, crop, pixels.shape[:2])
    return words


def _words_on_page(line: DecodedLine, crop: Crop, page: tuple[int, ...]) -> list[Word]:
    width = crop.pixels.shape[1]
    found = [_on_page(word, crop.quad, width, page) for word in words_of(line, width)]
    return [word for word in found if word.x1 > word.x0 and word.y1 > word.y0]


def _on_page(word: DecodedWord, quad: Quad, width: int, page: tuple[int, ...]) -> Word:
    """Return a word with the upright box around its part of the line."""
    corners = np.concatenate([_across(quad, word.start / width), _across(quad, word.end / width)])
    shares = (corners / np.array([page[1], page[0]], dtype=np.float32)).clip(0.0, 1.0)
    low, high = shares.min(axis=0), shares.max(axis=0)
    return Word(
        plain(word.text),
        float(low[0]),
        float(low[1]),
        float(high[0]),
        float(high[1]),
        min(max(word.confidence, 0.0), 1.0),
    )


def _across(quad: Quad, share: float) -> Quad:
    """Return the points on the upper and the lower edge of a line's print at a share of its length."""
    upper, lower = quad[0] + (quad[1] - quad[0]) * share, quad[3] + (quad[2] - quad[3]) * share
    paper = (lower - upper) * MARGIN
    return np.array([upper + paper, lower - paper], dtype=np.float32)

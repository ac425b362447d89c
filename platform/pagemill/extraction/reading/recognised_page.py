"""The words of a page: those of its text layer, and those that are recognised in its pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from pagemill.extraction.reading.read_messages import WHOLE_PAGE, Box, ParsedPage, Picture
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.reading.word_geometry import in_reading_order
from pagemill.extraction.types import ImageQuality, Page, ReadOptions, Word
from pagemill.rotation import Rotation

QUARTER = 90


class WordRecognizer(Protocol):
    """Recogniser of words in pixels. Thread-safe."""

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return the words of upright RGB pixels, boxes in 0..1 of them."""
        ...

    def upright_rotation(self, pixels: Pixels) -> Rotation:
        """Return the clockwise turn that makes the pixels upright."""
        ...


def recognised_page(
    parsed: ParsedPage,
    pixels_of: Callable[[Picture], Pixels],
    options: ReadOptions,
    recognizer: WordRecognizer,
    most_words: int,
) -> Page:
    """Return a page with all its words in reading order."""
    if len(parsed.pictures) == 1 and parsed.pictures[0].box == WHOLE_PAGE and not parsed.words:
        return _scan(parsed, pixels_of(parsed.pictures[0]), options, recognizer, most_words)
    words = list(parsed.words)
    for picture in parsed.pictures:
        found = recognizer.words(pixels_of(picture), options.image_quality)
        words += [_on_page(word, picture.box) for word in found]
    return Page(parsed.index, parsed.aspect, "text", in_reading_order(words[:most_words], parsed.aspect))


def _scan(
    parsed: ParsedPage,
    pixels: Pixels,
    options: ReadOptions,
    recognizer: WordRecognizer,
    most_words: int,
) -> Page:
    aspect = parsed.aspect
    if options.auto_rotate:
        rotation = recognizer.upright_rotation(pixels)
        pixels = np.ascontiguousarray(np.rot90(pixels, -rotation // QUARTER))
        aspect = 1 / aspect if rotation in (90, 270) else aspect
    words = recognizer.words(pixels, options.image_quality)[:most_words]
    return Page(parsed.index, aspect, "ocr", in_reading_order(words, aspect))


def _on_page(word: Word, box: Box) -> Word:
    """Return a word of a picture with its place on the page."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    return Word(
        word.text,
        x0 + word.x0 * width,
        y0 + word.y0 * height,
        x0 + word.x1 * width,
        y0 + word.y1 * height,
        word.confidence,
    )

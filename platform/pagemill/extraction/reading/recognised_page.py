"""The words of a page: those of its text layer, and those that are recognised in its pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from pagemill.extraction.reading.picture_words import PictureWords, on_page, only_new
from pagemill.extraction.reading.read_messages import WHOLE_PAGE, ParsedPage, Picture
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

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return the text and the confidence of upright pictures of one line each."""
        ...


def recognised_page(
    parsed: ParsedPage,
    pixels_of: Callable[[Picture], Pixels],
    options: ReadOptions,
    recognizer: WordRecognizer,
    most_words: int,
    pictures: PictureWords | None = None,
) -> Page:
    """Return a page with all its words in reading order; ``pictures`` knows those that were seen before."""
    if len(parsed.pictures) == 1 and parsed.pictures[0].box == WHOLE_PAGE and not parsed.words:
        return _scan(parsed, pixels_of(parsed.pictures[0]), options, recognizer, most_words)
    words = list(parsed.words)
    for picture in parsed.pictures:
        found = (pictures or recognizer).words(pixels_of(picture), options.image_quality)
        words += only_new([on_page(word, picture.box) for word in found], parsed.words)
    return Page(parsed.index, parsed.aspect, "text", in_reading_order(words[:most_words], parsed.aspect))


def scanned(pixels: Pixels, index: int, options: ReadOptions) -> ParsedPage:
    """Return the page that has nothing but its pixels."""
    height, width = pixels.shape[:2]
    return ParsedPage(index, width / height, options.rotation, pictures=[Picture(0, width, height)])


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

"""Words of pictures on digital pages, recognised once for each picture."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from pagemill.extraction.reading.read_messages import Box
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, Word

MOST_REMEMBERED = 512
MOST_WORDS_REMEMBERED = 200
# Of the smaller of two words: they stand in the same place.
SAME_PLACE = 0.4


class PictureRecognizer(Protocol):
    """Recogniser of words in pixels. Thread-safe."""

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return the words of upright RGB pixels, boxes in 0..1 of them."""
        ...


class PictureWords:
    """Memory of the words in pictures: logos come on each page, and in documents of the same sender.

    Thread-safe. The words depend on nothing but the pixels, not on whose document they were in.
    """

    def __init__(self, recognizer: PictureRecognizer) -> None:
        self._recognizer = recognizer
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, list[Word]] = OrderedDict()

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return the words of a picture, boxes in 0..1 of it."""
        shape = f"{quality} {pixels.shape}".encode()
        hashed = hashlib.sha256(shape)
        hashed.update(pixels.reshape(-1).data)
        key = hashed.digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        words = self._recognizer.words(pixels, quality)
        if len(words) <= MOST_WORDS_REMEMBERED:
            with self._lock:
                self._known[key] = words
                if len(self._known) > MOST_REMEMBERED:
                    self._known.popitem(last=False)
        return words


def on_page(word: Word, box: Box) -> Word:
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


def only_new(found: Sequence[Word], known: Sequence[Word]) -> list[Word]:
    """Return the words that do not stand where a known one does."""
    if not found:
        return []
    left, right = min([word.x0 for word in found]), max([word.x1 for word in found])
    top, bottom = min([word.y0 for word in found]), max([word.y1 for word in found])
    # A picture is mostly a small part of a page with hundreds of words.
    near = [
        word for word in known if word.x0 < right and word.x1 > left and word.y0 < bottom and word.y1 > top
    ]
    return [word for word in found if not any(_same_place(word, other) for other in near)]


def _same_place(one: Word, other: Word) -> bool:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    if across <= 0 or down <= 0:
        return False
    smaller = min((one.x1 - one.x0) * (one.y1 - one.y0), (other.x1 - other.x0) * (other.y1 - other.y0))
    return across * down >= SAME_PLACE * smaller

"""Checks of what a child sends: it has parsed untrusted bytes, and may send anything."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pagemill.content_types import CONTENT_TYPES
from pagemill.extraction.reading.read_messages import Box, DocumentInfo, ParsedPage, Picture, ReadLimits
from pagemill.extraction.reading.resolution import LONGEST_SIDE, MOST_SIDE
from pagemill.extraction.types import Word

WIDEST = max(LONGEST_SIDE.values())
"""Of a page that is longer, the shorter side is bounded: what is recognised at once is."""
LONGEST_SAMPLE = 64
SAMPLE_BYTES = 512 * 1024


def check_information(information: DocumentInfo, limits: ReadLimits) -> None:
    """Raise ValueError for a document that no honest child sends."""
    if information.content_type not in CONTENT_TYPES:
        raise ValueError("an unknown content type")
    if not 1 <= information.number_of_pages <= limits.pages:
        raise ValueError("an impossible number of pages")


def check_page(parsed: ParsedPage, index: int, limits: ReadLimits) -> None:
    """Raise ValueError for a page that no honest child sends."""
    if parsed.index != index:
        raise ValueError("another page")
    if not (parsed.aspect > 0 and math.isfinite(parsed.aspect)):
        raise ValueError("no aspect")
    if len(parsed.words) > limits.words_per_page:
        raise ValueError("too many words")
    _check_words(parsed.words)
    if len(parsed.samples) > limits.samples_per_page or len(parsed.doubts) > limits.words_per_page:
        raise ValueError("too many samples")
    check_pictures(parsed.pictures, limits)
    for sample in parsed.samples:
        check_pictures([sample.picture], limits)
        if len(sample.text) > LONGEST_SAMPLE or sample.picture.size > SAMPLE_BYTES:
            raise ValueError("a sample that is too large")


def check_pictures(pictures: Sequence[Picture], limits: ReadLimits) -> None:
    """Raise ValueError if pictures lie outside of the shared memory, or are more than fit in it."""
    if len(pictures) > limits.pictures_per_page:
        raise ValueError("too many pictures")
    for picture in pictures:
        if picture.width < 1 or picture.height < 1 or picture.offset < 0:
            raise ValueError("a picture without a size")
        if min(picture.width, picture.height) > WIDEST or max(picture.width, picture.height) > MOST_SIDE:
            raise ValueError("a picture larger than pages are rendered")
        if picture.offset + picture.size > limits.shared_bytes:
            raise ValueError("a picture outside of the shared memory")
        if not _is_box(picture.box):
            raise ValueError("a picture outside of the page")
    if sum(picture.size for picture in pictures) > limits.shared_bytes:
        raise ValueError("more pixels than fit")


def _check_words(words: Sequence[Word]) -> None:
    # One loop without calls: pages have hundreds of words. Values that are not numbers fail each comparison.
    for word in words:
        if not (
            0.0 <= word.x0 < word.x1 <= 1.0
            and 0.0 <= word.y0 < word.y1 <= 1.0
            and 0.0 <= word.confidence <= 1.0
            and word.text
        ):
            raise ValueError("a word that is none")


def _is_box(box: Box) -> bool:
    """Return whether a box lies on the page; one with a value that is not a number does not."""
    return 0.0 <= box[0] < box[2] <= 1.0 and 0.0 <= box[1] < box[3] <= 1.0

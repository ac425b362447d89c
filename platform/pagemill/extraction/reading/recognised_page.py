"""The words of a page: those of its text layer, and those that are recognised in its pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pagemill.extraction.reading.picture_words import PictureWords, on_page, only_new
from pagemill.extraction.reading.read_messages import WHOLE_PAGE, ParsedPage, Picture
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.reading.word_geometry import in_reading_order
from pagemill.extraction.types import ImageQuality, Page, ReadOptions, Word

if TYPE_CHECKING:
    from pagemill.extraction.recognition.upright import UprightPage


class WordRecognizer(Protocol):
    """Recogniser of words in pixels. Thread-safe."""

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return the words of upright RGB pixels, boxes in 0..1 of them."""
        ...

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return the text and the confidence of upright pictures of one line each."""
        ...


def recognised_page(
    parsed: ParsedPage,
    pixels_of: Callable[[Picture], Pixels],
    options: ReadOptions,
    recognizer: WordRecognizer,
    upright: Callable[[Pixels], UprightPage],
    most_words: int,
    pictures: PictureWords | None = None,
) -> Page:
    """Return a page with all its words in reading order.

    ``upright`` turns a scan if the options ask for it, ``pictures`` knows those that were seen before.
    """
    if len(parsed.pictures) == 1 and parsed.pictures[0].box == WHOLE_PAGE and not parsed.words:
        pixels = pixels_of(parsed.pictures[0])
        if options.auto_rotate:
            return _upright_scan(parsed, upright(pixels), options, recognizer, most_words)
        found = recognizer.words(pixels, options.image_quality)[:most_words]
        return Page(parsed.index, parsed.aspect, "ocr", in_reading_order(found, parsed.aspect))
    words = list(parsed.words)
    for picture in parsed.pictures:
        found = (pictures or recognizer).words(pixels_of(picture), options.image_quality)
        words += only_new([on_page(word, picture.box) for word in found], parsed.words)
    return Page(parsed.index, parsed.aspect, "text", in_reading_order(words[:most_words], parsed.aspect))


def scanned(pixels: Pixels, index: int, options: ReadOptions) -> ParsedPage:
    """Return the page that has nothing but its pixels."""
    height, width = pixels.shape[:2]
    return ParsedPage(index, width / height, options.rotation, pictures=[Picture(0, width, height)])


def _upright_scan(
    parsed: ParsedPage,
    page: UprightPage,
    options: ReadOptions,
    recognizer: WordRecognizer,
    most_words: int,
) -> Page:
    """Return the page as it is shown to the client, who turns it by quarters and sees its skew."""
    found = recognizer.words(page.pixels, options.image_quality)[:most_words]
    height, width = page.pixels.shape[:2]
    words = [page.on_page(word) for word in in_reading_order(found, width / height)]
    shown = [word for word in words if word.x1 > word.x0 and word.y1 > word.y0]
    aspect = 1 / parsed.aspect if page.rotation in (90, 270) else parsed.aspect
    return Page(parsed.index, aspect, "ocr", shown)

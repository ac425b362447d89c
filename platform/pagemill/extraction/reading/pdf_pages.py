"""Pages of a PDF: the text layer where there is one, otherwise the page as a picture. Child's side."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.pdf_file import open_pdf
from pagemill.extraction.reading.pdf_rendering import render
from pagemill.extraction.reading.pdf_text import page_characters
from pagemill.extraction.reading.read_messages import ParsedPage, ReadLimits
from pagemill.extraction.reading.shared_pixels import Pixels, SharedPixels
from pagemill.extraction.reading.textlayer import Character, group_words, is_usable
from pagemill.extraction.reading.word_geometry import rotation_to_upright, turn_word
from pagemill.extraction.types import ReadOptions
from pagemill.rotation import Rotation

SPARSE_CHARACTERS = 200
SCAN_COVERAGE = 0.5


class PdfDocument:
    """A PDF that is open. Encrypted ones are refused unless the empty password opens them."""

    content_type = "application/pdf"

    def __init__(self, content: bytes, limits: ReadLimits) -> None:
        self._limits = limits
        self._document = open_pdf(content)
        self.number_of_pages = len(self._document)
        if self.number_of_pages == 0:
            raise DocumentUnreadable("The document is damaged: it has no pages")

    def __enter__(self) -> PdfDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._document.close()

    def parse_page(self, index: int, options: ReadOptions, shared: SharedPixels) -> ParsedPage:
        """Return the words of a page, or the page as a picture if it has no text layer."""
        with self._page(index) as page:
            characters = page_characters(page)
            if _is_text(page, characters):
                return _text_page(page, characters, index, options, self._limits)
            picture = shared.write(render(page, options, self._limits.page_pixels))
            aspect = _aspect(page, options.rotation)
            return ParsedPage(index, aspect, options.rotation, pictures=[picture])

    def render_page(self, index: int, options: ReadOptions) -> Pixels:
        """Return a page as a person sees it."""
        with self._page(index) as page:
            return render(page, options, self._limits.page_pixels)

    @contextlib.contextmanager
    def _page(self, index: int) -> Iterator[pypdfium2.PdfPage]:
        try:
            page = self._open_page(index)
        except pypdfium2.PdfiumError:
            raise DocumentUnreadable(f"The document is damaged: page {index + 1} cannot be opened") from None
        try:
            width, height = page.get_size()
            if not (width > 0 and height > 0):
                raise DocumentUnreadable(f"The document is damaged: page {index + 1} has no size")
            yield page
        finally:
            page.close()

    def _open_page(self, index: int) -> Any:
        page = self._document[index]
        if pdfium.FPDFPage_GetAnnotCount(page) == 0:
            return page
        # Values filled into a form are annotations: only flattening makes them text of the page.
        flattened = pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
        if flattened != pdfium.FLATTEN_SUCCESS:
            return page
        page.close()
        return self._document[index]


def _is_text(page: Any, characters: Sequence[Character]) -> bool:
    """Return whether the words of the page are its text layer; an empty page needs no recognition."""
    if pdfium.FPDFPage_CountObjects(page) == 0:
        return True
    count = sum(not character.text.isspace() for character in characters)
    return is_usable(characters) and not (count < SPARSE_CHARACTERS and _is_scan(page))


def _text_page(
    page: Any, characters: Sequence[Character], index: int, options: ReadOptions, limits: ReadLimits
) -> ParsedPage:
    width, height = page.get_size()
    printed = group_words(characters)[: limits.words_per_page]
    rotation = options.rotation
    if options.auto_rotate:
        rotation = rotation_to_upright([direction for one in printed if (direction := one.direction())])
    words = [turn_word(one.word(width, height), rotation) for one in printed]
    on_page = [word for word in words if word.x1 > word.x0 and word.y1 > word.y0]
    return ParsedPage(index, _aspect(page, rotation), rotation, words=on_page)


def _aspect(page: Any, rotation: Rotation) -> float:
    width, height = page.get_size()
    return float(width / height if rotation in (0, 180) else height / width)


def _is_scan(page: Any) -> bool:
    """Return whether one image covers most of the page: a few characters on it are a stamp, not its text."""
    left, bottom, right, top = page.get_bbox()
    area = abs((right - left) * (top - bottom))
    for image in page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=2):
        x0, y0, x1, y1 = image.get_bounds()
        if abs((x1 - x0) * (y1 - y0)) > SCAN_COVERAGE * area:
            return True
    return False

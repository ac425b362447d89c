"""Pages of a PDF: the text layer where there is one, otherwise rendered and recognised."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.image_pages import recognized_page
from pagemill.extraction.reading.ocr import LONGEST_SIDE, Recognizer
from pagemill.extraction.reading.pdf_file import open_pdf
from pagemill.extraction.reading.read_messages import ReadLimits
from pagemill.extraction.reading.textlayer import Character, PrintedWord, group_words, is_usable
from pagemill.extraction.reading.word_geometry import in_reading_order, rotation_to_upright, turn_word
from pagemill.extraction.types import Page, ReadOptions

POINTS_PER_INCH = 72
DOTS_PER_INCH = {"LOW": 150, "HIGH": 200}
DEVICE_UNITS = 1_000_000
MAX_CHARACTERS = 400_000
SPARSE_CHARACTERS = 200
SCAN_COVERAGE = 0.5


class PdfDocument:
    """A PDF that is open. Encrypted ones are refused unless the empty password opens them."""

    content_type = "application/pdf"

    def __init__(self, content: bytes, limits: ReadLimits, recognizer: Recognizer) -> None:
        self._limits = limits
        self._recognizer = recognizer
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

    def read_page(self, index: int, options: ReadOptions) -> Page:
        """Return the words of one page."""
        try:
            page = self._open_page(index)
        except pypdfium2.PdfiumError:
            raise DocumentUnreadable(f"The document is damaged: page {index + 1} cannot be opened") from None
        try:
            return self._read(page, index, options)
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

    def _read(self, page: Any, index: int, options: ReadOptions) -> Page:
        width, height = page.get_size()
        if not (width > 0 and height > 0):
            raise DocumentUnreadable(f"The document is damaged: page {index + 1} has no size")
        characters = list(_characters(page, width, height))
        count = sum(not character.text.isspace() for character in characters)
        if pdfium.FPDFPage_CountObjects(page) == 0:
            return _text_page([], index, width, height, options, self._limits)
        if is_usable(characters) and not (count < SPARSE_CHARACTERS and _is_scan(page)):
            printed = group_words(characters)
            return _text_page(printed, index, width, height, options, self._limits)
        image = _render(page, width, height, options, self._limits)
        return recognized_page(image, index, options, self._limits, self._recognizer)


def _text_page(
    printed: list[PrintedWord],
    index: int,
    width: float,
    height: float,
    options: ReadOptions,
    limits: ReadLimits,
) -> Page:
    printed = printed[: limits.words_per_page]
    rotation = options.rotation
    if options.auto_rotate:
        rotation = rotation_to_upright([direction for one in printed if (direction := one.direction())])
    words = [turn_word(one.word(width, height), rotation) for one in printed]
    on_page = [word for word in words if word.x1 > word.x0 and word.y1 > word.y0]
    aspect = width / height if rotation in (0, 180) else height / width
    return Page(index=index, aspect=aspect, source="text", words=in_reading_order(on_page))


def _characters(page: Any, width: float, height: float) -> Iterator[Character]:
    """Return the characters in the order of the content, boxes in points of the page as shown."""
    to_shown = _shown_transform(page, width, height)
    box = pdfium.FS_RECTF()
    text_page = page.get_textpage()
    try:
        for position in range(min(text_page.count_chars(), MAX_CHARACTERS)):
            code = pdfium.FPDFText_GetUnicode(text_page, position)
            if not pdfium.FPDFText_GetLooseCharBox(text_page, position, box):
                continue
            corners = to_shown(box.left, box.top), to_shown(box.right, box.bottom)
            (xa, ya), (xb, yb) = corners
            yield Character(_text(code), min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
    finally:
        text_page.close()


def _text(code: int) -> str:
    if code in (0x02, 0xFFFE):
        return "-"
    if 0xD800 <= code <= 0xDFFF or code == 0 or code > 0x10FFFF:
        return "\ufffd"
    return chr(code)


def _shown_transform(page: Any, width: float, height: float) -> Any:
    """Return the transformation from page space to points of the page as shown.

    pdfium's own transformation knows the crop box and the page's rotation.
    """

    def device(x: float, y: float) -> tuple[int, int]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, DEVICE_UNITS, DEVICE_UNITS, 0, x, y, across, down)
        return across.value, down.value

    step = 1000.0
    origin, along_x, along_y = device(0, 0), device(step, 0), device(0, step)
    x_by_x, x_by_y = (along_x[0] - origin[0]) / step, (along_y[0] - origin[0]) / step
    y_by_x, y_by_y = (along_x[1] - origin[1]) / step, (along_y[1] - origin[1]) / step
    across_unit, down_unit = width / DEVICE_UNITS, height / DEVICE_UNITS

    def to_shown(x: float, y: float) -> tuple[float, float]:
        across = origin[0] + x * x_by_x + y * x_by_y
        down = origin[1] + x * y_by_x + y * y_by_y
        return across * across_unit, down * down_unit

    return to_shown


def _is_scan(page: Any) -> bool:
    """Return whether one image covers most of the page: a few characters on it are a stamp, not its text."""
    left, bottom, right, top = page.get_bbox()
    area = abs((right - left) * (top - bottom))
    for image in page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=2):
        x0, y0, x1, y1 = image.get_bounds()
        if abs((x1 - x0) * (y1 - y0)) > SCAN_COVERAGE * area:
            return True
    return False


def _render(page: Any, width: float, height: float, options: ReadOptions, limits: ReadLimits) -> Image.Image:
    quality = options.image_quality
    scale = min(
        DOTS_PER_INCH[quality] / POINTS_PER_INCH,
        LONGEST_SIDE[quality] / max(width, height),
        (limits.pixels / (width * height)) ** 0.5,
    )
    bitmap = page.render(scale=scale, may_draw_forms=False)
    try:
        image: Image.Image = bitmap.to_pil()
        return image.convert("RGB")
    finally:
        bitmap.close()

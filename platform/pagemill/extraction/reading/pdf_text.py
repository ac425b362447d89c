"""Characters of a PDF's page as pdfium finds them. Child's side."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2.raw as pdfium

from pagemill.extraction.reading.textlayer import Character

DEVICE_UNITS = 1_000_000
MAX_CHARACTERS = 400_000


def page_characters(page: Any) -> list[Character]:
    """Return the characters in the order of the content, boxes in points of the page as shown."""
    to_shown = _shown_transform(page)
    box = pdfium.FS_RECTF()
    characters = []
    text_page = page.get_textpage()
    try:
        for position in range(min(text_page.count_chars(), MAX_CHARACTERS)):
            code = pdfium.FPDFText_GetUnicode(text_page, position)
            if not pdfium.FPDFText_GetLooseCharBox(text_page, position, box):
                continue
            corners = to_shown(box.left, box.top), to_shown(box.right, box.bottom)
            (xa, ya), (xb, yb) = corners
            characters.append(Character(_text(code), min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)))
    finally:
        text_page.close()
    return characters


def _text(code: int) -> str:
    if code in (0x02, 0xFFFE):
        return "-"
    if 0xD800 <= code <= 0xDFFF or code == 0 or code > 0x10FFFF:
        return "\ufffd"
    return chr(code)


def _shown_transform(page: Any) -> Callable[[float, float], tuple[float, float]]:
    """Return the transformation from page space to points of the page as shown.

    pdfium's own transformation knows the crop box and the page's rotation.
    """
    width, height = page.get_size()

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

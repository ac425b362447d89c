"""Characters of a PDF's page as pdfium finds them. Child's side."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from pagemill.extraction.reading.characters import Character
from pagemill.extraction.reading.pdf_objects import address, numbered
from pagemill.extraction.reading.pdf_paint import shown_transform
from pagemill.extraction.reading.textlayer import Boxes

MAX_CHARACTERS = 400_000
BOX_BYTES = ctypes.sizeof(pdfium.FS_RECTF)
# What pdfium says for a hyphen at the end of a line; in texts also for what has no character.
HYPHENS = (0x02, 0xFFFE)
UNSURE = frozenset("\0\x02\ufffe\uffff\ufffd")
LAST_CODE = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)
_loose_box = numbered(pdfium.FPDFText_GetLooseCharBox, ctypes.c_int, ctypes.c_void_p, result=ctypes.c_int)


class TextLayer(NamedTuple):
    """The text of a page, each character at its position in pdfium's text page, and their boxes."""

    text_page: Any
    text: str
    boxes: Boxes

    def characters(self, start: int, end: int) -> list[Character]:
        """Return some of the characters, in the order of the content."""
        places = self.boxes[start:end].tolist()
        return [Character(one, *place) for one, place in zip(self.text[start:end], places, strict=True)]


@contextlib.contextmanager
def text_layer(page: Any) -> Iterator[TextLayer]:
    """Return the characters in the order of the content, boxes in points of the page as shown."""
    text_page = page.get_textpage()
    try:
        count = min(text_page.count_chars(), MAX_CHARACTERS)
        boxes, have_box = _boxes(text_page, count)
        text = _text(text_page, count)
        if not all(have_box):
            # What has no place is white space, so that positions stay those of pdfium.
            text = "".join(one if there else " " for one, there in zip(text, have_box, strict=True))
        yield TextLayer(text_page, text, _shown(page, boxes))
    finally:
        text_page.close()


def _boxes(text_page: Any, count: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return left, top, right and bottom of each character in the page's space, and whether it has a box."""
    boxes = np.zeros((count, 4), np.float32)
    first = boxes.ctypes.data
    rows = range(first, first + count * BOX_BYTES, BOX_BYTES)
    return boxes, list(map(_loose_box, repeat(address(text_page.raw)), range(count), rows))


def _shown(page: Any, boxes: NDArray[np.float32]) -> Boxes:
    """Return the boxes on the page as shown: left, top, right, bottom."""
    left, top, right, bottom = boxes.astype(np.float64).T
    to_shown = shown_transform(page)
    (xa, ya), (xb, yb) = to_shown(left, top), to_shown(right, bottom)
    return np.stack([np.minimum(xa, xb), np.minimum(ya, yb), np.maximum(xa, xb), np.maximum(ya, yb)], axis=1)


def _text(text_page: Any, count: int) -> str:
    """Return one character for each position."""
    if count == 0:
        return ""
    units = (ctypes.c_ushort * (count + 1))()
    written = pdfium.FPDFText_GetText(text_page, 0, count, units)
    text = bytes(units)[: 2 * count].decode("utf-16-le", errors="replace")
    if written != count + 1 or len(text) != count:
        # Characters that pdfium leaves out of texts, or that take two units: one by one, which takes longer.
        return "".join([_character(text_page, position) for position in range(count)])
    if not UNSURE.isdisjoint(text):
        unsure = [position for position, one in enumerate(text) if one in UNSURE]
        mended = {position: _character(text_page, position) for position in unsure}
        text = "".join([mended.get(position, one) for position, one in enumerate(text)])
    return text


def _character(text_page: Any, position: int) -> str:
    code = pdfium.FPDFText_GetUnicode(text_page, position)
    if code in HYPHENS and not pdfium.FPDFText_HasUnicodeMapError(text_page, position):
        return "-"
    unknown = code in SURROGATES or code in HYPHENS or code == 0 or code > LAST_CODE
    return "\ufffd" if unknown else chr(code)

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
from pagemill.extraction.reading.textlayer import Boxes, is_space

MAX_CHARACTERS = 400_000
BOX_BYTES = ctypes.sizeof(pdfium.FS_RECTF)
# What pdfium says for a hyphen at the end of a line; in texts also for what has no character.
HYPHENS = (0x02, 0xFFFE)
FIRST_UNSURE = 0xFFFD
LAST_CODE = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)
_get_text = numbered(
    pdfium.FPDFText_GetText, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, result=ctypes.c_int
)
_loose_box = numbered(pdfium.FPDFText_GetLooseCharBox, ctypes.c_int, ctypes.c_void_p, result=ctypes.c_int)


class TextLayer(NamedTuple):
    """The text of a page, each character at its position in pdfium's text page, and their boxes.

    White space has no box: its row means nothing.
    """

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
        text = _text(text_page, count)
        boxes, without_box = _boxes(text_page, np.flatnonzero(~is_space(text)), count)
        if without_box:
            # What has no place is white space, so that positions stay those of pdfium.
            text = "".join([" " if at in without_box else one for at, one in enumerate(text)])
        yield TextLayer(text_page, text, _shown(page, boxes))
    finally:
        text_page.close()


def _boxes(
    text_page: Any, positions: NDArray[np.intp], count: int
) -> tuple[NDArray[np.float32], frozenset[int]]:
    """Return left, top, right and bottom in the page's space of some characters, and those without a box.

    There is a row for each of all characters.
    """
    boxes = np.zeros((count, 4), np.float32)
    rows = (boxes.ctypes.data + positions * BOX_BYTES).tolist()
    asked = positions.tolist()
    have_box = list(map(_loose_box, repeat(address(text_page.raw)), asked, rows))
    if all(have_box):
        return boxes, frozenset()
    return boxes, frozenset(at for at, there in zip(asked, have_box, strict=True) if not there)


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
    units = np.zeros(count + 1, np.uint16)
    written = _get_text(address(text_page.raw), 0, count, units.ctypes.data)
    text = units[:count].tobytes().decode("utf-16-le", errors="replace")
    if written != count + 1 or len(text) != count:
        # Characters that pdfium leaves out of texts, or that take two units: one by one, which takes longer.
        return "".join([_character(text_page, position) for position in range(count)])
    codes = units[:count]
    unsure = (codes == 0) | (codes == HYPHENS[0]) | (codes >= FIRST_UNSURE)
    # Half of a character here: the other half would have made the text shorter.
    unsure |= (codes >= SURROGATES.start) & (codes < SURROGATES.stop)
    positions = np.flatnonzero(unsure).tolist()
    if positions:
        characters = list(text)
        for position in positions:
            characters[position] = _character(text_page, position)
        text = "".join(characters)
    return text


def _character(text_page: Any, position: int) -> str:
    code = pdfium.FPDFText_GetUnicode(text_page, position)
    if code in HYPHENS and not pdfium.FPDFText_HasUnicodeMapError(text_page, position):
        return "-"
    unknown = code in SURROGATES or code in HYPHENS or code == 0 or code > LAST_CODE
    return "\ufffd" if unknown else chr(code)

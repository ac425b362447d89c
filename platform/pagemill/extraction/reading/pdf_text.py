"""Characters of a PDF's page as pdfium finds them. Child's side."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from pagemill.extraction.reading.characters import Character
from pagemill.extraction.reading.pdf_paint import shown_transform

MAX_CHARACTERS = 400_000
# What pdfium says for a hyphen at the end of a line; in texts also for what has no character.
HYPHENS = (0x02, 0xFFFE)
UNSURE = frozenset("\0\x02\ufffe\uffff\ufffd")
LAST_CODE = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)


class TextLayer(NamedTuple):
    """The characters of a page, each at its position in pdfium's text page, and all of them as one text."""

    text_page: Any
    characters: list[Character]
    text: str


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
        places = _shown(page, boxes).tolist()
        yield TextLayer(
            text_page, [Character(one, *box) for one, box in zip(text, places, strict=True)], text
        )
    finally:
        text_page.close()


def _boxes(text_page: Any, count: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return left, top, right and bottom of each character in the page's space, and whether it has a box."""
    boxes = (pdfium.FS_RECTF * count)()
    get_box = pdfium.FPDFText_GetLooseCharBox
    have_box = [get_box(text_page, position, box) for position, box in enumerate(boxes)]
    return np.frombuffer(boxes, np.float32).reshape(count, 4), have_box


def _shown(page: Any, boxes: NDArray[np.float32]) -> NDArray[np.float64]:
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

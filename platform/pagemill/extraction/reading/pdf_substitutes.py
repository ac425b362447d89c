"""Faces that pdfium stretches to stand for fonts which a PDF does not bring along. Child's side.

All such fonts share two faces. To ask for a glyph leaves its face as wide as that glyph, and pdfium measures
characters of fonts that it loads afterwards with the face as it is: it would see spaces within words.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.glyph_outlines import outline_of
from pagemill.extraction.reading.pdf_objects import address

# Flags of a font: 1 one width for all, 2 serifs, 32 letters of the Latin script.
_NAMES = ((b"Calibri", 33), (b"LucidaConsole", 35))
FIRST, LAST = 33, 255
_CONTENT = b"BT /0 1 Tf(a)Tj /1 1 Tf(a)Tj ET"


class SubstituteFonts(NamedTuple):
    """A font of each stretched face, whose characters have no width; the page that holds them stays open."""

    document: pypdfium2.PdfDocument
    page: pypdfium2.PdfPage
    handles: tuple[int, ...]


class SubstituteFaces:
    """The stretched faces, for one document. Set ``stretched`` where they may have been drawn with."""

    def __init__(self) -> None:
        self.stretched = False
        self._unused = iter(range(FIRST, LAST + 1))

    def restore(self) -> None:
        """Give the faces their own width again, as often as there are glyphs that were not drawn yet."""
        if not self.stretched:
            return
        self.stretched = False
        for code in self._unused:
            # pdfium remembers glyphs: one that it has need not be drawn, and would change nothing.
            if all([outline_of(handle, chr(code)) for handle in substitute_fonts().handles]):
                return


@lru_cache(maxsize=1)
def substitute_fonts() -> SubstituteFonts:
    """Return fonts that pdfium draws with its stretched faces; a character without width does not stretch."""
    document = pypdfium2.PdfDocument(_pdf())
    page = document[0]
    items = [pdfium.FPDFPage_GetObject(page, at) for at in range(pdfium.FPDFPage_CountObjects(page))]
    return SubstituteFonts(document, page, tuple(address(pdfium.FPDFTextObj_GetFont(one)) for one in items))


def _pdf() -> bytes:
    numbered = (b"%d 0 obj\n%s\nendobj\n" % (at, body) for at, body in enumerate(_objects(), 1))
    return b"%PDF-1.4\n" + b"".join(numbered) + b"trailer<</Root 1 0 R>>"


def _objects() -> Iterator[bytes]:
    yield b"<</Type/Catalog/Pages 2 0 R>>"
    yield b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
    yield (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</0 5 0 R/1 6 0 R>>>>>>"
    )
    yield b"<</Length %d>>stream\n%s\nendstream" % (len(_CONTENT), _CONTENT)
    widths = b"0 " * (LAST + 1 - FIRST)
    for name, flags in _NAMES:
        yield (
            b"<</Type/Font/Subtype/TrueType/BaseFont/%s/Encoding/WinAnsiEncoding/FirstChar %d/LastChar %d"
            b"/Widths[%s]/FontDescriptor<</Type/FontDescriptor/FontName/%s/Flags %d>>>>"
            % (name, FIRST, LAST, widths, name, flags)
        )

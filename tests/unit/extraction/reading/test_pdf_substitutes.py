"""Pages are read as they would be alone, although fonts that a PDF does not bring along share faces."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading.pdf_fonts import FontChecks
from pagemill.extraction.reading.pdf_substitutes import FIRST, LAST, SubstituteFaces, substitute_fonts
from pagemill.extraction.reading.pdf_text import text_layer
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, ReadOptions, Word
from tests.unit.extraction.pdf_objects import PdfObjects

WIDTHS = {"e": 498, "x": 433, "c": 423, "u": 525, "t": 335, "i": 229, "o": 527, "n": 525}


def font(pdf: PdfObjects, name: bytes, flags: int, widths: dict[str, int], other: int) -> int:
    each = b" ".join(b"%d" % widths.get(chr(code), other) for code in range(32, 256))
    described = b"<< /Type /FontDescriptor /FontName /%s /Flags %d >>" % (name, flags)
    return pdf.add(
        b"<< /Type /Font /Subtype /TrueType /BaseFont /%s /Encoding /WinAnsiEncoding /FirstChar 32"
        b" /LastChar 255 /Widths [ %s ] /FontDescriptor %s >>" % (name, each, described)
    )


def two_pages(first: bytes) -> bytes:
    """A page in a font that is wider than others, and one in a font of usual width, letter by letter."""
    pdf = PdfObjects()
    wide = font(pdf, b"ArialNarrow", 33, {}, 1000)
    pdf.page(b"BT /F1 8 Tf 20 250 Td (%s) Tj ET" % first, resources=b"/Font << /F1 %d 0 R >>" % wide)
    content, x = b"", 20.0
    for letter in "execution":
        content += b"BT /F1 12 Tf 1 0 0 1 %g 200 Tm (%s) Tj ET\n" % (x, letter.encode())
        x += 12 * WIDTHS[letter] / 1000
    calibri = font(pdf, b"Calibri", 33, WIDTHS, 507)
    pdf.page(content, resources=b"/Font << /F1 %d 0 R >>" % calibri)
    return pdf.file()


@pytest.mark.parametrize("first", [b"illi illi illi", b"illi"], ids=["text", "too short a text"])
def test_a_page_is_read_like_one_that_is_read_alone(first: bytes) -> None:
    class Nothing:
        """Recogniser of pages without a text layer that finds nothing."""

        def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
            return []

        def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
            return [("", 0.0) for _ in crops]

    # Each reading has a process of its own: pdfium remembers what it has drawn.
    with PageReader(recognizer=Nothing()) as reader:
        (alone,) = reader.read(two_pages(first), [1], ReadOptions()).pages
        _, after_another = reader.read(two_pages(first), [0, 1], ReadOptions()).pages
    (one,), (other,) = alone.words, after_another.words
    assert one.text == other.text == "execution"
    # Without restoring, the last letter is a fifth wider.
    assert (other.x0, other.x1) == pytest.approx((one.x0, one.x1), abs=1e-4)


def test_the_fonts_are_drawn_with_two_faces_and_have_no_width() -> None:
    handles = [
        pdfium.FPDFTextObj_GetFont(pdfium.FPDFPage_GetObject(substitute_fonts().page, at)) for at in (0, 1)
    ]
    lengths = set()
    for handle in handles:
        length, width = ctypes.c_size_t(), ctypes.c_float()
        pdfium.FPDFFont_GetFontData(handle, None, 0, length)
        pdfium.FPDFFont_GetGlyphWidth(handle, ord("m"), 1000.0, width)
        assert width.value == 0
        lengths.add(length.value)
    assert len(lengths) == 2


def test_faces_are_restored_as_long_as_there_are_glyphs() -> None:
    faces = SubstituteFaces()
    for _ in range(LAST - FIRST + 2):
        faces.stretched = True
        faces.restore()
        assert not faces.stretched


def test_documents_of_other_fonts_need_no_restoring() -> None:
    faces = SubstituteFaces()
    pdf = PdfObjects()
    pdf.page(b"BT /F1 12 Tf 20 200 Td (Invoice 1234 of 5678) Tj ET")
    with pypdfium2.PdfDocument(pdf.file()) as document, text_layer(document[0]) as layer:
        doubtful, new = FontChecks(faces).doubtful_fonts(layer)
    assert (doubtful, len(new)) == ([], 1)
    assert not faces.stretched

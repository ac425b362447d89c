"""PDFs whose text is drawn letter for letter as a test says: any script, order, direction and kerning."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import reportlab

SIZE = 10.0
ADVANCE = 600
WIDE_ADVANCE = 1000
FIRST_CODE = 200
FIRST_SHAPE = 36
ASCII_TO_SHAPE = -29
"""Letters that the font has are drawn by it; others get the shape of one of its letters."""

LEVEL = (1.0, 0.0, 0.0, 1.0)
UPWARDS = (0.0, 1.0, -1.0, 0.0)
DOWNWARDS = (0.0, -1.0, 1.0, 0.0)
UPSIDE_DOWN = (-1.0, 0.0, 0.0, -1.0)

Piece = str | float
"""Letters, or a movement to the left in thousandths of the font's size."""


@dataclass(frozen=True)
class Text:
    """Text that one operator draws from a point (points from the bottom left)."""

    pieces: Sequence[Piece] | str
    x: float
    y: float
    direction: tuple[float, float, float, float] = LEVEL


def letter_by_letter(text: str, x: float, y: float, *, right: float = 0.0, down: float = 0.0) -> list[Text]:
    """Letters that are drawn one by one, each moved from the one before."""
    return [Text(letter, x + right * at, y - down * at) for at, letter in enumerate(text) if letter != " "]


def drawn_pdf(
    texts: Sequence[Text],
    *,
    page: tuple[float, float] = (400.0, 300.0),
    advance: int = ADVANCE,
    vertical: bool = False,
    marks: str = "",
    ligatures: Sequence[str] = (),
) -> bytes:
    """A page with the texts. ``marks`` do not advance; ``ligatures`` are glyphs of several letters."""
    font = _Font(ligatures)
    content = b"\n".join(font.draw(text) for text in texts)
    widths = b" ".join(
        b"%d [%d]" % (code, 0 if meaning in marks else advance) for meaning, code in font.codes.items()
    )
    outlines = (Path(reportlab.__file__).parent / "fonts" / "Vera.ttf").read_bytes()
    return _file(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %g %g]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>"
            % page,
            _stream(content),
            b"<</Type/Font/Subtype/Type0/BaseFont/Plain/Encoding/Identity-%s"
            b"/DescendantFonts[6 0 R]/ToUnicode 7 0 R>>" % (b"V" if vertical else b"H"),
            b"<</Type/Font/Subtype/CIDFontType2/BaseFont/Plain/FontDescriptor 8 0 R/CIDToGIDMap 10 0 R"
            b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/DW 1000/W[%s]>>" % widths,
            _stream(font.meanings()),
            b"<</Type/FontDescriptor/FontName/Plain/Flags 4/FontBBox[0 -200 1000 900]/ItalicAngle 0"
            b"/Ascent 900/Descent -200/CapHeight 700/StemV 80/FontFile2 9 0 R>>",
            _stream(zlib.compress(outlines), b"/Filter/FlateDecode/Length1 %d" % len(outlines)),
            _stream(font.shapes()),
        ]
    )


class _Font:
    def __init__(self, ligatures: Sequence[str]) -> None:
        self._ligatures = ligatures
        self.codes: dict[str, int] = {}

    def draw(self, text: Text) -> bytes:
        pieces = [text.pieces] if isinstance(text.pieces, str) else text.pieces
        shown = b"".join(self._hexadecimal(one) if isinstance(one, str) else b"%g" % one for one in pieces)
        return b"BT /F %g Tf %g %g %g %g %g %g Tm [%s] TJ ET" % (SIZE, *text.direction, text.x, text.y, shown)

    def meanings(self) -> bytes:
        pairs = b"".join(
            b"<%04X> <%s>\n" % (code, meaning.encode("utf-16-be").hex().encode())
            for meaning, code in self.codes.items()
        )
        return (
            b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
            b"1 begincodespacerange <0000> <FFFF> endcodespacerange\n%d beginbfchar\n%sendbfchar\n"
            b"endcmap end end" % (len(self.codes), pairs)
        )

    def shapes(self) -> bytes:
        """The font's own number of each code, two bytes each."""
        shapes = [
            code + ASCII_TO_SHAPE if code < FIRST_CODE else code - FIRST_CODE + FIRST_SHAPE
            for code in range(max(self.codes.values()) + 1)
        ]
        return b"".join(max(shape, 0).to_bytes(2, "big") for shape in shapes)

    def _code(self, glyph: str) -> int:
        return ord(glyph) if glyph.isascii() else FIRST_CODE + len(self.codes)

    def _hexadecimal(self, letters: str) -> bytes:
        glyphs = [letters] if letters in self._ligatures else list(letters)
        codes = [self.codes.setdefault(glyph, self._code(glyph)) for glyph in glyphs]
        return b"<" + b"".join(b"%04X" % code for code in codes) + b">"


def _stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(content), content)


def _file(objects: Sequence[bytes]) -> bytes:
    output, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, one in enumerate(objects, 1):
        offsets.append(len(output))
        output += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size, start = len(objects) + 1, len(output)
    output += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    output += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, start)
    return bytes(output)

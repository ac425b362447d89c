"""Shapes of letters and digits, to tell whether a font draws what it claims. Child's side."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from pagemill.extraction.reading.pdf_objects import numbered

DIGITS = "0123456789"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHARACTERS = DIGITS + LETTERS
# The faces that pdfium brings along: other fonts look like one of them, or recognition has to tell.
FACES = tuple(
    family + style
    for family, styles in (
        ("Helvetica", ("", "-Bold", "-Oblique", "-BoldOblique")),
        ("Times", ("-Roman", "-Bold", "-Italic", "-BoldItalic")),
        ("Courier", ("", "-Bold", "-Oblique", "-BoldOblique")),
    )
    for style in styles
)
SIDE = 12
DRAWN_SIDE = 48
# Height to width counts like this many cells of the raster.
ASPECT_WEIGHT = 1.5
MOST_SEGMENTS = 2000
# An outline is told by its first points, in thousandths of the size of the font.
OUTLINE_POINTS = 5
_segment = numbered(pdfium.FPDFGlyphPath_GetGlyphPathSegment, ctypes.c_int)
_point_of = numbered(pdfium.FPDFPathSegment_GetPoint, ctypes.c_void_p, ctypes.c_void_p, result=ctypes.c_int)
_kind_of = numbered(pdfium.FPDFPathSegment_GetType, result=ctypes.c_int)
# Size is taken away: what differs by size only is the same shape, as are bars and rings.
SAME_SHAPE = str.maketrans("OoQDIl|iJ", "000011111")

Shape = NDArray[np.float32]
Point = tuple[float, float]
Outline = tuple[int, ...]


class References(NamedTuple):
    """Appearance of letters and digits: their outlines in known faces, and their shapes in rows."""

    outlines: Mapping[Outline, str]
    shapes: NDArray[np.float32]
    characters: Sequence[str]


def outline_of(font: Any, character: str) -> Outline | None:
    """Return what tells the outline that a font draws for a character; None without a glyph."""
    path = pdfium.FPDFFont_GetGlyphPath(font, ord(character), 1.0)
    if not path:
        return None
    count = pdfium.FPDFGlyphPath_CountGlyphSegments(path)
    outline = [count]
    for _, x, y in _segments(path, min(count, OUTLINE_POINTS)):
        outline += (round(x * 1000), round(y * 1000))
    return tuple(outline)


def shape_of(font: Any, character: str) -> Shape | None:
    """Return the shape that a font draws for a character, whatever its size; None if it draws nothing."""
    path = pdfium.FPDFFont_GetGlyphPath(font, ord(character), 1.0)
    count = pdfium.FPDFGlyphPath_CountGlyphSegments(path) if path else 0
    if not 2 < count <= MOST_SEGMENTS:
        return None
    contours = _contours(_segments(path, count))
    points = [point for contour in contours for point in contour]
    left, bottom = min(x for x, _ in points), min(y for _, y in points)
    width, height = max(x for x, _ in points) - left, max(y for _, y in points) - bottom
    if not (width > 0 and height > 0):
        return None
    across, down = (DRAWN_SIDE - 1) / width, (DRAWN_SIDE - 1) / height
    ink = Image.new("1", (DRAWN_SIDE, DRAWN_SIDE))
    for contour in contours:
        inside = Image.new("1", ink.size)
        corners = [((x - left) * across, (y - bottom) * down) for x, y in contour]
        ImageDraw.Draw(inside).polygon(corners, fill=1)
        # A contour within a contour is a hole.
        ink = ImageChops.logical_xor(ink, inside)
    return _compared(ink, height / width)


def _segments(path: Any, count: int) -> Iterator[tuple[int, float, float]]:
    x, y = ctypes.c_float(), ctypes.c_float()
    across, down = ctypes.addressof(x), ctypes.addressof(y)
    for position in range(count):
        segment = _segment(path, position)
        _point_of(segment, across, down)
        yield _kind_of(segment), x.value, y.value


def _contours(segments: Iterator[tuple[int, float, float]]) -> list[list[Point]]:
    """Return the corners of each contour; a curve is bent once, in its middle."""
    contours: list[list[Point]] = []
    for kind, x, y in segments:
        if kind == pdfium.FPDF_SEGMENT_MOVETO or not contours:
            contours.append([(x, y)])
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            contours[-1].append((x, y))
        else:
            (_, xb, yb), (_, xc, yc) = next(segments), next(segments)
            xa, ya = contours[-1][-1]
            contours[-1] += [((xa + 3 * (x + xb) + xc) / 8, (ya + 3 * (y + yb) + yc) / 8), (xc, yc)]
    return [contour for contour in contours if len(contour) > 1]


def _compared(ink: Image.Image, aspect: float) -> Shape:
    small = ink.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    cells = np.asarray(small, np.float32).ravel()
    cells = cells - cells.mean()
    cells /= max(float(cells @ cells) ** 0.5, 1e-6)
    return np.append(cells, np.float32(math.log(aspect) * ASPECT_WEIGHT / SIDE))


def nearest(shapes: Sequence[Shape]) -> list[str]:
    """Return for each shape the character whose shape is nearest to it."""
    known = references()
    # einsum, unlike a product of matrices, starts no threads in a forked process.
    alike = np.einsum("ik,jk->ij", np.stack(shapes), known.shapes)
    distances = np.einsum("jk,jk->j", known.shapes, known.shapes) - 2 * alike
    return [known.characters[position] for position in distances.argmin(axis=1)]


def same_shape(claimed: str, seen: str) -> bool:
    """Return whether two characters cannot be told apart by their shapes alone."""
    return claimed == seen or _kind(claimed) == _kind(seen)


def _kind(character: str) -> str:
    return character.translate(SAME_SHAPE).lower()


@lru_cache(maxsize=1)
def references() -> References:
    """Return what letters and digits look like in pdfium's own faces."""
    outlines: dict[Outline, str] = {}
    shapes: list[Shape] = []
    characters: list[str] = []
    document = pypdfium2.PdfDocument.new()
    try:
        for face in FACES:
            font = pdfium.FPDFText_LoadStandardFont(document, face.encode())
            for character in CHARACTERS:
                outline, shape = outline_of(font, character), shape_of(font, character)
                if outline is not None and shape is not None:
                    outlines[outline] = character
                    shapes.append(shape)
                    characters.append(character)
            pdfium.FPDFFont_Close(font)
    finally:
        document.close()
    return References(outlines, np.stack(shapes), characters)

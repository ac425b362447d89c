"""Shapes of letters and digits, to tell whether a font draws what it claims. Child's side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from typing import NamedTuple, TypeVar

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pagemill.extraction.reading.glyph_outlines import (
    Contours,
    Outline,
    OutlineKey,
    contours_of,
    outline_of,
)
from pagemill.extraction.reading.pdf_objects import address

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
FEWEST_POINTS, MOST_POINTS = 3, 2000
MOST_CONTOURS = 100
# Size is taken away: what differs by size only is the same shape, as are bars and rings.
SAME_SHAPE = str.maketrans("OoQDIl|iJ", "000011111")

Shape = NDArray[np.float32]
Key = TypeVar("Key")


class References(NamedTuple):
    """Appearance of letters and digits: their outlines in known faces, and their shapes in rows."""

    outlines: Mapping[OutlineKey, str]
    shapes: NDArray[np.float32]
    squares: NDArray[np.float32]
    characters: Sequence[str]


def shapes_of(outlines: Mapping[Key, Outline]) -> dict[Key, Shape]:
    """Return the shapes of outlines, whatever their size; of those that draw nothing there is none."""
    keys = [key for key, one in outlines.items() if FEWEST_POINTS <= one.points <= MOST_POINTS]
    if not keys:
        return {}
    contours = contours_of([outlines[key] for key in keys])
    if not len(contours.drawn):
        return {}
    corners, numbers = contours.corners, np.append(contours.outlines, len(contours.starts))
    first = contours.starts[contours.outlines]
    lowest, highest = np.minimum.reduceat(corners, first), np.maximum.reduceat(corners, first)
    sizes = highest - lowest
    drawable = (sizes > 0).all(axis=1) & (np.diff(numbers) <= MOST_CONTOURS)
    scales = (DRAWN_SIDE - 1) / np.where(drawable[:, None], sizes, np.inf)
    owners = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(corners))))
    contours = contours._replace(corners=(corners - lowest[owners]) * scales[owners])
    shapes = _compared(_ink(contours), sizes)
    return {
        keys[at]: shape
        for at, shape, is_drawn in zip(contours.drawn.tolist(), shapes, drawable.tolist(), strict=True)
        if is_drawn
    }


def _ink(contours: Contours) -> NDArray[np.uint8]:
    """Return a square of ones, where there is ink, and zeros for each outline."""
    count = len(contours.starts)
    image = Image.new("L", (DRAWN_SIDE, DRAWN_SIDE * count))
    draw = ImageDraw.Draw(image)
    ends = np.append(contours.starts[1:], len(contours.corners))
    tops = np.repeat(np.arange(count) * DRAWN_SIDE, ends - contours.starts)
    corners = (contours.corners + np.stack([np.zeros(len(tops)), tops], axis=1)).ravel().tolist()
    for start, end in zip((2 * contours.starts).tolist(), (2 * ends).tolist(), strict=True):
        draw.polygon(corners[start:end], fill=1)
    squares = np.frombuffer(image.tobytes(), np.uint8).reshape(count, -1)
    numbers = np.diff(contours.outlines, append=count)
    ink = squares[contours.outlines]
    for number in range(1, int(numbers.max())):
        further = numbers > number
        # A contour within a contour is a hole.
        ink[further] ^= squares[contours.outlines[further] + number]
    return ink


def _compared(ink: NDArray[np.uint8], sizes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what is compared of each outline, in rows."""
    each = DRAWN_SIDE // SIDE
    rows = ink.reshape(len(ink), SIDE, each, DRAWN_SIDE)
    # numpy's own sums over short axes take five times as long.
    columns = reduce(np.add, [rows[:, :, at] for at in range(each)]).reshape(len(ink), SIDE, SIDE, each)
    cells = reduce(np.add, [columns[..., at] for at in range(each)]).reshape(len(ink), -1).astype(np.float32)
    cells -= cells.mean(axis=1, keepdims=True)
    cells /= np.maximum(np.sqrt(np.einsum("ij,ij->i", cells, cells)), 1e-6)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        aspects = np.log(sizes[:, 1] / sizes[:, 0]) * ASPECT_WEIGHT / SIDE
    return np.hstack([cells, aspects[:, None].astype(np.float32)])


def nearest(shapes: Sequence[Shape]) -> list[str]:
    """Return for each shape the character whose shape is nearest to it."""
    known = references()
    # einsum, unlike a product of matrices, starts no threads in a forked process.
    alike = np.einsum("ik,jk->ij", np.stack(shapes), known.shapes)
    return [known.characters[position] for position in (known.squares - 2 * alike).argmin(axis=1)]


def same_shape(claimed: str, seen: str) -> bool:
    """Return whether two characters cannot be told apart by their shapes alone."""
    return claimed == seen or _kind(claimed) == _kind(seen)


def _kind(character: str) -> str:
    return character.translate(SAME_SHAPE).lower()


@lru_cache(maxsize=1)
def references() -> References:
    """Return what letters and digits look like in pdfium's own faces."""
    outlines: dict[OutlineKey, str] = {}
    shapes: dict[tuple[str, str], Shape] = {}
    document = pypdfium2.PdfDocument.new()
    try:
        for face in FACES:
            font = pdfium.FPDFText_LoadStandardFont(document, face.encode())
            own = {
                (face, character): outline
                for character in CHARACTERS
                if (outline := outline_of(address(font), character)) is not None
            }
            outlines |= {outline.key(): character for (_, character), outline in own.items()}
            shapes |= shapes_of(own)
            pdfium.FPDFFont_Close(font)
    finally:
        document.close()
    rows = np.stack(list(shapes.values()))
    return References(outlines, rows, np.einsum("jk,jk->j", rows, rows), [one for _, one in shapes])

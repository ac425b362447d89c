"""Outlines that a font of a PDF draws for characters, as pdfium has them. Child's side."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from pagemill.extraction.reading.pdf_objects import numbered

POINT = np.dtype([("place", np.float32, 2), ("kind", np.uint8), ("unused", np.uint8, 3)])
"""A point of a path as pdfium keeps it."""
POINT_BYTES = POINT.itemsize
# An outline is told by its first points.
TELLING_POINTS = 5
_TELLING = [struct.Struct("=" + "ff4x" * count) for count in range(TELLING_POINTS + 1)]
_path_of = numbered(pdfium.FPDFFont_GetGlyphPath, ctypes.c_uint32, ctypes.c_float)
_count_points = numbered(pdfium.FPDFGlyphPath_CountGlyphSegments, result=ctypes.c_int)
_point_at = numbered(pdfium.FPDFGlyphPath_GetGlyphPathSegment, ctypes.c_int)
_place_of = numbered(pdfium.FPDFPathSegment_GetPoint, ctypes.c_void_p, ctypes.c_void_p, result=ctypes.c_int)
_kind_of = numbered(pdfium.FPDFPathSegment_GetType, result=ctypes.c_int)

OutlineKey = tuple[float, ...]


class Outline(NamedTuple):
    """An outline: pdfium's handle, valid while its font is, and the number of its points."""

    path: int
    points: int

    def key(self) -> OutlineKey:
        """Return what tells the outline from others."""
        telling = min(self.points, TELLING_POINTS)
        return (self.points, *_TELLING[telling].unpack(_points(self.path, telling)))


class Contours(NamedTuple):
    """Closed polygons of several outlines: their corners, and the positions at which they begin.

    ``outlines`` are the positions of the polygons with which outlines begin, ``drawn`` those of the outlines
    that have any.
    """

    corners: NDArray[np.float64]
    starts: NDArray[np.intp]
    outlines: NDArray[np.intp]
    drawn: NDArray[np.intp]


def outline_of(font: int, character: str) -> Outline | None:
    """Return the outline that a font draws for a character; None without a glyph."""
    path = _path_of(font, ord(character), 1.0)
    return Outline(path, _count_points(path)) if path else None


def contours_of(outlines: Sequence[Outline]) -> Contours:
    """Return the contours of outlines; a curve is bent once, in its middle."""
    points = np.frombuffer(b"".join([_points(one.path, one.points) for one in outlines]), POINT)
    owners = np.repeat(np.arange(len(outlines)), [one.points for one in outlines])
    places = points["place"].astype(np.float64)
    curved = points["kind"] == pdfium.FPDF_SEGMENT_BEZIERTO
    # Of the three points of a curve, the first becomes its middle, the second goes, the third is its end.
    step = np.cumsum(curved) % 3
    first = np.flatnonzero(curved & (step == 1))
    first = first[(first > 0) & (first + 2 < len(places))]
    ends, controls = places[first - 1] + places[first + 2], places[first] + places[first + 1]
    places[first] = (ends + 3 * controls) / 8
    begins = (points["kind"] == pdfium.FPDF_SEGMENT_MOVETO) | (np.diff(owners, prepend=-1) != 0)
    kept = ~(curved & (step == 2))
    number = np.cumsum(begins) - 1
    # A contour of one point is none.
    kept &= (np.bincount(number[kept], minlength=number[-1] + 1) > 1)[number]
    number, owners = number[kept], owners[kept]
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    changes = np.flatnonzero(np.diff(owners[starts], prepend=-1))
    return Contours(places[kept], starts, changes, owners[starts[changes]])


def _points(path: int, count: int) -> bytes:
    """Return the first points of a path.

    pdfium keeps them one behind the other, and its handle of a point is its place: to ask for each of them
    takes twenty times as long.
    """
    if count == 0:
        return b""
    first = _point_at(path, 0)
    if _point_at(path, count - 1) - first == (count - 1) * POINT_BYTES:
        return ctypes.string_at(first, count * POINT_BYTES)
    return _one_by_one(path, count)


def _one_by_one(path: int, count: int) -> bytes:
    """Return the first points of a path, each asked for by itself."""
    points = np.zeros(count, POINT)
    x, y = ctypes.c_float(), ctypes.c_float()
    across, down = ctypes.addressof(x), ctypes.addressof(y)
    for position in range(count):
        point = _point_at(path, position)
        _place_of(point, across, down)
        points[position] = (x.value, y.value), _kind_of(point), 0
    return points.tobytes()

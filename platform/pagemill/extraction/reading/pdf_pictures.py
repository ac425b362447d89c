"""Parts of a digital page that may hold text which its text layer does not have. Child's side."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.pdf_objects import PageObject, PageObjects, left_out, numbered
from pagemill.extraction.reading.pdf_paint import Box, draw_box, rendered_size, shown_transform
from pagemill.extraction.reading.pdf_rendering import DOTS_PER_INCH, POINTS_PER_INCH
from pagemill.extraction.reading.resolution import LONGEST_SIDE
from pagemill.extraction.reading.shared_pixels import Pixels, SharedPixels
from pagemill.extraction.types import ImageQuality

MOST_PICTURES = 12
MOST_BOXES = 1000
# Smaller areas hold no line of text that a person could read; in points.
NARROWEST, LOWEST = 18.0, 5.0
# Slices of one picture, and letters of one line, lie closer together than this.
GAP = 4.0
# A rectangle has at most five segments; an outlined letter has more.
FEWEST_SEGMENTS = 6
FEWEST_OUTLINES = 6
TALLEST_LETTER = 60.0
SEGMENTS_OF_A_LINE = 80
FAINTEST = 40
# Rows of pixels that differ from the row above: five for each line of letters at least.
FEWEST_CHANGES = 5
NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)
Transform = Callable[[float, float], tuple[float, float]]

_bounds_of = numbered(pdfium.FPDFPageObj_GetBounds, *[ctypes.c_void_p] * 4, result=ctypes.c_int)
_matrix_of = numbered(pdfium.FPDFPageObj_GetMatrix, ctypes.c_void_p, result=ctypes.c_int)
_count_segments = numbered(pdfium.FPDFPath_CountSegments, result=ctypes.c_int)


def picture_boxes(page: Any, objects: PageObjects) -> list[Box]:
    """Return the boxes of images, and of letters drawn as outlines, in points of the page as shown."""
    images = objects.positions(pdfium.FPDF_PAGEOBJ_IMAGE)
    outlines = _outlines(objects)
    if not images and not outlines:
        return []
    to_shown = shown_transform(page)
    boxes = [object_box(objects.at(at), to_shown) for at in images]
    boxes += _outline_boxes(objects, outlines, to_shown)
    shown = [_common(box, _whole(page)) for box in boxes]
    shown = [box for box in shown if box[0] < box[2] and box[1] < box[3]]
    merged = _merged(shown) if len(shown) <= MOST_BOXES else [_around(shown)]
    large = [box for box in merged if box[2] - box[0] >= NARROWEST and box[3] - box[1] >= LOWEST]
    return large if len(large) <= MOST_PICTURES else [_around(large)]


def pictures_of(
    page: Any, texts: Sequence[int], boxes: Sequence[Box], quality: ImageQuality, shared: SharedPixels
) -> Iterator[tuple[Box, Pixels]]:
    """Return the boxes in which something is seen, and their pixels without the text layer's objects.

    They are drawn in the shared memory, where the next ones follow them if they are written at once.
    """
    if not boxes:
        return
    left, scale = shared.pixels_left, DOTS_PER_INCH[quality] / POINTS_PER_INCH
    with left_out(texts):
        for box in boxes:
            area = (box[2] - box[0]) * (box[3] - box[1])
            longest = max(box[2] - box[0], box[3] - box[1])
            fitting = min(scale, LONGEST_SIDE[quality] / longest, (left / (2 * area)) ** 0.5)
            pixels = shared.canvas(*rendered_size(box, fitting))
            draw_box(page, box, fitting, pixels)
            left -= pixels.shape[0] * pixels.shape[1]
            if _may_hold_text(pixels):
                yield box, pixels


def covers(page: Any, one: PageObject, share: float) -> bool:
    """Return whether an image takes at least a share of the page."""
    whole = _whole(page)
    x0, y0, x1, y1 = _common(object_box(one, shown_transform(page)), whole)
    return x1 > x0 and y1 > y0 and (x1 - x0) * (y1 - y0) >= share * whole[2] * whole[3]


def object_box(one: PageObject, to_shown: Transform) -> Box:
    """Return the box of an object on the page as shown."""
    bounds = (ctypes.c_float * 4)()
    first = ctypes.addressof(bounds)
    if not _bounds_of(one.item, first, first + 4, first + 8, first + 12):
        return NOWHERE
    left, bottom, right, top = bounds
    corners = [(x, y) for x in (left, right) for y in (bottom, top)]
    matrix = pdfium.FS_MATRIX()
    for parent in reversed(one.parents):
        if not _matrix_of(parent, ctypes.addressof(matrix)):
            return NOWHERE
        corners = [
            (matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f)
            for x, y in corners
        ]
    points = [to_shown(x, y) for x, y in corners]
    across, down = [x for x, _ in points], [y for _, y in points]
    return min(across), min(down), max(across), max(down)


def _may_hold_text(pixels: Pixels) -> bool:
    """Return whether there is more than an even area, a frame or the lines of a table."""
    green = pixels[:, :, 1]
    darkest, lightest = int(green.min()), int(green.max())
    if lightest - darkest < FAINTEST:
        return False
    ink = np.packbits(green < (darkest + lightest) / 2, axis=1)
    changes = (ink[1:] != ink[:-1]).any(axis=1)
    return int(changes.sum()) >= FEWEST_CHANGES


def _outlines(objects: PageObjects) -> list[tuple[int, int]]:
    """Return the positions of paths that may be letters, and the numbers of their segments."""
    paths = objects.positions(pdfium.FPDF_PAGEOBJ_PATH)
    counts = list(map(_count_segments, map(objects.items.__getitem__, paths)))
    return [(at, count) for at, count in zip(paths, counts, strict=True) if count >= FEWEST_SEGMENTS]


def _outline_boxes(objects: PageObjects, paths: Sequence[tuple[int, int]], to_shown: Transform) -> list[Box]:
    """Return the boxes of paths that look like letters; none if they are too few for a word."""
    boxes, outlines = [], 0
    for at, segments in paths:
        box = object_box(objects.at(at), to_shown)
        if segments >= SEGMENTS_OF_A_LINE or box[3] - box[1] <= TALLEST_LETTER:
            boxes.append(_with_spacing(box))
            outlines += max(1, segments * FEWEST_OUTLINES // SEGMENTS_OF_A_LINE)
    return boxes if outlines >= FEWEST_OUTLINES else []


def _with_spacing(box: Box) -> Box:
    """Return the box of a letter that reaches to the next letter, word and line."""
    x0, y0, x1, y1 = box
    height = min(y1 - y0, TALLEST_LETTER)
    return x0 - height / 2, y0 - height / 4, x1 + height / 2, y1 + height / 4


def _merged(boxes: Sequence[Box]) -> list[Box]:
    """Return the boxes around groups of boxes that touch each other, or nearly so."""
    groups: list[Box] = []
    for box in sorted(boxes, key=lambda box: (box[1], box[0])):
        grown, apart = box, groups
        while True:
            near = [group for group in apart if _near(group, grown)]
            if not near:
                break
            apart = [group for group in apart if not _near(group, grown)]
            grown = _around([grown, *near])
        groups = [*apart, grown]
    return groups


def _near(one: Box, other: Box) -> bool:
    return (
        one[0] - GAP <= other[2]
        and other[0] - GAP <= one[2]
        and one[1] - GAP <= other[3]
        and other[1] - GAP <= one[3]
    )


def _around(boxes: Sequence[Box]) -> Box:
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _common(one: Box, other: Box) -> Box:
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def _whole(page: Any) -> Box:
    return 0.0, 0.0, pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)

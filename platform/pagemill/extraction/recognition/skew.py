"""Small skew of scanned pages: found on a small picture, taken out of the pixels, put back into boxes.

Degrees are clockwise: at +3 the lines of the page run down to the right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.types import Word

Pixels = NDArray[np.uint8]

MOST_DEGREES = 10.0
LEAST_DEGREES = 0.5
"""Less is left as it is: the detector's boxes follow it, and the pixels stay as sharp as they are."""

MOST_ENLARGEMENT = 2.0
LONGEST_SIDE = 32_000
"""OpenCV turns no larger pictures."""

SKETCH_PIXELS = 700_000
LEAST_SIDE = 16
GLYPH_SIDES = (4, 60)
LEAST_GLYPH_AREA = 6
LEAST_GLYPHS = 40
MOST_GLYPHS = 1500
DEGREES_STEP = 0.25
SLICE_PIXELS = 2.0
# Of 700 upright and skewed pages none with lines of text was below 1.68; scattered dots stay below 1.35.
CLEAR_PEAK = 1.5
CLEAR_ADVANTAGE = 1.15

_ANGLES = np.arange(-MOST_DEGREES - 1, MOST_DEGREES + 1 + DEGREES_STEP / 2, DEGREES_STEP)
_SINES, _COSINES = np.sin(np.deg2rad(_ANGLES))[:, None], np.cos(np.deg2rad(_ANGLES))[:, None]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A small gray picture of a page, its ink in white on black, and the boxes (x, y, w, h) of its glyphs."""

    gray: Pixels
    ink: Pixels
    glyphs: NDArray[np.float64]


def sketch(pixels: Pixels) -> Sketch:
    """Return the sketch of an RGB page."""
    height, width = pixels.shape[:2]
    scale = min(1.0, math.sqrt(SKETCH_PIXELS / (width * height)))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = pixels if scale == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    ink = cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 25, 15)
    return Sketch(np.asarray(gray, np.uint8), np.asarray(ink, np.uint8), _glyphs(ink))


def _glyphs(ink: cv2.typing.MatLike) -> NDArray[np.float64]:
    """Return the boxes of the connected parts that can be characters or parts of words."""
    parts = cv2.connectedComponentsWithStats(ink, connectivity=8, ltype=cv2.CV_32S)[2][1:]
    longest = np.maximum(parts[:, cv2.CC_STAT_WIDTH], parts[:, cv2.CC_STAT_HEIGHT])
    least, most = GLYPH_SIDES
    fits = (longest >= least) & (longest <= most) & (parts[:, cv2.CC_STAT_AREA] >= LEAST_GLYPH_AREA)
    return np.asarray(parts[fits][:, :4], np.float64)


@dataclass(frozen=True, slots=True)
class Alignment:
    """Skew of the lines of a page in degrees clockwise, 0 unless it is clear that there are lines."""

    skew: float = 0.0
    clear: bool = False


def skew(pixels: Pixels) -> float:
    """Return the clockwise degrees by which the lines of a page are skewed; 0 without clear evidence."""
    return alignment(sketch(pixels)).skew


def alignment(page: Sketch) -> Alignment:
    """Return how the glyphs of a page are aligned, the same whichever side is up.

    Edges of glyphs line up along lines of text (Baird's method): the angle is that at which their projection
    is the most uneven.
    """
    if len(page.glyphs) < LEAST_GLYPHS or min(page.ink.shape) < LEAST_SIDE:
        return Alignment()
    every = -(-len(page.glyphs) // MOST_GLYPHS)
    x, y, width, height = page.glyphs[::every].T
    across, down = x + width / 2, y + height / 2
    horizontal = _unevenness(across, y) + _unevenness(across, y + height)
    vertical = _unevenness(down, -x) + _unevenness(down, -x - width)
    return _clear_peak(horizontal if horizontal.max() >= vertical.max() else vertical)


def _unevenness(along: NDArray[np.float64], beside: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each angle how unevenly points lie in slices along it."""
    places = (beside * _COSINES - along * _SINES) / SLICE_PIXELS
    slices = (places - places.min()).astype(np.int64)
    count = int(slices.max()) + 1
    slices += np.arange(len(_ANGLES))[:, None] * count
    filled = np.bincount(slices.ravel(), minlength=len(_ANGLES) * count).reshape(len(_ANGLES), count)
    neighbours = (filled[:, 1:] + filled[:, :-1]).astype(np.float64)
    return np.asarray((neighbours**2).sum(axis=1) / len(along), np.float64)


def _clear_peak(unevenness: NDArray[np.float64]) -> Alignment:
    best = int(unevenness.argmax())
    highest = float(unevenness[best])
    if highest < CLEAR_PEAK * float(np.median(unevenness)) or abs(_ANGLES[best]) > MOST_DEGREES:
        return Alignment()
    if highest < CLEAR_ADVANTAGE * float(unevenness[len(_ANGLES) // 2]):
        return Alignment(0.0, clear=True)
    before, after = float(unevenness[best - 1]), float(unevenness[best + 1])
    curvature = before - 2 * highest + after
    offset = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return Alignment(float(_ANGLES[best]) + offset * DEGREES_STEP, clear=True)


def can_be_deskewed(width: int, height: int, degrees: float) -> bool:
    """Return whether a deskewed picture stays within bounds: a long strip becomes many times as wide."""
    across, down = _deskewed_size(width, height, degrees)
    return max(across, down) <= LONGEST_SIDE and across * down <= MOST_ENLARGEMENT * width * height


def deskewed(pixels: Pixels, degrees: float) -> Pixels:
    """Return the picture turned back by its skew, enlarged so that nothing is cut off."""
    height, width = pixels.shape[:2]
    across, down = _deskewed_size(width, height, degrees)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turn[:, 2] += (across - width) / 2, (down - height) / 2
    paper = np.median(pixels[:: max(1, height // 64), :: max(1, width // 64)], axis=(0, 1))
    return np.asarray(
        cv2.warpAffine(
            pixels, turn, (across, down), flags=cv2.INTER_LINEAR, borderValue=np.atleast_1d(paper).tolist()
        ),
        np.uint8,
    )


def _deskewed_size(width: int, height: int, degrees: float) -> tuple[int, int]:
    sine, cosine = abs(math.sin(math.radians(degrees))), math.cos(math.radians(degrees))
    return math.ceil(width * cosine + height * sine), math.ceil(width * sine + height * cosine)


def on_skewed_page(word: Word, degrees: float, width: int, height: int) -> Word:
    """Return a word of the deskewed picture on the page as shown, which has ``width`` x ``height`` pixels.

    Its box is the upright one around the word's box turned by the skew: what is drawn there covers the word.
    """
    across, down = _deskewed_size(width, height, degrees)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x, y = ((word.x0 + word.x1) / 2 - 0.5) * across, ((word.y0 + word.y1) / 2 - 0.5) * down
    wide, high = (word.x1 - word.x0) * across / 2, (word.y1 - word.y0) * down / 2
    centre_x, centre_y = (x * cosine - y * sine) / width + 0.5, (x * sine + y * cosine) / height + 0.5
    half_x = (wide * cosine + high * abs(sine)) / width
    half_y = (wide * abs(sine) + high * cosine) / height
    box = centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y
    x0, y0, x1, y1 = (min(max(side, 0.0), 1.0) for side in box)
    return Word(word.text, x0, y0, x1, y1, word.confidence)

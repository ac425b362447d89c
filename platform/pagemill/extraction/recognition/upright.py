"""Upright pages: the quarter turn and the small skew that a page was scanned with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pagemill.extraction.recognition.orientation_model import OrientationModel
from pagemill.extraction.recognition.skew import (
    LEAST_DEGREES,
    LEAST_SIDE,
    Pixels,
    Sketch,
    alignment,
    can_be_deskewed,
    deskewed,
    on_skewed_page,
    sketch,
)
from pagemill.extraction.types import Word
from pagemill.rotation import ROTATIONS, Rotation

ReadLines = Callable[[Sequence[Pixels]], list[tuple[str, float]]]
"""Recognition of one-line crops: text and confidence of each."""

LEAST_GLYPHS = 8
SURE_UPRIGHT = 0.6
# Most pages are upright, so a turn needs more: of 980 pages the model turned one wrongly above this.
SURE_TURNED = 0.85
"""Believed only where lines are clear to see: of a photograph the model says anything."""
WORTH_READING = 0.08
SAMPLES = 6
LONGEST_SAMPLE = 12
"""Most of a line that is read, in line heights."""
LEAST_CHARACTERS = 10
ADVANTAGE = 0.05
LEAST_LEGIBILITY = 0.5
"""Lines that are read with less are no lines of text."""
MODEL_WEIGHT = 0.2
# A view is a square a little narrower than the text: edges of lines tell the model nothing.
VIEW_SHARE = 0.875
VIEWS_BY_ASPECT = ((1.4, 1), (2.2, 2))
MOST_VIEWS = 3


@dataclass(frozen=True, slots=True)
class Pose:
    """Turn that a page needs, and its skew then. Both in degrees clockwise."""

    rotation: Rotation = 0
    skew: float = 0.0


@dataclass(frozen=True, slots=True)
class UprightPage:
    """Pixels of a page that was turned upright by ``rotation`` (clockwise) and deskewed after that."""

    pixels: Pixels
    rotation: Rotation
    skew: float
    width: int
    height: int

    def on_page(self, word: Word) -> Word:
        """Return a word of these pixels with its box on the page as shown: turned, but not deskewed."""
        return on_skewed_page(word, self.skew, self.width, self.height) if self.skew else word


class UprightDetector:
    """Detector of the pose of pages. Thread-safe; it loads its model with the first page.

    Where the model is in doubt, a few lines are read in each direction; without ``read_lines`` such a page
    stays as it is.
    """

    def __init__(self, read_lines: ReadLines | None = None) -> None:
        self._model = OrientationModel()
        self._read_lines = read_lines

    def upright(self, pixels: Pixels) -> UprightPage:
        """Return an RGB page upright and without skew."""
        pose = self.pose(pixels)
        turned = quarter_turned(pixels, pose.rotation)
        height, width = turned.shape[:2]
        straight = deskewed(turned, pose.skew) if pose.skew else turned
        return UprightPage(straight, pose.rotation, pose.skew, width, height)

    def rotation(self, pixels: Pixels) -> Rotation:
        """Return the clockwise turn that makes an RGB page upright."""
        return self.pose(pixels).rotation

    def pose(self, pixels: Pixels) -> Pose:
        """Return the turn and the skew of an RGB page. A skew too small to correct is 0."""
        page = sketch(pixels)
        lines = alignment(page)
        height, width = pixels.shape[:2]
        skewed = abs(lines.skew) > LEAST_DEGREES and can_be_deskewed(width, height, lines.skew)
        degrees = lines.skew if skewed else 0.0
        if len(page.glyphs) < LEAST_GLYPHS or min(page.gray.shape) < LEAST_SIDE:
            return Pose()
        turned = self._model.probabilities(_views(page, degrees))
        # A page that was turned by 90 has to be turned by 270.
        needed = {rotation: float(turned[-rotation // 90 % 4]) for rotation in ROTATIONS}
        likeliest = max(ROTATIONS, key=lambda rotation: needed[rotation])
        sure = needed[0] >= SURE_UPRIGHT or (lines.clear and needed[likeliest] >= SURE_TURNED)
        if not sure:
            likeliest = self._confirmed(pixels, degrees, needed)
        return Pose(likeliest, degrees)

    def _confirmed(self, pixels: Pixels, degrees: float, needed: dict[Rotation, float]) -> Rotation:
        if self._read_lines is None:
            return 0
        straight = deskewed(pixels, degrees) if degrees else pixels
        read: dict[Rotation, float] = {}
        pairs: tuple[tuple[Rotation, Rotation], ...] = ((0, 180), (90, 270))
        for first, second in pairs:
            if first == 0 or max(needed[first], needed[second]) >= WORTH_READING:
                crops = line_crops(quarter_turned(straight, first))
                read[first] = self._legibility(crops)
                read[second] = self._legibility([quarter_turned(crop, 180) for crop in crops])
        best = max(read, key=lambda rotation: read[rotation] + MODEL_WEIGHT * needed[rotation])
        return best if read[best] >= max(read[0] + ADVANTAGE, LEAST_LEGIBILITY) else 0

    def _legibility(self, crops: Sequence[Pixels]) -> float:
        """Return the mean confidence of the characters read, 0 when they are few."""
        assert self._read_lines is not None
        found = self._read_lines(crops) if crops else []
        characters = sum(len(text) for text, _ in found)
        if characters < LEAST_CHARACTERS:
            return 0.0
        return sum(len(text) * confidence for text, confidence in found) / characters


def quarter_turned(pixels: Pixels, rotation: Rotation) -> Pixels:
    """Return pixels turned clockwise."""
    return np.ascontiguousarray(np.rot90(pixels, -rotation // 90))


def _views(page: Sketch, degrees: float) -> list[Pixels]:
    """Return gray squares of the text of a page, without its skew: one, or up to three of a long page."""
    gray, ink = page.gray, page.ink
    if degrees:
        gray, ink = deskewed(gray, degrees), deskewed(ink, degrees)
    text = _text_area(gray, ink)
    shorter, longer = sorted(text.shape)
    side = max(1, round(shorter * VIEW_SHARE))
    count = next((count for aspect, count in VIEWS_BY_ASPECT if longer < aspect * shorter), MOST_VIEWS)
    return [
        _view(text, side, (number + 0.5) / count if count == 1 else number / (count - 1))
        for number in range(count)
    ]


def _view(text: Pixels, side: int, place: float) -> Pixels:
    height, width = text.shape
    across, down = (width - side) / 2, (height - side) / 2
    if height >= width:
        down = (height - side) * place
    else:
        across = (width - side) * place
    top, left = round(down), round(across)
    return text[top : top + side, left : left + side]


def _text_area(gray: Pixels, ink: Pixels) -> Pixels:
    """Return the part of a picture that all but the outermost ink lies in."""
    sides: list[slice] = []
    for axis in (1, 0):
        filled = np.cumsum((ink > 0).sum(axis=axis))
        first, last = np.searchsorted(filled, (0.005 * filled[-1], 0.995 * filled[-1]))
        sides.append(slice(int(first), int(last) + 1))
    return gray[sides[0], sides[1]]


def line_crops(pixels: Pixels) -> list[Pixels]:
    """Return crops of the longest lines of text that run from left to right."""
    page = sketch(pixels)
    scale = pixels.shape[1] / page.gray.shape[1]
    joined = cv2.morphologyEx(page.ink, cv2.MORPH_CLOSE, np.ones((1, 15), np.uint8))
    boxes = cv2.connectedComponentsWithStats(joined, connectivity=8)[2][1:]
    lines = [
        (int(left), int(top), int(width), int(height))
        for left, top, width, height, area in boxes
        if 6 <= height <= 60 and width >= 3 * height and area >= 0.25 * width * height
    ]
    lines.sort(key=lambda box: -box[2])
    return [_crop(pixels, box, scale) for box in lines[:SAMPLES]]


def _crop(pixels: Pixels, box: tuple[int, int, int, int], scale: float) -> Pixels:
    left, top, width, height = box
    margin = 0.2 * height
    rows = slice(max(0, int((top - margin) * scale)), int((top + height + margin) * scale) + 1)
    width = min(width, LONGEST_SAMPLE * height)
    columns = slice(max(0, int((left - margin) * scale)), int((left + width + margin) * scale) + 1)
    return np.ascontiguousarray(pixels[rows, columns])

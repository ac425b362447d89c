"""Detection: where lines of text are. Differentiable binarisation (Liao et al., 2019), as PP-OCR does it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.device import Device
from pagemill.extraction.recognition.models import INPUT, detector_model, open_session
from pagemill.extraction.types import ImageQuality

Pixels = NDArray[np.uint8]
Quad = NDArray[np.float32]
"""Corners (4, 2) of a line in pixels: top left, top right, bottom right, bottom left as it is read."""

FIRST_SIDE = {"LOW": 1152, "HIGH": 1408}
"""Longest side, in pixels, at which a page is looked at first."""
SHORT_SIDE = 400
"""Shortest side of strips, which would not be legible with the longest side alone."""
LEAST_SIDE = 6
"""Nothing can be read on an image with a shorter side, in pixels."""
MAXIMUM_PIXELS = 6_000_000
LEGIBLE = 18.0
"""Height of small lines (boxes, in pixels) below which some are missed; the page is enlarged then."""
ENLARGED = 21.0
SMALL_LINES = 25
"""Percentile of the heights that stands for a page's small lines."""
MULTIPLE = 32
"""The model takes images whose sides are multiples of this."""
MARKED = 0.3
"""Score of a pixel that belongs to a line."""
CONFIDENT = 0.5
"""Mean score of a line."""
GROWTH = 1.6
"""The model marks the middle of lines; a box grows by this share of its area over its circumference."""
THINNEST = 3
MAXIMUM_LINES = 3000


class Detector:
    """Detector of lines on upright or skewed pages. Thread-safe."""

    def __init__(self, device: Device, places: threading.Semaphore) -> None:
        self._session, self._places = open_session(detector_model(), device), places

    def beside(self, places: threading.Semaphore) -> Detector:
        """Return a detector with the same model, and places of its own."""
        other = copy.copy(self)
        other._places = places
        return other

    def lines(self, pixels: Pixels, quality: ImageQuality) -> list[Quad]:
        """Return the lines of an RGB image; a page of small print is looked at twice, enlarged."""
        longest = max(pixels.shape[:2])
        if min(pixels.shape[:2]) < LEAST_SIDE:
            return []
        side = _first_side(pixels, quality)
        found = self._lines(pixels, side)
        if found and side < longest:
            small = float(np.percentile([thickness(quad) for quad in found], SMALL_LINES)) * side / longest
            if small < LEGIBLE:
                found = self._lines(pixels, min(longest, round(side * ENLARGED / small)))
        return found

    def _lines(self, pixels: Pixels, longest_side: int) -> list[Quad]:
        height, width = pixels.shape[:2]
        scale = longest_side / max(height, width)
        shape = _multiple(height * scale), _multiple(width * scale)
        if shape[0] * shape[1] > MAXIMUM_PIXELS:
            scale *= (MAXIMUM_PIXELS / (shape[0] * shape[1])) ** 0.5
            shape = _multiple(height * scale), _multiple(width * scale)
        shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = np.asarray(cv2.resize(pixels, shape[::-1], interpolation=shrinks), dtype=np.uint8)
        with self._places:
            scores = self._session.run(None, {INPUT: to_input(resized)[None]})[0][0, 0]
        found = _boxes(scores)
        return [quad for box in found if (quad := _on_page(box, shape, (height, width))) is not None]


def to_input(pixels: Pixels) -> NDArray[np.float32]:
    """Return an RGB image as both models take it: (3, height, width), blue first, -1..1."""
    return np.ascontiguousarray(pixels[:, :, ::-1].transpose(2, 0, 1), dtype=np.float32) * (2 / 255) - 1


def thickness(quad: Quad) -> float:
    """Return the shorter side of a line's box in pixels."""
    return float(min(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[3] - quad[0])))


def _first_side(pixels: Pixels, quality: ImageQuality) -> int:
    height, width, _ = pixels.shape
    legible: int = round(SHORT_SIDE * max(height, width) / min(height, width))
    longest: int = max(height, width)
    return min(longest, max(FIRST_SIDE[quality], legible))


def _multiple(side: float) -> int:
    return max(1, round(side / MULTIPLE)) * MULTIPLE


def _boxes(scores: NDArray[np.float32]) -> list[Quad]:
    """Return the corners of the lines in a map of scores."""
    marked = cv2.dilate((scores > MARKED).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(marked, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in contours[:MAXIMUM_LINES]:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < THINNEST:
            continue
        if _mean_score(scores, _corners(centre, width, height, angle)) < CONFIDENT:
            continue
        grown = width * height * GROWTH / (width + height)
        boxes.append(_corners(centre, width + grown, height + grown, angle))
    return boxes


def _corners(centre: Sequence[float], width: float, height: float, angle: float) -> Quad:
    return np.asarray(cv2.boxPoints((tuple(centre), (width, height), angle)), dtype=np.float32)


def _mean_score(scores: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, scores.shape[::-1])
    part = scores[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [(corners - low).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def _on_page(box: Quad, shape: tuple[int, int], page: tuple[int, int]) -> Quad | None:
    """Return the box in pixels of the page, within it; None when nothing is left of it."""
    height, width = page
    quad = _in_order(box * np.array([width / shape[1], height / shape[0]], dtype=np.float32))
    quad[:, 0] = quad[:, 0].clip(0, width - 1)
    quad[:, 1] = quad[:, 1].clip(0, height - 1)
    return quad if thickness(quad) > THINNEST else None


def _in_order(corners: Quad) -> Quad:
    """Sort corners: top left, top right, bottom right, bottom left."""
    by_x = corners[corners[:, 0].argsort()]
    left, right = by_x[:2], by_x[2:]
    left, right = left[left[:, 1].argsort()], right[right[:, 1].argsort()]
    return np.array([left[0], right[0], right[1], left[1]], dtype=np.float32)

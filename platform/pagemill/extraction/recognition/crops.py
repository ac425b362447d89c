"""Lines cut out of a page, straight and of one height."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.detector import Pixels, Quad

HEIGHT = 48
"""Height of a line, in pixels, as the recogniser takes it."""
NARROWEST, WIDEST = 8, 3200
TALL = 1.5
"""Height of a box over its width from which on its line may run upwards or downwards."""
ONE_CHARACTER = 3.0
"""Up to this shape a tall box may hold one upright character, such as a 1."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A line, its pixels (48, width, 3), and where it was: ``quad`` begins where reading begins."""

    pixels: Pixels
    quad: Quad


def crops_of(pixels: Pixels, quad: Quad) -> list[Crop]:
    """Return the line as it may be read: once, or for a tall box in each direction that is possible."""
    across = float(np.linalg.norm(quad[1] - quad[0]))
    down = float(np.linalg.norm(quad[3] - quad[0]))
    if down < TALL * across:
        return [_crop(pixels, quad)]
    downwards, upwards = quad[[1, 2, 3, 0]], quad[[3, 0, 1, 2]]
    upright = [_crop(pixels, quad)] if down < ONE_CHARACTER * across else []
    return [*upright, _crop(pixels, downwards), _crop(pixels, upwards)]


def to_height(line: Pixels) -> Pixels:
    """Return an upright line, scaled to the recogniser's height."""
    height, width = line.shape[:2]
    scaled = min(max(NARROWEST, math.ceil(HEIGHT * width / height)), WIDEST)
    return np.asarray(cv2.resize(line, (scaled, HEIGHT)), dtype=np.uint8)


def _crop(pixels: Pixels, quad: Quad) -> Crop:
    width = max(1, round(float(np.linalg.norm(quad[1] - quad[0]))))
    height = max(1, round(float(np.linalg.norm(quad[3] - quad[0]))))
    corners: NDArray[np.float32] = np.array(
        [[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32
    )
    straight = cv2.warpPerspective(
        pixels,
        cv2.getPerspectiveTransform(np.ascontiguousarray(quad), corners),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return Crop(to_height(np.asarray(straight, dtype=np.uint8)), quad)

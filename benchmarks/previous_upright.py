"""Detection of upright pages as it was before: lines are detected, and some are read in two directions.

It stays as it was: the other side of the benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR
from rapidocr.utils.process_img import get_rotate_crop_image

from benchmarks.previous_reading import PARAMETERS
from pagemill.rotation import Rotation

LONGEST_SIDE = 960
SAMPLES = 6
ADVANTAGE = 0.05

Pixels = NDArray[np.uint8]


class PreviousUpright:
    """Detector that reads a page twice."""

    def __init__(self) -> None:
        self._engine: Any = RapidOCR(params=PARAMETERS)

    def rotation(self, pixels: Pixels) -> Rotation:
        """Return the clockwise turn that makes an RGB page upright."""
        small = _small(pixels)
        found = self._engine(small, use_det=True, use_rec=False)
        if found.boxes is None:
            return 0
        boxes = sorted(found.boxes, key=lambda box: -max(_sides(box)))[:SAMPLES]
        vertical = sum(_sides(box)[1] - _sides(box)[0] for box in boxes) > 0
        crops = [get_rotate_crop_image(small, np.asarray(box, np.float32)) for box in boxes]
        as_found, turned = self._score(crops), self._score([np.rot90(crop, 2) for crop in crops])
        if vertical:
            # The library turns tall crops counter-clockwise before it reads them.
            return 270 if as_found >= turned else 90
        return 180 if turned > as_found + ADVANTAGE else 0

    def _score(self, crops: Sequence[Any]) -> float:
        results = [self._engine(crop, use_det=False, use_rec=True, return_word_box=False) for crop in crops]
        weighted = [
            score * len(text)
            for result in results
            for text, score in zip(result.txts or (), result.scores, strict=False)
        ]
        return float(sum(weighted)) / max(1, len(weighted))


def _small(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.asarray(resized, np.uint8)[:, :, ::-1])


def _sides(box: NDArray[Any]) -> tuple[float, float]:
    return float(np.linalg.norm(box[1] - box[0])), float(np.linalg.norm(box[3] - box[0]))

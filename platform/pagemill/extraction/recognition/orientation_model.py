"""The page orientation model (PP-LCNet, 6.8 MB): which side of a page is up. See weights/README.md."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.skew import Pixels

MODEL = Path(__file__).parent / "weights" / "page_orientation.onnx"
SIDE = 224
# The mean and deviation of ImageNet, with which the model was trained.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class OrientationModel:
    """Model that is loaded with the first page. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Any = None

    def probabilities(self, views: Sequence[Pixels]) -> NDArray[np.float64]:
        """Return how likely a page is turned clockwise by 0, 90, 180 and 270, from gray views of it."""
        found = self._loaded().run(None, {"x": np.stack([_input(view) for view in views])})[0]
        likelihood = np.log(np.asarray(found, np.float64) + 1e-4).mean(axis=0)
        weights = np.exp(likelihood - likelihood.max())
        return np.asarray(weights / weights.sum(), np.float64)

    def _loaded(self) -> Any:
        with self._lock:
            if self._session is None:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                self._session = onnxruntime.InferenceSession(
                    str(MODEL), options, providers=["CPUExecutionProvider"]
                )
            return self._session


def _input(view: Pixels) -> NDArray[np.float32]:
    method = cv2.INTER_AREA if min(view.shape) > SIDE else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(view, (SIDE, SIDE), interpolation=method), np.float32) / 255
    return np.asarray((scaled - MEAN[:, None, None]) / DEVIATION[:, None, None], np.float32)

"""Recognition of words in an image, with the models that come in rapidocr's wheel."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.reading.strips import words_in_tiles
from pagemill.extraction.reading.word_geometry import plain
from pagemill.extraction.types import ImageQuality, Word

PARAMETERS = {
    "Global.use_cls": False,
    "Global.log_level": "critical",
    # Pixels come in the resolution that they are to be read at.
    "Global.max_side_len": 1_000_000,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}

Character = tuple[str, float, Sequence[Sequence[float]]]


class Recognizer:
    """Recogniser that loads its models with the first image; many documents never need them.

    Thread-safe: the library reads one image at a time.
    """

    def __init__(self) -> None:
        self._loaded: Any = None
        self._lock = threading.Lock()

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return the words of upright RGB pixels, boxes in 0..1."""
        return words_in_tiles(pixels, self._words)

    def _words(self, pixels: Pixels) -> list[Word]:
        with self._lock:
            found = self._engine()(
                _blue_first(pixels),
                use_det=True,
                use_rec=True,
                return_word_box=True,
                return_single_char_box=True,
            )
        if found.boxes is None:
            return []
        height, width = pixels.shape[:2]
        lines = zip(found.txts, found.scores, found.boxes, found.word_results, strict=True)
        return [
            _word(text, quads, width, height, confidence)
            for line, score, box, characters in lines
            for text, confidence, quads in split_line(line, float(score), box, characters)
        ]

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return the text and the confidence of upright pictures of one line each."""
        read = []
        for crop in crops:
            with self._lock:
                found = self._engine()(_blue_first(crop), use_det=False, use_rec=True)
            read.append((str(found.txts[0]), float(found.scores[0])) if found.txts else ("", 0.0))
        return read

    def _engine(self) -> Any:
        if self._loaded is None:
            import cv2
            from rapidocr import RapidOCR

            cv2.setNumThreads(1)
            self._loaded = RapidOCR(params=PARAMETERS)
        return self._loaded


def split_line(
    line: str, score: float, box: Sequence[Sequence[float]], characters: Sequence[Character]
) -> Iterator[tuple[str, float, list[Sequence[float]]]]:
    """Return the words of a recognised line: text, confidence, and the corners of its characters.

    The library gives a box for each character that is not a space. If it does not, divide the line evenly.
    """
    exact = len(characters) == sum(not character.isspace() for character in line)
    position = used = 0
    for text in line.split():
        start = line.index(text, position)
        position = start + len(text)
        if exact:
            own = characters[used : used + len(text)]
            used += len(text)
            confidence = sum(one[1] for one in own) / len(own)
            yield text, float(confidence), [corner for one in own for corner in one[2]]
        else:
            yield text, score, _slice(box, start / len(line), position / len(line))


def _slice(box: Sequence[Sequence[float]], start: float, end: float) -> list[Sequence[float]]:
    corners = np.asarray(box, dtype=float)
    top, bottom = corners[1] - corners[0], corners[2] - corners[3]
    at = [
        corners[0] + top * start,
        corners[0] + top * end,
        corners[3] + bottom * start,
        corners[3] + bottom * end,
    ]
    return [corner.tolist() for corner in at]


def _word(text: str, corners: list[Sequence[float]], width: int, height: int, confidence: float) -> Word:
    across = [min(max(float(corner[0]) / width, 0.0), 1.0) for corner in corners]
    down = [min(max(float(corner[1]) / height, 0.0), 1.0) for corner in corners]
    sure = min(max(confidence, 0.0), 1.0)
    return Word(plain(text), min(across), min(down), max(across), max(down), sure)


def _blue_first(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, :, ::-1])

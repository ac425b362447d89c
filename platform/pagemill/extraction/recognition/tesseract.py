"""Recognition of words by Tesseract, and the choice of the script that a picture is read in."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.script_choice import Detection, choose_script, parse_detection
from pagemill.extraction.recognition.scripts import BY_NAME, Script, ScriptName
from pagemill.extraction.recognition.tesseract_program import TesseractFailed, TesseractProgram
from pagemill.extraction.recognition.tesseract_table import parse_table
from pagemill.extraction.types import Word

SAMPLE_SECONDS = 15.0
PAGE_SECONDS = 20.0

logger = logging.getLogger(__name__)


class TesseractRecognizer:
    """Reader of pictures in one of several scripts. Thread-safe."""

    def __init__(self, scripts: Sequence[ScriptName], program: TesseractProgram) -> None:
        self.scripts = tuple(scripts)
        self._program = program

    def words(
        self, pixels: NDArray[np.uint8], script: ScriptName, seconds: float = PAGE_SECONDS
    ) -> list[Word]:
        """Return the words of RGB pixels, boxes and confidences in 0..1. Raises TesseractFailed."""
        table = self._program.table(pixels, script, seconds)
        height, width = pixels.shape[:2]
        return parse_table(table, width, height, joined=BY_NAME[script].joined)

    def detect(self, pixels: NDArray[np.uint8]) -> Detection:
        """Return what Tesseract's detection says; its script may be one that is not installed."""
        if not self._program.detects_scripts:
            return Detection()
        try:
            return parse_detection(self._program.script_detection(pixels, SAMPLE_SECONDS))
        except TesseractFailed as error:
            # It ends with an error where there are too few letters; the samples decide then.
            logger.debug("no script was detected: %s", error)
            return Detection()

    def choose(self, sample: NDArray[np.uint8], detected: Script | None) -> ScriptName | None:
        """Return the script of a sample of a page, None for one that is not read. Raises TesseractFailed."""
        samples: dict[ScriptName, list[Word]] = {}
        for name in sorted(self.scripts, key=lambda name: detected is not BY_NAME[name]):
            samples[name] = self.words(sample, name, SAMPLE_SECONDS)
            if detected is BY_NAME[name] and choose_script(samples, None) == name:
                return name
        return choose_script(samples, detected)

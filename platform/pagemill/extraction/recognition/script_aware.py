"""Recognition of the scripts that the ONNX models do not know, by Tesseract where it is installed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pagemill.errors import PagemillError
from pagemill.extraction.recognition.script_merge import corrected, crop, merge_words, misread_codes
from pagemill.extraction.recognition.scripts import BY_NAME, SCRIPTS, Script
from pagemill.extraction.recognition.tesseract import TesseractRecognizer
from pagemill.extraction.recognition.tesseract_program import TesseractFailed, TesseractProgram, find_program
from pagemill.extraction.recognition.unread_text import UnreadText, find_unread_text
from pagemill.extraction.types import ImageQuality, Word

AUTOMATIC, NONE = "auto", "none"
"""Values of the operator's setting besides lists of scripts: all that are installed, and no Tesseract."""
UNREAD_SHARE = 0.35
"""Share of unread text from which on a page is looked at.

One of 46 receipts has 0.29, the others 0.12 at most; pages in other scripts have 0.65 and more.
"""
UNREAD_SHARE_EXPECTED = 0.2
"""The same where the operator has named the scripts that documents are written in."""

SMALLEST_PAGE = 250_000
"""Pixels of the smallest image that Tesseract is asked about: logos on digital pages have fewer, and are
letters to nobody but a detector of scripts."""

logger = logging.getLogger(__name__)


class ScriptsNotInstalled(PagemillError):
    """The operator's setting names scripts whose data, or Tesseract itself, are not installed."""


class PixelRecognizer(Protocol):
    """Recogniser of words and of lines in plain pixels."""

    def words(self, pixels: NDArray[np.uint8], quality: ImageQuality) -> list[Word]:
        """Return the words of RGB pixels, boxes in 0..1."""
        ...

    def lines(self, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[str, float]]:
        """Return text and confidence of upright crops that have one line each."""
        ...


class ScriptAwareRecognizer:
    """Recogniser that has Tesseract read what the ONNX models leave out. Thread-safe.

    A page whose text they read, that is each ordinary page in Latin, Chinese or Japanese, costs nothing more
    than a look at its ink.
    """

    def __init__(
        self,
        recognizer: PixelRecognizer,
        tesseract: TesseractRecognizer | None,
        unread_share: float = UNREAD_SHARE,
    ) -> None:
        self._recognizer, self._tesseract, self._unread_share = recognizer, tesseract, unread_share
        self._warnings = _Warnings()

    def words(self, pixels: NDArray[np.uint8], quality: ImageQuality) -> list[Word]:
        """Return the words of RGB pixels, boxes in 0..1, those of another script among them."""
        words = self._recognizer.words(pixels, quality)
        if pixels.shape[0] * pixels.shape[1] < SMALLEST_PAGE:
            return words
        unread = find_unread_text(words, pixels)
        if unread.share < self._unread_share:
            return words
        try:
            return self._read_again(words, pixels, unread)
        except TesseractFailed as error:
            logger.warning("a page is read without Tesseract: %s", error)
            return words

    def lines(self, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[str, float]]:
        """Return text and confidence of upright crops that have one line each."""
        return self._recognizer.lines(crops)

    def _read_again(self, words: list[Word], pixels: NDArray[np.uint8], unread: UnreadText) -> list[Word]:
        if self._tesseract is None:
            self._warnings.without_tesseract()
            return words
        detected, turned = self._tesseract.detect(pixels)
        if turned:
            return words
        script = self._tesseract.choose(pixels[unread.top : unread.bottom], detected)
        if script is not None:
            return self._with_codes(pixels, merge_words(words, self._tesseract.words(pixels, script)))
        if detected is not None and detected.name not in self._tesseract.scripts:
            self._warnings.not_installed(detected)
        return words

    def _with_codes(self, pixels: NDArray[np.uint8], words: list[Word]) -> list[Word]:
        """Read words with digits again, each alone: letters of another script around them mislead both."""
        positions = misread_codes(words)
        alone = self._recognizer.lines([crop(pixels, words[position]) for position in positions])
        for position, (text, confidence) in zip(positions, alone, strict=True):
            words[position] = corrected(words[position], text, confidence)
        return words


def with_scripts(recognizer: PixelRecognizer, setting: str) -> PixelRecognizer:
    """Return a recogniser that reads the scripts of the operator's setting too.

    ``setting`` is ``auto``, ``none``, or names of scripts separated by commas. Raises ScriptsNotInstalled.
    """
    if setting == NONE:
        return recognizer
    program = find_program()
    if setting == AUTOMATIC:
        tesseract = TesseractRecognizer(list(program.data), program) if program else None
        logger.info("scripts read besides Latin, Chinese and Japanese: %s", describe(program))
        return ScriptAwareRecognizer(recognizer, tesseract)
    scripts = [BY_NAME[name] for name in setting.split(",")]
    if program is None or any(script.name not in program.data for script in scripts):
        raise ScriptsNotInstalled(_missing(scripts, program))
    tesseract = TesseractRecognizer([script.name for script in scripts], program)
    return ScriptAwareRecognizer(recognizer, tesseract, UNREAD_SHARE_EXPECTED)


def describe(program: TesseractProgram | None) -> str:
    """Return which scripts the program reads, or what to install."""
    if program is None:
        return "none, because Tesseract is not installed (Debian: tesseract-ocr)"
    missing = [script for script in SCRIPTS if script.name not in program.data]
    read = ", ".join(program.data) or "none"
    if not missing:
        return read
    return f"{read}; not installed: {', '.join(f'{one.name} ({one.package})' for one in missing)}"


def _missing(scripts: Sequence[Script], program: TesseractProgram | None) -> str:
    installed = program.data if program else {}
    missing = [script for script in scripts if script.name not in installed]
    packages = [*([] if program else ["tesseract-ocr"]), *(script.package for script in missing)]
    names = ", ".join(script.name for script in missing)
    return f"PAGEMILL_READING_SCRIPTS: {names} cannot be read; install {' '.join(packages)} (names of Debian)"


class _Warnings:
    """Warnings that the operator is given once, not with each page."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._lock = threading.Lock()

    def without_tesseract(self) -> None:
        """Tell that a page has text that cannot be read, and what reads other scripts."""
        if self._is_new(""):
            logger.warning(
                "a page has text that is not read: it may be in a script other than Latin, Chinese and "
                "Japanese, which Tesseract reads where it is installed (Debian: tesseract-ocr, "
                "tesseract-ocr-osd, tesseract-ocr-script-*)"
            )

    def not_installed(self, script: Script) -> None:
        """Tell that a page is written in a script that is not installed."""
        if self._is_new(script.name):
            logger.warning(
                "a page seems to be written in %s, which is not read: install %s, or name it in "
                "PAGEMILL_READING_SCRIPTS",
                script.name,
                f"Tesseract's data for it (Debian: {script.package})",
            )

    def _is_new(self, key: str) -> bool:
        with self._lock:
            new = key not in self._given
            self._given.add(key)
            return new

"""The recogniser of a replica."""

from __future__ import annotations

from pagemill.extraction.reading.ocr import Recognizer
from pagemill.extraction.reading.recognised_page import WordRecognizer


def replica_recognizer() -> WordRecognizer:
    """Return the recogniser that a replica shares between its documents."""
    return Recognizer()

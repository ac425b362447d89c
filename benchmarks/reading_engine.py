"""The engine that the replica recognises words with."""

from __future__ import annotations

from pagemill.extraction.reading.ocr import Recognizer

__all__ = ["Recognizer"]

"""What a reader may make of a document, and what is wrong with anything else."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading import PageReader, ReadLimits
from pagemill.extraction.types import ImageQuality, ReadOptions, Word
from tests.unit.extraction import documents
from tests.unit.extraction.bad.case import BadDocument

MEBIBYTE = 1024 * 1024
LIMITS = ReadLimits(memory_bytes=1024 * MEBIBYTE, page_seconds=60, document_seconds=90)
HEALTHY = documents.text_pdf()
HEALTHY_WORDS = ["Invoice", "Heading", "Blue", "widgets", "99.50", "Page", "1"]
INTERNALS = re.compile(
    r"0x|object at|Traceback|std::|pdfium|PIL|numpy|libtiff|Error\b|Exception|SIG[A-Z]+|errno|decoder"
    r"|\.py|[/<>_\n]",
    re.IGNORECASE,
)
BEGINNINGS = ("The document ", "The PDF ", "The image ", "A page took longer than ")


class NoRecognizer:
    """Recogniser that finds one word in every picture: what is recognised is not what is tried here."""

    def words(self, pixels: NDArray[np.uint8], quality: ImageQuality) -> list[Word]:
        assert pixels.ndim == 3
        assert pixels.size
        return [Word("seen", 0.1, 0.1, 0.2, 0.2)]

    def lines(self, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[str, float]]:
        return [("", 0.0) for _ in crops]


def words_of(reader: PageReader, content: bytes) -> list[str]:
    reading = reader.read(content, [0], ReadOptions())
    words = [word for page in reading.pages for word in page.words]
    assert all(0 <= word.x0 <= word.x1 <= 1 and 0 <= word.y0 <= word.y1 <= 1 for word in words)
    return [word.text for word in words]


def fault_of(reader: PageReader, document: BadDocument) -> str | None:
    """Read a document, and return what is wrong with what became of it."""
    try:
        words = words_of(reader, document.content)
    except DocumentUnreadable as error:
        return fault_of_refusal(document, error.message)
    if document.outcome == "refused":
        return f"it was read: {words[:9]}"
    missing = set(document.words) - set(words)
    return f"{missing} are missing in {words[:9]}" if missing else None


def fault_of_refusal(document: BadDocument, message: str) -> str | None:
    plain = message.startswith(BEGINNINGS) and not INTERNALS.search(message)
    expected = document.outcome != "read" and message.startswith(document.message)
    return None if plain and expected else f"it was refused: {message}"

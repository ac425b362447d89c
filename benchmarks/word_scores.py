"""Comparison of the words that were read with a reference transcription."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


def bag(texts: Iterable[str]) -> Counter[str]:
    """Return the alphanumeric words in lower case, with their counts."""
    return Counter(word for text in texts for word in re.findall(r"[a-z0-9]+", text.lower()))


def f1(common: int, found: int, expected: int) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * common / (found + expected) if found + expected else 1.0


@dataclass(slots=True)
class WordScore:
    """Score over documents: pooled over all their words, and the mean of the documents."""

    matched: int = 0
    found: int = 0
    expected: int = 0
    of_documents: list[float] = field(default_factory=list)

    def add(self, read: Iterable[str], reference: Iterable[str]) -> None:
        """Count a document."""
        read_words, reference_words = bag(read), bag(reference)
        matched = (read_words & reference_words).total()
        found, expected = read_words.total(), reference_words.total()
        self.of_documents.append(f1(matched, found, expected))
        self.matched, self.found, self.expected = (
            self.matched + matched,
            self.found + found,
            self.expected + expected,
        )

    def figures(self) -> dict[str, float]:
        """Return the figures as JSON."""
        return {
            "wordF1": round(f1(self.matched, self.found, self.expected), 4),
            "wordF1MeanPerDocument": round(statistics.fmean(self.of_documents), 4),
            "wordPrecision": round(self.matched / max(self.found, 1), 4),
            "wordRecall": round(self.matched / max(self.expected, 1), 4),
        }

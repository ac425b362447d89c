"""Comparison of a text layer with what recognition reads in its place."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

from rapidfuzz.distance import Levenshtein

from pagemill.extraction.reading.read_messages import ParsedPage, Picture, Sample
from pagemill.extraction.reading.shared_pixels import Pixels

ALIKE = 0.6
# Of the samples that settle a doubt; recognition misreads a sharp word now and then.
MOST_WRONG = 0.4
SURE = 0.5
FIRST_SAMPLES, FEWEST_FIRST = 4, 3
"""So many are read first, and so many of them must be legible: if all agree, the others are not read."""
CONFUSED = str.maketrans("OoQDIlijSZB", "00001111528")


class LineRecognizer(Protocol):
    """Recogniser of single lines. Thread-safe."""

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return the text and the confidence of upright pictures of one line each."""
        ...


class TextLayerCheck:
    """Findings about the text layers of one document."""

    def __init__(self, recognizer: LineRecognizer) -> None:
        self._recognizer = recognizer
        self._contradicted: set[int] = set()

    def contradicts(self, parsed: ParsedPage, pixels_of: Callable[[Picture], Pixels]) -> bool:
        """Return whether the words of a page are not what is seen on it."""
        if parsed.samples:
            self._settle(parsed.samples, pixels_of)
        return not self._contradicted.isdisjoint(parsed.doubts)

    def _settle(self, samples: Sequence[Sample], pixels_of: Callable[[Picture], Pixels]) -> None:
        by_doubt: dict[int, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_doubt[sample.doubt].append(sample)
        for doubt, own in by_doubt.items():
            same = self._compared(own[:FIRST_SAMPLES], pixels_of)
            # Recognition is dear: the others are read where the first ones leave the doubt.
            if len(same) < FEWEST_FIRST or not all(same):
                same += self._compared(own[FIRST_SAMPLES:], pixels_of)
            if contradict(same):
                self._contradicted.add(doubt)

    def _compared(self, samples: Sequence[Sample], pixels_of: Callable[[Picture], Pixels]) -> list[bool]:
        """Return of each sample that can be recognised whether the text layer says the same."""
        if not samples:
            return []
        read = self._recognizer.lines([pixels_of(sample.picture) for sample in samples])
        same = []
        for sample, (seen, confidence) in zip(samples, read, strict=True):
            if confidence >= SURE:
                # Glyphs of a font are sharp, and recognised without mistakes; a scan may be blurred.
                alike = is_the_same if sample.is_sharp else says_the_same
                same.append(alike(sample.text, seen))
        return same


def contradict(same: Sequence[bool]) -> bool:
    """Return whether samples, each the same or not, show that a text layer is not what is seen."""
    wrong = same.count(False)
    return wrong > 0 and wrong >= MOST_WRONG * len(same)


def is_the_same(said: str, seen: str) -> bool:
    """Return whether two readings of a sharp word are equal, but for characters of one shape."""
    said, seen = _alphanumeric(said), _alphanumeric(seen)
    return _plain(said) == _plain(seen) and not _digits_differ(said, seen)


def says_the_same(said: str, seen: str) -> bool:
    """Return whether two readings of a word are one, but for what recognition confuses."""
    said, seen = _alphanumeric(said), _alphanumeric(seen)
    said_plain, seen_plain = _plain(said), _plain(seen)
    if not said_plain or not seen_plain:
        return len(said_plain) + len(seen_plain) < 2
    if Levenshtein.normalized_similarity(said_plain, seen_plain) < ALIKE:
        return False
    return not _digits_differ(said, seen)


def _digits_differ(said: str, seen: str) -> bool:
    """Return whether a digit is read as another one; a letter read for a digit is a usual mistake."""
    if len(said) != len(seen):
        return False
    pairs = zip(said, seen, strict=True)
    return any(one.isdigit() and other.isdigit() and one != other for one, other in pairs)


def _plain(text: str) -> str:
    return text.translate(CONFUSED).casefold()


def _alphanumeric(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKD", text) if one.isalnum())

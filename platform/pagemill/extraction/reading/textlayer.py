"""Words from the characters of a PDF's text layer."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from pagemill.extraction.reading.word_geometry import plain
from pagemill.extraction.types import Word

FEWEST_CHARACTERS = 8
MOST_GARBAGE = 0.3
# Fonts print words tighter than this share of a character's size; pdfium marks most spaces itself.
WIDEST_GAP = 0.6
GARBAGE_CATEGORIES = ("Cc", "Co", "Cn", "Cs")


class Character(msgspec.Struct, frozen=True, gc=False):
    """One character, its box in points of the page as shown."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def size(self) -> float:
        """Return the longer side of the box."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    @property
    def centre(self) -> tuple[float, float]:
        """Return the centre of the box."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


class PrintedWord(msgspec.Struct, frozen=True):
    """Characters of one word, in writing order."""

    characters: list[Character]

    def word(self, width: float, height: float) -> Word:
        """Return the word with its box in 0..1, cut at the page's edges."""
        return Word(
            plain("".join(one.text for one in self.characters)),
            _share(min(one.x0 for one in self.characters), width),
            _share(min(one.y0 for one in self.characters), height),
            _share(max(one.x1 for one in self.characters), width),
            _share(max(one.y1 for one in self.characters), height),
        )

    def direction(self) -> tuple[float, float] | None:
        """Return the direction of writing on the page; None for words too short to tell."""
        (xa, ya), (xb, yb) = self.characters[0].centre, self.characters[-1].centre
        return (xb - xa, yb - ya) if len(self.characters) > 2 else None


def is_usable(characters: Sequence[Character]) -> bool:
    """Return whether a text layer is better than recognition: enough characters, few of them garbage."""
    printed = [one.text for one in characters if not one.text.isspace()]
    garbage = sum(text == "\ufffd" or unicodedata.category(text) in GARBAGE_CATEGORIES for text in printed)
    return len(printed) - garbage >= FEWEST_CHARACTERS and garbage <= MOST_GARBAGE * len(printed)


def group_words(characters: Sequence[Character]) -> list[PrintedWord]:
    """Return the words: they end at white space, and where the next character stands apart."""
    return [PrintedWord(characters=run) for run in _runs(characters)]


def _runs(characters: Sequence[Character]) -> Iterator[list[Character]]:
    run: list[Character] = []
    for character in characters:
        space = character.text.isspace()
        if run and (space or _apart(run[-1], character)):
            yield run
            run = []
        if not space and unicodedata.category(character.text) != "Cc":
            run.append(character)
    if run:
        yield run


def _apart(before: Character, after: Character) -> bool:
    gap = max(after.x0 - before.x1, before.x0 - after.x1, after.y0 - before.y1, before.y0 - after.y1)
    return gap > WIDEST_GAP * max(before.size, after.size)


def _share(value: float, whole: float) -> float:
    return min(max(value / whole, 0.0), 1.0)

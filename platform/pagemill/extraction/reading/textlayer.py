"""Words from the characters of a PDF's text layer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pagemill.extraction.bidirectional import RIGHT_TO_LEFT
from pagemill.extraction.reading.characters import Character
from pagemill.extraction.reading.right_to_left import LogicalOrder, balanced
from pagemill.extraction.reading.word_geometry import plain
from pagemill.extraction.types import Word
from pagemill.extraction.vertical import WIDE

__all__ = ["Character", "PrintedWord", "group_words", "is_usable"]

FEWEST_CHARACTERS = 8
MOST_GARBAGE = 0.3
# Fonts print words tighter than this share of a character's size; pdfium marks most spaces itself.
WIDEST_GAP = 0.6
WIDEST_STACKED_GAP = 0.3
SAME_EDGE = 0.1
LYING = 1.2
"""Width of a letter that lies on its side as a multiple of its height, at least."""
GARBAGE_CATEGORIES = ("Cc", "Co", "Cn", "Cs")

INVISIBLE = frozenset(
    [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u061c", "\u200e", "\u200f", "\ufeff"]
    + [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
)
"""Control characters, and marks that tell programs the direction of text."""
_STRETCHED = re.compile("(?<=[\u0620-\u064a\u064b-\u065f])\u0640+(?=[\u0620-\u063f\u0641-\u064a])")
"""Tatweel between letters: it only makes a word wider."""


class PrintedWord(msgspec.Struct, frozen=True):
    """Characters of one word, in logical order."""

    characters: list[Character]

    def word(self, width: float, height: float) -> Word:
        """Return the word with its box in 0..1, cut at the page's edges."""
        characters = self.characters
        text = "".join([one.text for one in characters])
        if not text.isascii():
            text = plain(text)
        if not text.isascii() and RIGHT_TO_LEFT.search(text):
            text = balanced(unicodedata.normalize("NFC", _STRETCHED.sub("", text)))
        return Word(
            text,
            _share(min([one.x0 for one in characters]), width),
            _share(min([one.y0 for one in characters]), height),
            _share(max([one.x1 for one in characters]), width),
            _share(max([one.y1 for one in characters]), height),
        )

    def direction(self) -> tuple[float, float] | None:
        """Return the direction in which Latin text would run; None for words too short to tell."""
        if len(self.characters) < 3:
            return None
        first, last = self.characters[0], self.characters[-1]
        if any(RIGHT_TO_LEFT.match(one.text) for one in self.characters):
            first, last = last, first
        (xa, ya), (xb, yb) = first.centre, last.centre
        return xb - xa, yb - ya


def is_usable(characters: Sequence[Character]) -> bool:
    """Return whether a text layer is better than recognition: enough characters, few of them garbage."""
    printed = [one.text for one in characters if not one.text.isspace()]
    garbage = sum(text == "\ufffd" or unicodedata.category(text) in GARBAGE_CATEGORIES for text in printed)
    return len(printed) - garbage >= FEWEST_CHARACTERS and garbage <= MOST_GARBAGE * len(printed)


def group_words(characters: Sequence[Character]) -> list[PrintedWord]:
    """Return the words: they end at white space, and where the next character stands apart."""
    if not RIGHT_TO_LEFT.search("".join([one.text for one in characters])):
        return [PrintedWord(run) for run in _joined(_runs(characters))]
    order = LogicalOrder(WIDEST_GAP)
    # What pdfium turns round may jump within a word; its parts are told apart when they are in order.
    return [
        PrintedWord(part) for run in _joined(_runs(characters, beside=False)) for part in order.words(run)
    ]


def _runs(characters: Sequence[Character], *, beside: bool = True) -> Iterator[list[Character]]:
    run: list[Character] = []
    x0 = y0 = x1 = y1 = 0.0
    for character in characters:
        text = character.text
        if text.isspace():
            if run:
                yield run
                run = []
            continue
        if text in INVISIBLE:
            continue
        left, top, right, bottom = character.x0, character.y0, character.x1, character.y1
        if run:
            gap = max(top - y1, y0 - bottom, left - x1, x0 - right) if beside else max(top - y1, y0 - bottom)
            if gap > 0 and gap > WIDEST_GAP * max(run[-1].size, character.size):
                yield run
                run = []
        run.append(character)
        x0, y0, x1, y1 = left, top, right, bottom
    if run:
        yield run


def _joined(runs: Iterable[list[Character]]) -> Iterator[list[Character]]:
    """Join letters that were drawn one by one along a vertical line, which pdfium takes for lines each."""
    word: list[Character] = []
    single = False
    for run in runs:
        if single and len(run) == 1 and _stacked(word[-1], run[0]):
            word = [*word, *run]
            continue
        if word:
            yield word
        word, single = run, len(run) == 1
    if word:
        yield word


def _stacked(last: Character, character: Character) -> bool:
    width = last.x1 - last.x0
    if max(abs(last.x0 - character.x0), abs(last.x1 - character.x1)) > SAME_EDGE * width:
        return False
    down, up = character.y0 - last.y1, last.y0 - character.y1
    if WIDE.match(last.text) and WIDE.match(character.text):
        return up < down <= WIDEST_STACKED_GAP * last.size
    lying = min(width / (last.y1 - last.y0 or 1), width / (character.y1 - character.y0 or 1)) >= LYING
    return lying and max(down, up) <= WIDEST_GAP * last.size


def _share(value: float, whole: float) -> float:
    return min(max(value / whole, 0.0), 1.0)

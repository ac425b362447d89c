"""Words from the characters of a PDF's text layer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.bidirectional import RIGHT_TO_LEFT
from pagemill.extraction.reading.characters import Character
from pagemill.extraction.reading.right_to_left import LogicalOrder, balanced
from pagemill.extraction.reading.word_geometry import plain
from pagemill.extraction.types import Word
from pagemill.extraction.vertical import WIDE

__all__ = ["Boxes", "Character", "PrintedWords", "group_words", "is_garbage", "is_space", "is_usable"]

Boxes = NDArray[np.float64]
"""Left, top, right and bottom of each of some things, in rows: points of the page as shown."""

FEWEST_CHARACTERS = 8
FEWEST_TO_TELL = 3
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
_PRINTED, _SPACE, _UNSEEN = range(3)
_KINDS = np.array(
    [
        _SPACE if chr(code).isspace() else _UNSEEN if chr(code) in INVISIBLE else _PRINTED
        for code in range(0x10000)
    ],
    np.uint8,
)
_LAST_KIND = len(_KINDS) - 1
_STRETCHED = re.compile("(?<=[\u0620-\u064a\u064b-\u065f])\u0640+(?=[\u0620-\u063f\u0641-\u064a])")
"""Tatweel between letters: it only makes a word wider."""


class PrintedWords(NamedTuple):
    """The words of a page: their characters in logical order, and their boxes.

    ``first`` and ``last`` are boxes of characters, of the logical order as well.
    """

    texts: list[str]
    boxes: Boxes
    first: Boxes
    last: Boxes

    def up_to(self, most: int) -> PrintedWords:
        """Return no more words than that."""
        return PrintedWords(self.texts[:most], self.boxes[:most], self.first[:most], self.last[:most])

    def words(self, width: float, height: float) -> list[Word]:
        """Return the words with their boxes in 0..1, cut at the page's edges."""
        shares = np.clip(self.boxes / (width, height, width, height), 0.0, 1.0).tolist()
        texts = self.texts if "".join(self.texts).isascii() else map(_written, self.texts)
        return [Word(text, *share) for text, share in zip(texts, shares, strict=True)]

    def directions(self) -> list[tuple[float, float]]:
        """Return the directions in which Latin text would run, of words that are long enough to tell."""
        ways = (
            (self.last[:, :2] + self.last[:, 2:]) / 2 - (self.first[:, :2] + self.first[:, 2:]) / 2
        ).tolist()
        return [
            (-right, -down) if not text.isascii() and RIGHT_TO_LEFT.search(text) else (right, down)
            for text, (right, down) in zip(self.texts, ways, strict=True)
            if len(text) >= FEWEST_TO_TELL
        ]


def is_usable(text: str) -> bool:
    """Return whether a text layer is better than recognition: enough characters, few of them garbage."""
    printed = "".join(text.split())
    kinds = {one for one in set(printed) if is_garbage(one)}
    garbage = sum(one in kinds for one in printed) if kinds else 0
    return len(printed) - garbage >= FEWEST_CHARACTERS and garbage <= MOST_GARBAGE * len(printed)


def is_garbage(character: str) -> bool:
    """Return whether a character is none that a person can see."""
    return character == "\ufffd" or unicodedata.category(character) in GARBAGE_CATEGORIES


def is_space(text: str) -> NDArray[np.bool_]:
    """Return of each character whether it is white space, at which runs and words end."""
    white: NDArray[np.bool_] = _kinds(_codes(text)) == _SPACE
    return white


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _kinds(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return _KINDS[np.minimum(codes, _LAST_KIND)]


def group_words(text: str, boxes: Boxes) -> PrintedWords:
    """Return the words: they end at white space, and where the next character stands apart."""
    codes = _codes(text)
    kinds = _kinds(codes)
    printed = np.flatnonzero(kinds == _PRINTED)
    if not len(printed):
        return _words_of([])
    right_to_left = not text.isascii() and RIGHT_TO_LEFT.search(text) is not None
    places = boxes[printed]
    # What pdfium turns round may jump within a word; its parts are told apart when they are in order.
    apart = _stand_apart(places, beside=not right_to_left)
    apart |= np.diff(np.cumsum(kinds == _SPACE)[printed]) > 0
    letters = codes[printed].tobytes().decode("utf-32-le", "surrogatepass")
    starts = _joined(np.append(0, np.flatnonzero(apart) + 1), letters, places)
    ends = np.append(starts[1:], len(letters))
    if right_to_left:
        characters = [Character(one, *place) for one, place in zip(letters, places.tolist(), strict=True)]
        runs = [characters[start:end] for start, end in zip(starts, ends, strict=True)]
        order = LogicalOrder(WIDEST_GAP)
        return _words_of([part for run in runs for part in order.words(run)])
    around = np.minimum.reduceat(places[:, :2], starts), np.maximum.reduceat(places[:, 2:], starts)
    texts = [letters[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    return PrintedWords(texts, np.hstack(around), places[starts], places[ends - 1])


def _words_of(words: Sequence[Sequence[Character]]) -> PrintedWords:
    boxes = [
        (
            min([one.x0 for one in word]),
            min([one.y0 for one in word]),
            max([one.x1 for one in word]),
            max([one.y1 for one in word]),
        )
        for word in words
    ]
    ends = [[(word[at].x0, word[at].y0, word[at].x1, word[at].y1) for word in words] for at in (0, -1)]
    around, first, last = (np.array(rows, np.float64).reshape(-1, 4) for rows in (boxes, *ends))
    return PrintedWords(["".join([one.text for one in word]) for word in words], around, first, last)


def _stand_apart(boxes: Boxes, *, beside: bool) -> NDArray[np.bool_]:
    """Return of each character but the first whether it is too far from the one before for one word."""
    before, after = boxes[:-1].T, boxes[1:].T
    sizes = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    gaps = np.maximum(after[1] - before[3], before[1] - after[3])
    if beside:
        gaps = np.maximum(gaps, np.maximum(after[0] - before[2], before[0] - after[2]))
    apart: NDArray[np.bool_] = (gaps > 0) & (gaps > WIDEST_GAP * np.maximum(sizes[:-1], sizes[1:]))
    return apart


def _joined(starts: NDArray[np.intp], letters: str, boxes: Boxes) -> NDArray[np.intp]:
    """Join letters that were drawn one by one along a vertical line, which pdfium takes for lines each."""
    single = np.diff(starts, append=len(letters)) == 1
    pairs = np.flatnonzero(single[1:] & single[:-1]) + 1
    joined = [
        pair
        for pair, at in zip(pairs.tolist(), starts[pairs].tolist(), strict=True)
        if _stacked(
            Character(letters[at - 1], *boxes[at - 1].tolist()), Character(letters[at], *boxes[at].tolist())
        )
    ]
    return np.delete(starts, joined) if joined else starts


def _stacked(last: Character, character: Character) -> bool:
    width = last.x1 - last.x0
    if max(abs(last.x0 - character.x0), abs(last.x1 - character.x1)) > SAME_EDGE * width:
        return False
    down, up = character.y0 - last.y1, last.y0 - character.y1
    if WIDE.match(last.text) and WIDE.match(character.text):
        return up < down <= WIDEST_STACKED_GAP * last.size
    lying = min(width / (last.y1 - last.y0 or 1), width / (character.y1 - character.y0 or 1)) >= LYING
    return lying and max(down, up) <= WIDEST_GAP * last.size


def _written(text: str) -> str:
    """Return the characters of a word in logical order as a person would type them."""
    if text.isascii():
        return text
    text = plain(text)
    if not text.isascii() and RIGHT_TO_LEFT.search(text):
        text = balanced(unicodedata.normalize("NFC", _STRETCHED.sub("", text)))
    return text

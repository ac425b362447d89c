"""Fonts of a PDF whose text layer may say something else than what they draw. Child's side."""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from pagemill.extraction.reading.glyph_shapes import (
    DIGITS,
    LETTERS,
    Outline,
    nearest,
    outline_of,
    references,
    same_shape,
    shape_of,
)
from pagemill.extraction.reading.pdf_paint import address
from pagemill.extraction.reading.pdf_text import TextLayer
from pagemill.extraction.reading.textlayer import GARBAGE_CATEGORIES

NOT_SPACE = re.compile(r"\S+")
MOST_LETTERS = 24
MOST_WRONG_LETTERS = 0.1
FEWEST_GARBAGE = 2
# Boxes of one glyph are equal but for rounding; those of two digits differ by more than this share.
SAME_BOX = 0.012
MOST_BOXES = 40


class Run(NamedTuple):
    """Characters without white space between them: positions in the text layer, and their text."""

    start: int
    end: int
    text: str


class Doubt(NamedTuple):
    """A font whose text is in doubt: its number in the document, and the characters that look wrong."""

    key: int
    wrong: frozenset[str]


class FontOnPage(NamedTuple):
    """A font whose text is in doubt, and what it prints on the page."""

    doubt: Doubt
    runs: list[Run]


class FontChecks:
    """What is known of the fonts of one document.

    A font is told by where pdfium has it, so the pages on which fonts were met first have to stay open.
    """

    def __init__(self) -> None:
        self._doubts: dict[int, Doubt | None] = {}
        self._glyphs: dict[tuple[str, Outline], bool] = {}

    def doubtful_fonts(self, layer: TextLayer) -> tuple[list[FontOnPage], bool]:
        """Return the fonts of a page that are in doubt, and whether any font was met for the first time."""
        by_font: dict[int, list[Run]] = defaultdict(list)
        handles: dict[int, Any] = {}
        for run in runs_of(layer.text):
            item = pdfium.FPDFText_GetTextObject(layer.text_page, run.start)
            font = pdfium.FPDFTextObj_GetFont(item) if item else None
            if font:
                handles[address(font)] = font
                by_font[address(font)].append(run)
        new = [font for font in by_font if font not in self._doubts]
        for font in new:
            wrong = self._wrong_characters(layer.text_page, handles[font], by_font[font])
            self._doubts[font] = Doubt(len(self._doubts), wrong) if wrong else None
        doubtful = [FontOnPage(doubt, by_font[font]) for font in by_font if (doubt := self._doubts[font])]
        return doubtful, bool(new)

    def _wrong_characters(self, text_page: Any, font: Any, runs: Sequence[Run]) -> frozenset[str]:
        """Return the characters that the font does not draw as claimed; none if these are few letters."""
        used = set("".join(run.text for run in runs))
        garbage = {one for one in used if is_garbage(one)}
        if sum(run.text.count(one) for run in runs for one in garbage) >= FEWEST_GARBAGE:
            return frozenset(garbage)
        digits = [one for one in DIGITS if one in used]
        letters = [one for one in LETTERS if one in used]
        letters = letters[:: 1 + len(letters) // MOST_LETTERS]
        drawn = self._drawn_as_claimed(font, [*digits, *letters])
        wrong = {one for one in digits if not drawn[one]} | _unsteady_digits(text_page, runs)
        wrong_letters = {one for one in letters if not drawn[one]}
        if len(wrong_letters) > max(1, MOST_WRONG_LETTERS * len(letters)):
            wrong |= wrong_letters
        return frozenset(wrong)

    def _drawn_as_claimed(self, font: Any, characters: Sequence[str]) -> Mapping[str, bool]:
        """Return of each character whether the font draws its shape."""
        drawn: dict[str, bool] = {}
        unknown = {}
        for character in characters:
            outline = outline_of(font, character)
            known = outline and self._glyphs.get((character, outline))
            face = references().outlines.get(outline) if outline else None
            if known is not None:
                drawn[character] = bool(known)
            elif face is not None:
                drawn[character] = same_shape(character, face)
            elif outline and (shape := shape_of(font, character)) is not None:
                unknown[character, outline] = shape
            else:
                drawn[character] = False
        if unknown:
            for (character, outline), seen in zip(unknown, nearest(list(unknown.values())), strict=True):
                drawn[character] = self._glyphs[character, outline] = same_shape(character, seen)
        return drawn


def runs_of(text: str) -> list[Run]:
    """Return the stretches of a text layer between white space."""
    return [Run(found.start(), found.end(), found.group()) for found in NOT_SPACE.finditer(text)]


def is_garbage(character: str) -> bool:
    """Return whether a character is none that a person can see."""
    return character == "\ufffd" or unicodedata.category(character) in GARBAGE_CATEGORIES


def _unsteady_digits(text_page: Any, runs: Sequence[Run]) -> set[str]:
    """Return the digits that are drawn by more than one glyph: a font may claim one digit for two."""
    sizes: dict[str, tuple[float, float]] = {}
    unsteady = set()
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    positions = [
        (digit, run.start + at) for run in runs for at, digit in enumerate(run.text) if digit in DIGITS
    ]
    for digit, position in positions[:MOST_BOXES]:
        if not pdfium.FPDFText_GetCharBox(text_page, position, left, right, bottom, top):
            continue
        width, height = right.value - left.value, top.value - bottom.value
        known = sizes.setdefault(digit, (width, height))
        # The size of the text may differ; the proportions of the glyph stay.
        if abs(width * known[1] - height * known[0]) > SAME_BOX * max(height * known[1], 1e-6):
            unsteady.add(digit)
    return unsteady

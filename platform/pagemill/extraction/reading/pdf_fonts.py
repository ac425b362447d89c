"""Fonts of a PDF whose text layer may say something else than what they draw. Child's side."""

from __future__ import annotations

import ctypes
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, repeat
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
from pagemill.extraction.reading.pdf_objects import address, numbered
from pagemill.extraction.reading.pdf_text import TextLayer
from pagemill.extraction.reading.textlayer import is_garbage

NOT_SPACE = re.compile(r"\S+")
MOST_LETTERS = 16
MOST_WRONG_LETTERS = 0.1
FEWEST_GARBAGE = 2
# These return numbers instead of pointer objects, which are slow to make and cannot be compared.
_text_object = numbered(pdfium.FPDFText_GetTextObject, ctypes.c_int)
_font_of = numbered(pdfium.FPDFTextObj_GetFont)
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


class _Font:
    """Knowledge of a font: the characters that have been compared, and those that it draws otherwise."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.compared: set[str] = set()
        self.letters = 0
        self.wrong: set[str] = set()
        self.wrong_letters: set[str] = set()

    def doubt(self) -> Doubt | None:
        """Return the doubt about the font; a few letters of an unusual shape make none."""
        many = len(self.wrong_letters) > max(1, MOST_WRONG_LETTERS * self.letters)
        wrong = self.wrong | self.wrong_letters if many else self.wrong
        return Doubt(self.number, frozenset(wrong)) if wrong else None


class FontChecks:
    """Knowledge of the fonts of one document.

    A font is told by where pdfium has it, so either the page on which it was met first stays open, or it has
    to be forgotten.
    """

    def __init__(self) -> None:
        self._fonts: dict[int, _Font] = {}
        self._numbers = itertools.count()
        self._glyphs: dict[tuple[str, Outline], bool] = {}

    def forget(self, handles: Iterable[int]) -> None:
        """Forget fonts whose page is closed."""
        for handle in handles:
            self._fonts.pop(handle, None)

    def doubtful_fonts(self, layer: TextLayer) -> tuple[list[FontOnPage], list[int]]:
        """Return the fonts of a page that are in doubt, and the handles of those that were met here first."""
        by_font: dict[int, list[Run]] = defaultdict(list)
        runs = runs_of(layer.text)
        items = list(map(_text_object, repeat(address(layer.text_page.raw)), [run.start for run in runs]))
        fonts = {item: _font_of(item) for item in set(items) if item}
        for run, item in zip(runs, items, strict=True):
            if handle := fonts.get(item):
                by_font[handle].append(run)
        doubtful, new = [], []
        for handle, runs in by_font.items():
            if handle not in self._fonts:
                self._fonts[handle] = _Font(next(self._numbers))
                new.append(handle)
            font = self._fonts[handle]
            self._compare(font, ctypes.cast(handle, pdfium.FPDF_FONT), layer.text_page, runs)
            if doubt := font.doubt():
                doubtful.append(FontOnPage(doubt, runs))
        return doubtful, new

    def _compare(self, font: _Font, handle: Any, text_page: Any, runs: Sequence[Run]) -> None:
        """Compare the characters that the font prints here for the first time."""
        used = set("".join([run.text for run in runs])) - font.compared
        if not used:
            return
        garbage = {one for one in used if is_garbage(one)}
        if sum(run.text.count(one) for run in runs for one in garbage) >= FEWEST_GARBAGE:
            font.wrong |= garbage
        digits = [one for one in DIGITS if one in used]
        letters = [one for one in LETTERS if one in used]
        drawn = self._drawn_as_claimed(handle, [*digits, *letters])
        font.wrong |= {one for one in digits if not drawn[one]}
        if digits:
            font.wrong |= _unsteady_digits(text_page, runs)
        compared = [one for one in letters if one in drawn]
        font.letters += len(compared)
        font.wrong_letters |= {one for one in compared if not drawn[one]}
        font.compared |= used

    def _drawn_as_claimed(self, font: Any, characters: Sequence[str]) -> Mapping[str, bool]:
        """Return of each character whether the font draws its shape: of all digits, and of most letters."""
        drawn: dict[str, bool] = {}
        unknown: list[tuple[str, Outline]] = []
        for character in characters:
            outline = outline_of(font, character)
            known = outline and self._glyphs.get((character, outline))
            face = references().outlines.get(outline) if outline else None
            if known is not None:
                drawn[character] = bool(known)
            elif face is not None:
                drawn[character] = same_shape(character, face)
            elif outline:
                unknown.append((character, outline))
            else:
                drawn[character] = False
        return drawn | self._shaped_as_claimed(font, unknown)

    def _shaped_as_claimed(self, font: Any, glyphs: Sequence[tuple[str, Outline]]) -> dict[str, bool]:
        letters = [glyph for glyph in glyphs if glyph[0] not in DIGITS]
        # Shapes take a tenth of a millisecond each.
        letters = letters[:: 1 + len(letters) // MOST_LETTERS]
        chosen = [glyph for glyph in glyphs if glyph[0] in DIGITS] + letters
        shapes = {glyph: shape for glyph in chosen if (shape := shape_of(font, glyph[0])) is not None}
        drawn = {character: False for character, _ in chosen}
        if shapes:
            for glyph, seen in zip(shapes, nearest(list(shapes.values())), strict=True):
                drawn[glyph[0]] = self._glyphs[glyph] = same_shape(glyph[0], seen)
        return drawn


def runs_of(text: str) -> list[Run]:
    """Return the stretches of a text layer between white space."""
    return [Run(*found.span(), found.group()) for found in NOT_SPACE.finditer(text)]


def _unsteady_digits(text_page: Any, runs: Sequence[Run]) -> set[str]:
    """Return the digits that are drawn by more than one glyph: a font may claim one digit for two."""
    sizes: dict[str, tuple[float, float]] = {}
    unsteady = set()
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    positions = (
        (digit, run.start + at) for run in runs for at, digit in enumerate(run.text) if digit in DIGITS
    )
    for digit, position in islice(positions, MOST_BOXES):
        if not pdfium.FPDFText_GetCharBox(text_page, position, left, right, bottom, top):
            continue
        width, height = right.value - left.value, top.value - bottom.value
        known = sizes.setdefault(digit, (width, height))
        # The size of the text may differ; the proportions of the glyph stay.
        if abs(width * known[1] - height * known[0]) > SAME_BOX * max(height * known[1], 1e-6):
            unsteady.add(digit)
    return unsteady

"""Fonts of a PDF whose text layer may say something else than what they draw. Child's side."""

from __future__ import annotations

import ctypes
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.glyph_outlines import Outline, OutlineKey, outline_of
from pagemill.extraction.reading.glyph_shapes import (
    CHARACTERS,
    DIGITS,
    LETTERS,
    nearest,
    references,
    same_shape,
    shapes_of,
)
from pagemill.extraction.reading.pdf_objects import address, numbered
from pagemill.extraction.reading.pdf_substitutes import SubstituteFaces
from pagemill.extraction.reading.pdf_text import TextLayer
from pagemill.extraction.reading.textlayer import is_garbage, is_space

NOT_SPACE = re.compile(r"\S+")
MOST_LETTERS = 16
MOST_WRONG_LETTERS = 0.1
FEWEST_GARBAGE = 2
# These return numbers instead of pointer objects, which are slow to make and cannot be compared.
_text_object = numbered(pdfium.FPDFText_GetTextObject, ctypes.c_int)
_font_of = numbered(pdfium.FPDFTextObj_GetFont)
_is_embedded = numbered(pdfium.FPDFFont_GetIsEmbedded, result=ctypes.c_int)
_tight_box = numbered(pdfium.FPDFText_GetCharBox, ctypes.c_int, *[ctypes.c_void_p] * 4, result=ctypes.c_int)
# Boxes of one glyph are equal but for rounding; those of two digits differ by more than this share.
SAME_BOX = 0.012
MOST_BOXES = 40


Glyph = tuple[str, OutlineKey]
"""A character, and the outline that a font draws for it."""


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

    def compare(
        self, used: set[str], drawn: Mapping[str, bool], text_page: Any, runs: Sequence[tuple[int, str]]
    ) -> None:
        """Learn about characters that are printed for the first time; ``drawn`` has those that are known."""
        garbage = {one for one in used if is_garbage(one)}
        if garbage and sum(text.count(one) for _, text in runs for one in garbage) >= FEWEST_GARBAGE:
            self.wrong |= garbage
        if not used.isdisjoint(DIGITS):
            self.wrong |= {one for one in DIGITS if not drawn.get(one, True)}
            self.wrong |= _unsteady_digits(text_page, runs)
        letters = [one for one in LETTERS if one in drawn]
        self.letters += len(letters)
        self.wrong_letters |= {one for one in letters if not drawn[one]}
        self.compared |= used

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

    def __init__(self, faces: SubstituteFaces) -> None:
        self._fonts: dict[int, _Font] = {}
        self._numbers = itertools.count()
        self._glyphs: dict[Glyph, bool] = {}
        self._faces = faces

    def forget(self, handles: Iterable[int]) -> None:
        """Forget fonts whose page is closed."""
        for handle in handles:
            self._fonts.pop(handle, None)

    def doubtful_fonts(self, layer: TextLayer) -> tuple[list[FontOnPage], list[int]]:
        """Return the fonts of a page that are in doubt, and the handles of those that were met here first."""
        by_font = _runs_by_font(layer)
        new = [handle for handle in by_font if handle not in self._fonts]
        self._fonts |= {handle: _Font(next(self._numbers)) for handle in new}
        used = {
            handle: characters
            for handle, runs in by_font.items()
            if (characters := set("".join([text for _, text in runs])) - self._fonts[handle].compared)
        }
        drawn = self._drawn_as_claimed(
            {handle: [one for one in CHARACTERS if one in characters] for handle, characters in used.items()}
        )
        for handle, characters in used.items():
            self._fonts[handle].compare(characters, drawn[handle], layer.text_page, by_font[handle])
        doubtful = [
            FontOnPage(doubt, [Run(start, start + len(text), text) for start, text in runs])
            for handle, runs in by_font.items()
            if (doubt := self._fonts[handle].doubt())
        ]
        return doubtful, new

    def _drawn_as_claimed(self, asked: Mapping[int, Sequence[str]]) -> dict[int, dict[str, bool]]:
        """Return of the characters of each font whether it draws their shapes: all digits, most letters."""
        drawn: dict[int, dict[str, bool]] = {font: {} for font in asked}
        unknown: dict[tuple[int, str], Outline] = {}
        faces = references().outlines
        for font, characters in asked.items():
            own: dict[str, Outline] = {}
            is_known_face = True
            for character in characters:
                outline = outline_of(font, character)
                key = outline.key() if outline else ()
                if outline is None:
                    drawn[font][character] = False
                elif key in faces:
                    drawn[font][character] = same_shape(character, faces[key])
                else:
                    is_known_face = False
                    if (known := self._glyphs.get((character, key))) is not None:
                        drawn[font][character] = known
                    else:
                        own[character] = outline
            # A font that the document does not bring along is a known face, or one that is stretched.
            self._faces.stretched |= not (is_known_face or _is_embedded(font))
            unknown |= {(font, character): own[character] for character in _telling(list(own))}
        # All fonts at once: most of the time goes into the calls.
        shapes = shapes_of(unknown)
        seen = dict(zip(shapes, nearest(list(shapes.values())), strict=True)) if shapes else {}
        for (font, character), outline in unknown.items():
            is_drawn = (font, character) in seen and same_shape(character, seen[font, character])
            drawn[font][character] = self._glyphs[character, outline.key()] = is_drawn
        return drawn


def _telling(characters: Sequence[str]) -> list[str]:
    """Return all digits, and so many of the letters that they tell as much as all of them."""
    letters = [one for one in characters if one not in DIGITS]
    return [one for one in characters if one in DIGITS] + letters[:: 1 + len(letters) // MOST_LETTERS]


def _runs_by_font(layer: TextLayer) -> dict[int, list[tuple[int, str]]]:
    """Return the runs of each font: where they start, and their texts."""
    texts = layer.text.split()
    starts: list[int] = np.flatnonzero(np.diff(~is_space(layer.text), prepend=False))[::2].tolist()
    items = list(map(_text_object, repeat(address(layer.text_page.raw)), starts))
    fonts = {item: _font_of(item) for item in set(items) if item}
    by_font: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for start, text, item in zip(starts, texts, items, strict=True):
        if handle := fonts.get(item):
            by_font[handle].append((start, text))
    return by_font


def runs_of(text: str) -> list[Run]:
    """Return the stretches of a text layer between white space."""
    return [Run(*found.span(), found.group()) for found in NOT_SPACE.finditer(text)]


def _unsteady_digits(text_page: Any, runs: Sequence[tuple[int, str]]) -> set[str]:
    """Return the digits that are drawn by more than one glyph: a font may claim one digit for two."""
    sizes: dict[str, tuple[float, float]] = {}
    unsteady = set()
    handle = address(text_page.raw)
    box = (ctypes.c_double * 4)()
    sides = range(ctypes.addressof(box), ctypes.addressof(box) + ctypes.sizeof(box), ctypes.sizeof(box) // 4)
    positions = (
        (digit, start + at) for start, text in runs for at, digit in enumerate(text) if digit in DIGITS
    )
    for digit, position in islice(positions, MOST_BOXES):
        if not _tight_box(handle, position, *sides):
            continue
        left, right, bottom, top = box
        width, height = right - left, top - bottom
        known = sizes.setdefault(digit, (width, height))
        # The size of the text may differ; the proportions of the glyph stay.
        if abs(width * known[1] - height * known[0]) > SAME_BOX * max(height * known[1], 1e-6):
            unsteady.add(digit)
    return unsteady

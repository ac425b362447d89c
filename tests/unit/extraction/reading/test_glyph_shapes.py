"""Glyphs are compared with the characters that fonts claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from pagemill.extraction.reading.glyph_shapes import (
    CHARACTERS,
    FACES,
    nearest,
    outline_of,
    references,
    same_shape,
    shape_of,
)


@pytest.fixture(scope="module")
def faces() -> Iterator[dict[str, Any]]:
    document = pypdfium2.PdfDocument.new()
    fonts = {face: pdfium.FPDFText_LoadStandardFont(document, face.encode()) for face in FACES}
    yield fonts
    for font in fonts.values():
        pdfium.FPDFFont_Close(font)
    document.close()


def test_outlines_of_known_faces_tell_their_characters(faces: dict[str, Any]) -> None:
    known = references().outlines
    for font in faces.values():
        for character in CHARACTERS:
            outline = outline_of(font, character)
            assert outline is not None
            assert known[outline] == character


def test_an_outline_does_not_depend_on_the_font_it_is_asked_from_twice(faces: dict[str, Any]) -> None:
    helvetica, times = faces["Helvetica"], faces["Times-Roman"]
    assert outline_of(helvetica, "8") == outline_of(helvetica, "8")
    assert outline_of(helvetica, "8") != outline_of(times, "8")
    assert outline_of(helvetica, "8") != outline_of(helvetica, "3")


def test_a_shape_is_nearest_to_its_own_character(faces: dict[str, Any]) -> None:
    for face in ("Helvetica", "Times-BoldItalic", "Courier"):
        shapes = [shape for one in CHARACTERS if (shape := shape_of(faces[face], one)) is not None]
        assert len(shapes) == len(CHARACTERS)
        assert all(same_shape(one, seen) for one, seen in zip(CHARACTERS, nearest(shapes), strict=True))


def test_what_is_not_drawn_has_no_shape(faces: dict[str, Any]) -> None:
    assert shape_of(faces["Helvetica"], " ") is None


@pytest.mark.parametrize(
    ("claimed", "seen", "same"),
    [
        ("8", "8", True),
        ("8", "3", False),
        ("c", "C", True),
        ("0", "O", True),
        ("l", "1", True),
        ("I", "l", True),
        ("a", "b", False),
        ("6", "9", False),
        ("5", "S", False),
    ],
)
def test_characters_of_one_shape(claimed: str, seen: str, same: bool) -> None:
    assert same_shape(claimed, seen) is same

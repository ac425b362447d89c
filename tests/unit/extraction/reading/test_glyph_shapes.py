"""Glyphs are compared with the characters that fonts claim."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from pagemill.extraction.reading import glyph_outlines, glyph_shapes
from pagemill.extraction.reading.glyph_outlines import Outline, contours_of, outline_of
from pagemill.extraction.reading.glyph_shapes import (
    CHARACTERS,
    FACES,
    MOST_CONTOURS,
    nearest,
    references,
    same_shape,
    shapes_of,
)
from pagemill.extraction.reading.pdf_objects import address


@pytest.fixture(scope="module")
def faces() -> Iterator[dict[str, int]]:
    document = pypdfium2.PdfDocument.new()
    fonts = {face: pdfium.FPDFText_LoadStandardFont(document, face.encode()) for face in FACES}
    yield {face: address(font) for face, font in fonts.items()}
    for font in fonts.values():
        pdfium.FPDFFont_Close(font)
    document.close()


def outlines(font: int, characters: str = CHARACTERS) -> dict[str, Outline]:
    return {one: outline for one in characters if (outline := outline_of(font, one)) is not None}


def test_outlines_of_known_faces_tell_their_characters(faces: dict[str, int]) -> None:
    known = references().outlines
    for font in faces.values():
        told = {one: known[outline.key()] for one, outline in outlines(font).items()}
        assert told == {one: one for one in CHARACTERS}


def test_an_outline_does_not_depend_on_the_font_it_is_asked_from_twice(faces: dict[str, int]) -> None:
    helvetica, times = outlines(faces["Helvetica"]), outlines(faces["Times-Roman"])
    assert helvetica["8"].key() == outlines(faces["Helvetica"])["8"].key()
    assert helvetica["8"].key() != times["8"].key()
    assert helvetica["8"].key() != helvetica["3"].key()


def test_points_that_lie_elsewhere_are_asked_for_one_by_one(
    faces: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [outlines(font, one)[one] for font in faces.values() for one in "Aag08&"]
    in_one_piece = contours_of(some)
    monkeypatch.setattr(glyph_outlines, "POINT_BYTES", 0)
    for given, asked in zip(in_one_piece, contours_of(some), strict=True):
        assert given.tolist() == asked.tolist()


def test_a_curve_is_bent_in_its_middle_and_contours_stay_apart(faces: dict[str, int]) -> None:
    bar, ring = outlines(faces["Helvetica"], "l")["l"], outlines(faces["Helvetica"], "o")["o"]
    contours = contours_of([bar, ring])
    assert contours.outlines.tolist() == [0, 1]
    assert len(contours.starts) == 3
    own = contours.corners[contours.starts[1] :]
    # The three points of a curve become two.
    assert bar.points == contours.starts[1]
    assert ring.points / 2 < len(own) < ring.points


def test_a_shape_is_nearest_to_its_own_character(faces: dict[str, int]) -> None:
    for face in ("Helvetica", "Times-BoldItalic", "Courier"):
        shapes = shapes_of(outlines(faces[face]))
        assert list(shapes) == list(CHARACTERS)
        seen = nearest(list(shapes.values()))
        assert all(same_shape(one, other) for one, other in zip(CHARACTERS, seen, strict=True))


def test_shapes_do_not_depend_on_what_else_is_asked_for(faces: dict[str, int]) -> None:
    all_at_once = shapes_of(outlines(faces["Times-Italic"]))
    for one in "A0ijg":
        assert shapes_of(outlines(faces["Times-Italic"], one))[one].tolist() == all_at_once[one].tolist()


def test_the_hole_of_a_ring_has_no_ink(faces: dict[str, int]) -> None:
    shape = shapes_of(outlines(faces["Helvetica"], "O"))["O"][:-1].reshape(12, 12)
    assert shape[5:7, 5:7].max() < 0 < shape[0, 5:7].min()


def test_what_is_not_drawn_has_no_shape(faces: dict[str, int]) -> None:
    assert shapes_of(outlines(faces["Helvetica"], " ")) == {}
    assert shapes_of({}) == {}


def test_an_outline_of_too_many_contours_has_no_shape(
    faces: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glyph_shapes, "MOST_CONTOURS", 1)
    assert MOST_CONTOURS > 1
    assert list(shapes_of(outlines(faces["Helvetica"], "Llio"))) == ["L", "l"]


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

"""A page has the words of its text layer and those of its pictures, in their places on the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pagemill.extraction.reading.read_messages import ParsedPage, Picture
from pagemill.extraction.reading.recognised_page import recognised_page
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.recognition.upright import UprightPage, quarter_turned
from pagemill.extraction.types import ImageQuality, Page, ReadOptions, Word
from pagemill.rotation import Rotation

TEXT = Word("text", 0.1, 0.1, 0.2, 0.15)


class PretendRecognizer:
    """Finds one word in every picture: its size, in the lower right quarter."""

    def __init__(self) -> None:
        self.seen: list[Pixels] = []

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        self.seen.append(pixels)
        height, width = pixels.shape[:2]
        return [Word(f"{width}x{height}-{quality}", 0.5, 0.5, 1.0, 1.0, 0.8)]

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        return []


def pixels_of(picture: Picture) -> Pixels:
    return np.arange(picture.size, dtype=np.uint8).reshape(picture.height, picture.width, 3)


def recognise(
    parsed: ParsedPage, options: ReadOptions | None = None, rotation: Rotation = 0, most: int = 100
) -> tuple[Page, PretendRecognizer]:
    recognizer = PretendRecognizer()

    def upright(pixels: Pixels) -> UprightPage:
        turned = quarter_turned(pixels, rotation)
        return UprightPage(turned, rotation, 0.0, turned.shape[1], turned.shape[0])

    page = recognised_page(parsed, pixels_of, options or ReadOptions(), recognizer, upright, most)
    return page, recognizer


def test_a_text_layer_needs_no_recognition() -> None:
    page, recognizer = recognise(ParsedPage(3, 1.5, 90, words=[TEXT]))
    assert page == Page(3, 1.5, "text", [TEXT])
    assert recognizer.seen == []


def test_an_empty_page_has_no_words() -> None:
    assert recognise(ParsedPage(0, 2.0, 0))[0] == Page(0, 2.0, "text", [])


def test_a_scan_is_recognised() -> None:
    page, _ = recognise(ParsedPage(1, 0.5, 0, pictures=[Picture(0, 2, 4)]), ReadOptions(image_quality="HIGH"))
    assert page == Page(1, 0.5, "ocr", [Word("2x4-HIGH", 0.5, 0.5, 1.0, 1.0, 0.8)])


def test_words_of_a_picture_have_their_places_on_the_page() -> None:
    parsed = ParsedPage(0, 1.0, 0, words=[TEXT], pictures=[Picture(0, 2, 4, (0.2, 0.4, 0.6, 0.8))])
    page, _ = recognise(parsed)
    assert page.source == "text"
    assert [word.text for word in page.words] == ["text", "2x4-LOW"]
    found = page.words[1]
    assert (found.x0, found.y0, found.x1, found.y1) == pytest.approx((0.4, 0.6, 0.6, 0.8))
    assert found.confidence == 0.8


@pytest.mark.parametrize(("rotation", "aspect"), [(0, 0.5), (90, 2.0), (180, 0.5), (270, 2.0)])
def test_a_scan_is_turned_upright_clockwise(rotation: Rotation, aspect: float) -> None:
    picture = Picture(0, 2, 4)
    parsed = ParsedPage(0, 0.5, 0, pictures=[picture])
    page, recognizer = recognise(parsed, ReadOptions(auto_rotate=True), rotation)
    assert page.aspect == aspect
    top_left = {0: (0, 0), 90: (3, 0), 180: (3, 1), 270: (0, 1)}[rotation]
    assert np.array_equal(recognizer.seen[0][0, 0], pixels_of(picture)[top_left])


def test_a_scan_is_turned_only_when_it_is_asked_for() -> None:
    page, _ = recognise(ParsedPage(0, 0.5, 0, pictures=[Picture(0, 2, 4)]), rotation=90)
    assert page.aspect == 0.5


@pytest.mark.parametrize("words", [[TEXT], []])
def test_the_number_of_words_is_bounded(words: list[Word]) -> None:
    pictures = [Picture(0, 1, 1, (0.0, 0.0, 0.5, 0.5)), Picture(0, 1, 2, (0.5, 0.5, 1.0, 1.0))]
    assert len(recognise(ParsedPage(0, 1.0, 0, words=words, pictures=pictures), most=1)[0].words) == 1
    assert recognise(ParsedPage(0, 1.0, 0, pictures=[Picture(0, 1, 1)]), most=0)[0].words == []

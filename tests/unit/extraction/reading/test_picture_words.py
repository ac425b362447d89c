"""Words of pictures are found once, and placed on their page."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pagemill.extraction.reading import picture_words
from pagemill.extraction.reading.picture_words import PictureWords, on_page, only_new
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, Word


class Counting:
    """A recogniser that names pictures by the order in which they come."""

    def __init__(self, words: int = 1) -> None:
        self.calls = 0
        self._words = words

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        self.calls += 1
        return [Word(f"picture{self.calls}", 0.1, 0.1, 0.5, 0.5)] * self._words


def picture(value: int, width: int = 6) -> Pixels:
    return np.full((4, width, 3), value, np.uint8)


def test_the_same_pixels_are_recognised_once() -> None:
    recognizer = Counting()
    pictures = PictureWords(recognizer)
    assert [pictures.words(picture(value), "LOW")[0].text for value in (1, 2, 1)] == [
        *("picture1", "picture2", "picture1")
    ]
    assert recognizer.calls == 2


def test_quality_and_shape_make_another_picture() -> None:
    recognizer = Counting()
    pictures = PictureWords(recognizer)
    pictures.words(picture(1), "LOW")
    pictures.words(picture(1), "HIGH")
    pictures.words(picture(1).reshape(6, 4, 3), "LOW")
    assert recognizer.calls == 3


def test_the_oldest_picture_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_words, "MOST_REMEMBERED", 2)
    recognizer = Counting()
    pictures = PictureWords(recognizer)
    for value in (1, 2, 1, 3, 1):
        pictures.words(picture(value), "LOW")
    assert recognizer.calls == 3
    pictures.words(picture(2), "LOW")
    assert recognizer.calls == 4


def test_pictures_of_many_words_are_not_kept() -> None:
    recognizer = Counting(words=picture_words.MOST_WORDS_REMEMBERED + 1)
    pictures = PictureWords(recognizer)
    pictures.words(picture(1), "LOW")
    pictures.words(picture(1), "LOW")
    assert recognizer.calls == 2


def test_a_word_gets_its_place_on_the_page() -> None:
    word = on_page(Word("Total", 0.5, 0.0, 1.0, 0.5, 0.8), (0.2, 0.4, 0.6, 0.8))
    assert word.text == "Total"
    assert (word.x0, word.y0, word.x1, word.y1) == pytest.approx((0.4, 0.4, 0.6, 0.6))
    assert word.confidence == 0.8


def test_only_words_in_new_places_are_taken() -> None:
    known = [Word("Total", 0.1, 0.1, 0.3, 0.15)]
    again = Word("Tota1", 0.11, 0.1, 0.31, 0.16)
    beside = Word("due", 0.31, 0.1, 0.4, 0.15)
    touching = Word("above", 0.1, 0.05, 0.3, 0.11)
    assert only_new([again, beside, touching], known) == [beside, touching]
    assert only_new([again], []) == [again]


def test_pixels_that_are_not_in_one_piece_are_a_picture_like_others() -> None:
    recognizer = Counting()
    pictures = PictureWords(recognizer)
    whole = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)
    every_second_row = whole[::2]
    assert not every_second_row.flags.c_contiguous
    assert pictures.words(every_second_row, "LOW") == pictures.words(every_second_row.copy(), "LOW")
    assert recognizer.calls == 1


def test_known_words_far_from_the_picture_change_nothing() -> None:
    chance = random.Random(20261128)

    def words(count: int, left: float, right: float) -> list[Word]:
        corners = [(chance.uniform(left, right), chance.uniform(left, right)) for _ in range(count)]
        return [
            Word(f"{x:.3f}", x, y, x + chance.uniform(0.01, 0.05), y + chance.uniform(0.005, 0.02))
            for x, y in corners
        ]

    taken = 0
    for _ in range(20):
        found, known = words(30, 0.4, 0.6), words(300, 0.0, 0.9)
        # One by one, each found word is compared with all that are known near it alone.
        expected = [word for word in found if only_new([word], known)]
        assert only_new(found, known) == expected
        inside = [word for word in known if 0.3 < word.x0 < 0.7 and 0.3 < word.y0 < 0.7]
        assert only_new(found, inside) == expected
        taken += len(expected)
    assert 0 < taken < 20 * 30
    assert only_new([], known) == []

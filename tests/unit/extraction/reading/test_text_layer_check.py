"""A text layer is compared with what recognition reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pagemill.extraction.reading.read_messages import ParsedPage, Picture, Sample
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.reading.text_layer_check import (
    TextLayerCheck,
    contradict,
    is_the_same,
    says_the_same,
)


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("Total", "Total"),
        ("Total:", "Total"),
        ("total", "TOTAL"),
        ("W0C12389203", "WOC12389203"),
        ("StartDate", "Start Date"),
        ("Ærøskøbing", "Aeroskobing"),
        ("1,234.50", "1234.50"),
        ("\ufb01nal", "final"),
        ("Contract", "Sontract"),
        ("-", "."),
        ("(a", "a"),
    ],
)
def test_readings_of_one_word(said: str, seen: str) -> None:
    assert says_the_same(said, seen)


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("Sjwfscbol", "Riverbank"),
        ("753.91", "642.80"),
        ("642.86", "642.80"),
        ("INV-61007", "INV-61001"),
        ("2024-03-18", "2024-08-13"),
        ("\ue036\ue034\ue032", "642"),
        ("Total", ""),
        ("", "Total"),
    ],
)
def test_readings_of_two_words(said: str, seen: str) -> None:
    assert not says_the_same(said, seen)


@pytest.mark.parametrize(
    ("said", "seen", "same"),
    [
        ("Riverbank", "Riverbank", True),
        ("Start-Date:", "Start Date", True),
        ("Ill0", "l110", True),
        ("Eiverbank", "Riverbank", False),
        ("Rivirbenk", "Riverbank", False),
        ("642.86", "642.80", False),
    ],
)
def test_sharp_words_are_equal(said: str, seen: str, same: bool) -> None:
    assert is_the_same(said, seen) is same


def test_most_samples_have_to_agree() -> None:
    assert not contradict([True] * 5)
    assert not contradict([True] * 5 + [False])
    assert contradict([True] * 3 + [False] * 2)
    assert contradict([False])
    assert not contradict([])


class Pretending:
    """A recogniser that reads the same in every crop, and remembers how many there were."""

    def __init__(self, text: str, confidence: float = 0.99) -> None:
        self.text, self.confidence = text, confidence
        self.crops = 0

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        self.crops += len(crops)
        return [(self.text, self.confidence)] * len(crops)


def pixels_of(picture: Picture) -> Pixels:
    return np.zeros((picture.height, picture.width, 3), np.uint8)


def page(doubts: list[int], samples: Sequence[tuple[int, str]] = (), *, is_sharp: bool = True) -> ParsedPage:
    pictures = [Sample(doubt, text, Picture(0, 4, 4), is_sharp) for doubt, text in samples]
    return ParsedPage(0, 1.0, 0, doubts=doubts, samples=pictures)


def test_a_page_without_doubts_costs_nothing() -> None:
    recognizer = Pretending("Total")
    assert not TextLayerCheck(recognizer).contradicts(page([]), pixels_of)
    assert recognizer.crops == 0


def test_a_doubt_is_settled_once_for_a_document() -> None:
    recognizer = Pretending("Total")
    check = TextLayerCheck(recognizer)
    assert check.contradicts(page([3], [(3, "Upubm"), (3, "Upubm")]), pixels_of)
    assert check.contradicts(page([1, 3]), pixels_of)
    assert not check.contradicts(page([1]), pixels_of)
    assert recognizer.crops == 2


def test_doubts_are_settled_each_by_its_own_samples() -> None:
    check = TextLayerCheck(Pretending("Total"))
    both = [(1, "Total"), (1, "Total"), (2, "Upubm")]
    assert check.contradicts(page([1, 2], both), pixels_of)
    assert not check.contradicts(page([1]), pixels_of)
    assert check.contradicts(page([2]), pixels_of)


def test_what_recognition_is_not_sure_of_does_not_count() -> None:
    check = TextLayerCheck(Pretending("Tqbzl", confidence=0.2))
    assert not check.contradicts(page([1], [(1, "Total")] * 3), pixels_of)


def test_words_of_a_scan_may_differ_a_little() -> None:
    samples = [(1, "Tatal"), (1, "Tota")]
    assert not TextLayerCheck(Pretending("Total")).contradicts(page([1], samples, is_sharp=False), pixels_of)
    assert TextLayerCheck(Pretending("Total")).contradicts(page([1], samples), pixels_of)


def test_four_samples_that_agree_settle_a_doubt() -> None:
    recognizer = Pretending("Total")
    assert not TextLayerCheck(recognizer).contradicts(page([1], [(1, "Total")] * 8), pixels_of)
    assert recognizer.crops == 4


@pytest.mark.parametrize(("wrong", "contradicted"), [(1, False), (3, False), (4, True)])
def test_all_samples_are_read_when_one_of_the_first_does_not_agree(wrong: int, contradicted: bool) -> None:
    recognizer = Pretending("Total")
    samples = [(1, "Upubm")] * wrong + [(1, "Total")] * (8 - wrong)
    assert TextLayerCheck(recognizer).contradicts(page([1], samples), pixels_of) is contradicted
    assert recognizer.crops == 8


def test_all_samples_are_read_when_the_first_are_illegible() -> None:
    recognizer = Pretending("Total", confidence=0.2)
    assert not TextLayerCheck(recognizer).contradicts(page([1], [(1, "Total")] * 8), pixels_of)
    assert recognizer.crops == 8

"""The benchmark of upright pages: its figures, and its idea of right."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.upright import Counted, Shown, chosen, directions, page_pixels
from pagemill.extraction.recognition.skew import skew
from pagemill.rotation import Rotation
from tests.unit.extraction.documents import encoded, letter_image

PAGE = np.asarray(letter_image())


def test_a_page_is_shown_in_four_directions_two_of_them_skewed() -> None:
    shown = list(directions(PAGE, random.Random(3)))
    assert [one.rotation for one in shown] == [0, 90, 180, 270]
    skewed = [one for one in shown if one.skew]
    assert len(skewed) == 2
    for one in skewed:
        assert abs(one.skew) <= 7
        assert skew(one.pixels) == pytest.approx(one.skew, abs=0.25)
    for one in shown:
        if not one.skew:
            assert np.array_equal(np.rot90(one.pixels, one.rotation // 90), PAGE)


@pytest.mark.parametrize(
    ("rotation", "found", "right"),
    [(0, 0, True), (0, 180, False), (90, 270, True), (90, 90, False), (180, 180, True), (270, 90, True)],
)
def test_a_verdict_is_right_when_the_page_is_upright_after_it(
    rotation: Rotation, found: Rotation, right: bool
) -> None:
    counted = Counted()
    counted.add(Shown(PAGE, rotation, 0.0), found, 0.25)
    assert (counted.upright_kept, counted.turned_back) == (([right], []) if rotation == 0 else ([], [right]))


def test_figures_are_shares_and_milliseconds() -> None:
    counted = Counted([True, True, False, True], [True, False], [0.01, 0.02, 0.06])
    assert counted.figures() == {
        "uprightKept": 0.75,
        "turnedBack": 0.5,
        "cpuMillisecondsPerPage": 30.0,
        "cpuMillisecondsMedian": 20.0,
    }


def test_the_choice_is_fixed_and_never_more_than_there_is(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").touch()
    (tmp_path / "other.png").touch()
    assert chosen(tmp_path, "*.jpg", 3) == chosen(tmp_path, "*.jpg", 3)
    assert sorted(chosen(tmp_path, "*.jpg", 9)) == sorted(tmp_path.glob("*.jpg"))


def test_a_page_has_the_resolution_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(encoded(letter_image().resize((3400, 4400)), "PNG"))
    assert page_pixels(path).shape == (1600, 1236, 3)

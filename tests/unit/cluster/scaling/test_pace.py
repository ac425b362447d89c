"""The time of a page is measured on the places that were taken."""

from __future__ import annotations

import pytest

from pagemill.cluster.scaling.pace import FEWEST_PAGES, Pace


def observed(busy: list[float], window: float = 60.0) -> Pace:
    pace = Pace(window)
    for second, places in enumerate(busy):
        pace.observe(float(second), places)
    return pace


def test_a_page_took_its_share_of_the_places() -> None:
    assert observed([4.0] * 61).seconds_per_page(120.0) == pytest.approx(2.0)


def test_idle_places_do_not_make_pages_slow() -> None:
    assert observed([0.0] * 30 + [4.0] * 31).seconds_per_page(62.0) == pytest.approx(2.0)


def test_what_is_past_the_window_is_forgotten() -> None:
    assert observed([50.0] * 100 + [2.0] * 61).seconds_per_page(60.0) == pytest.approx(2.0)


def test_many_observations_in_a_second_are_one() -> None:
    pace = Pace(60.0)
    for tenth in range(601):
        pace.observe(tenth / 10.0, 3.0)

    assert pace.seconds_per_page(90.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("busy", "pages"),
    [([], 50.0), ([1.0], 50.0), ([3.0] * 61, FEWEST_PAGES - 1.0), ([3.0] * 61, 0.0), ([0.0] * 61, 50.0)],
)
def test_too_little_tells_nothing(busy: list[float], pages: float) -> None:
    assert observed(busy).seconds_per_page(pages) is None

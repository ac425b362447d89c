"""Pages are recognised at a size that is bounded, and at which their letters can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.extraction.reading.resolution import LONGEST_SIDE, MOST_SIDE, size_within
from pagemill.extraction.types import ImageQuality

MANY = 16_000_000
SIDES = st.floats(min_value=1e-3, max_value=1e9)


@pytest.mark.parametrize(
    ("width", "height", "quality", "size"),
    [
        (3000, 4000, "LOW", (1200, 1600)),
        (4000, 3000, "HIGH", (2200, 1650)),
        (1000, 3000, "LOW", (533, 1600)),
        (800, 600, "LOW", (800, 600)),
        (1, 1, "HIGH", (1, 1)),
    ],
)
def test_the_longest_side_is_that_of_the_quality(
    width: float, height: float, quality: ImageQuality, size: tuple[int, int]
) -> None:
    assert size_within(width, height, quality, MANY) == size


@pytest.mark.parametrize("turned", [False, True])
def test_a_strip_keeps_the_resolution_of_a_receipt(turned: bool) -> None:
    width, height = (12_000, 1000) if turned else (1000, 12_000)
    size = size_within(width, height, "LOW", MANY)
    assert size == ((6400, 533) if turned else (533, 6400))


def test_a_strip_is_bounded_by_its_pixels_and_its_length() -> None:
    width, height = size_within(1000, 40_000, "HIGH", 4_000_000)
    assert height / width == pytest.approx(40, rel=0.01)
    assert 0.98 * 4_000_000 < width * height <= 4_000_000
    assert size_within(1000, 1_000_000, "LOW", MANY) == (30, MOST_SIDE)


def test_pages_are_enlarged_up_to_a_scale_only() -> None:
    assert size_within(100, 100, "LOW", MANY, largest_scale=2.0) == (200, 200)
    assert size_within(1000, 1000, "LOW", MANY, largest_scale=2.0) == (1600, 1600)


@given(SIDES, SIDES, st.sampled_from(["LOW", "HIGH"]), st.integers(1, MANY))
def test_every_page_has_a_size_within_the_bound(
    width: float, height: float, quality: ImageQuality, most: int
) -> None:
    columns, rows = size_within(width, height, quality, most, largest_scale=3.0)
    assert columns >= 1
    assert rows >= 1
    assert columns * rows <= most
    assert max(columns, rows) <= MOST_SIDE
    assert min(columns, rows) <= LONGEST_SIDE[quality]

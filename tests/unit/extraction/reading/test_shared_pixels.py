"""Pixels pass from the child to the parent through memory of a fixed size."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

from pagemill.extraction.reading import shared_pixels
from pagemill.extraction.reading.read_messages import Picture
from pagemill.extraction.reading.shared_pixels import Pixels, SharedPixels, copy_pixels, shared_memory


@pytest.fixture(params=["memory", "file"])
def descriptor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    if request.param == "file":
        monkeypatch.delattr(shared_pixels.os, "memfd_create", raising=False)
    with shared_memory(300) as opened:
        yield opened


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_pictures_arrive_as_they_were_written(descriptor: int) -> None:
    shared = SharedPixels(descriptor)
    first, second = picture(4, 5), picture(3, 2, seed=1)
    written = [shared.write(first), shared.write(second, (0.1, 0.2, 0.3, 0.4))]
    assert [one.offset for one in written] == [0, 60]
    assert written[1].box == (0.1, 0.2, 0.3, 0.4)
    assert np.array_equal(copy_pixels(descriptor, written[0]), first)
    assert np.array_equal(copy_pixels(descriptor, written[1]), second)


def test_any_layout_of_pixels_is_written_row_by_row(descriptor: int) -> None:
    pixels = picture(4, 6)
    written = SharedPixels(descriptor).write(pixels[:, ::-2])
    assert np.array_equal(copy_pixels(descriptor, written), pixels[:, ::-2])


@pytest.mark.parametrize("turns", range(4))
def test_what_was_drawn_in_the_memory_is_written_as_it_is_or_turned(descriptor: int, turns: int) -> None:
    shared = SharedPixels(descriptor)
    shared.write(picture(2, 2))
    drawn = picture(4, 5, seed=1)
    canvas = shared.canvas(4, 5)
    canvas[...] = drawn
    written = shared.write(np.rot90(canvas, turns))
    assert written.offset == 12
    assert np.array_equal(copy_pixels(descriptor, written), np.rot90(drawn, turns))
    assert shared.pixels_left == 76


def test_there_is_no_place_to_draw_more_than_fits(descriptor: int) -> None:
    with pytest.raises(MemoryError):
        SharedPixels(descriptor).canvas(10, 11)


def test_the_memory_is_used_again_for_the_next_page(descriptor: int) -> None:
    shared = SharedPixels(descriptor)
    assert shared.pixels_left == 100
    shared.write(picture(10, 10))
    assert shared.pixels_left == 0
    with pytest.raises(MemoryError):
        shared.write(picture(1, 1))
    shared.clear()
    last = picture(5, 5, seed=2)
    assert np.array_equal(copy_pixels(descriptor, shared.write(last)), last)


def test_what_is_not_there_is_not_read(descriptor: int) -> None:
    with pytest.raises(ValueError, match="too short"):
        copy_pixels(descriptor, Picture(299, 1, 1))


def test_the_memory_is_gone_afterwards() -> None:
    with shared_memory(10) as descriptor:
        assert os.fstat(descriptor).st_size == 10
        assert os.fstat(descriptor).st_nlink == 0
    with pytest.raises(OSError):
        os.fstat(descriptor)

"""Frames of a TIFF are counted by where their directories are."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from pagemill.extraction.reading.tiff_chain import has_more_frames_than
from tests.unit.extraction.bad.tiffs import PLAIN, directory, tiff
from tests.unit.extraction.documents import encoded


def frames(count: int, **options: object) -> bytes:
    image = Image.new("L", (4, 4))
    return encoded(image, "TIFF", save_all=True, append_images=[image] * (count - 1), **options)


@pytest.mark.parametrize("options", [{}, {"big_tiff": True}], ids=["classic", "big"])
def test_frames_are_counted_as_far_as_needed(options: dict[str, object]) -> None:
    content = frames(5, **options)
    assert [has_more_frames_than(content, most) for most in (3, 4, 5, 6)] == [True, True, False, False]


def test_a_file_may_have_the_other_byte_order() -> None:
    second = struct.pack(">HI", 0, 0)
    content = b"MM\0*" + struct.pack(">IHI", 8, 0, 14) + second
    assert [has_more_frames_than(content, most) for most in (0, 1, 2)] == [True, True, False]


def test_a_loop_ends() -> None:
    at = tiff(PLAIN).index(directory(PLAIN))
    content = tiff(PLAIN, following=at)
    assert [has_more_frames_than(content, most) for most in (0, 1, 2000)] == [True, False, False]


@pytest.mark.parametrize(
    "content",
    [b"II*\0", b"II*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"II+\0" + b"\xff" * 12, b"MM\0*" + bytes(4)],
)
def test_what_lies_outside_of_the_file_is_no_frame(content: bytes) -> None:
    assert not has_more_frames_than(content, 1)

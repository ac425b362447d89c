"""Images are opened within bounds and become plain RGB."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.pixels import (
    number_of_frames,
    open_image,
    pixel_shape,
    rgb,
    seek_frame,
    turned,
    with_square_pixels,
)
from pagemill.rotation import Rotation
from tests.unit.extraction.documents import bomb_png, encoded

MANY = 1_000_000


@pytest.fixture(autouse=True)
def bounds_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening an image bounds all later ones of the process; outside of these tests that is a child's."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


def frames(*sizes: tuple[int, int]) -> bytes:
    """A TIFF with a frame of each size; frame n is of the grey 10 n."""
    images = [Image.new("L", size, 10 * number) for number, size in enumerate(sizes)]
    output = io.BytesIO()
    images[0].save(output, "TIFF", save_all=True, append_images=images[1:])
    return output.getvalue()


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("TIFF", "image/tiff"), ("WEBP", "image/webp")],
)
def test_each_format_is_opened_as_itself(kind: str, content_type: str) -> None:
    image = open_image(encoded(Image.new("RGB", (30, 20), "white"), kind), content_type, MANY)
    assert (image.format, image.size) == (kind, (30, 20))


def test_another_format_than_announced_is_refused() -> None:
    with pytest.raises(DocumentUnreadable, match="not a valid image"):
        open_image(encoded(Image.new("RGB", (3, 2)), "PNG"), "image/jpeg", MANY)


@pytest.mark.parametrize(("pixels", "fits"), [(600, True), (599, False)])
def test_the_number_of_pixels_is_bounded(pixels: int, fits: bool) -> None:
    content = encoded(Image.new("RGB", (30, 20)), "PNG")
    if fits:
        assert open_image(content, "image/png", pixels).size == (30, 20)
    else:
        with pytest.raises(DocumentUnreadable, match=r"more than 0\.000599 megapixels"):
            open_image(content, "image/png", pixels)


def test_a_bomb_is_refused_without_decoding_it() -> None:
    with pytest.raises(DocumentUnreadable, match="more than 1 megapixels"):
        open_image(bomb_png(), "image/png", MANY)


def test_only_a_tiff_has_several_pages() -> None:
    assert number_of_frames(open_image(frames((9, 9), (9, 9)), "image/tiff", MANY)) == 2
    animated = io.BytesIO()
    Image.new("RGB", (9, 9)).save(
        animated, "WEBP", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")]
    )
    assert number_of_frames(open_image(animated.getvalue(), "image/webp", MANY)) == 1


def test_a_frame_is_chosen() -> None:
    image = open_image(frames((9, 9), (5, 4)), "image/tiff", MANY)
    seek_frame(image, 1, MANY)
    assert (image.size, image.getpixel((0, 0))) == ((5, 4), 10)


def test_each_frame_is_bounded() -> None:
    image = open_image(frames((9, 9), (100, 100)), "image/tiff", 100)
    with pytest.raises(DocumentUnreadable, match="megapixels"):
        seek_frame(image, 1, 100)


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (2, 1)), (270, (0, 2))])
def test_images_are_turned_clockwise(rotation: Rotation, corner: tuple[int, int]) -> None:
    image = Image.new("L", (3, 2), 0)
    image.putpixel((0, 0), 255)
    assert turned(image, rotation).getpixel(corner) == 255


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    converted = rgb(image)
    assert [converted.getpixel((at, 0)) for at in range(2)] == [(255, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "HSV"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new("RGB", (4, 4), "white").convert(mode) if mode != "LAB" else Image.new("LAB", (4, 4))
    assert rgb(image).mode == "RGB"


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([[0, 65535]], [0, 255]),
        ([[0, 32768, 65535]], [0, 127, 255]),
        ([[0, 200]], [0, 200]),
        ([[0, 1]], [0, 255]),
    ],
)
def test_deep_samples_are_scaled_to_eight_bits(samples: list[list[int]], expected: list[int]) -> None:
    image = Image.fromarray(np.array(samples, dtype=np.int32))
    assert np.asarray(rgb(image))[0, :, 0].tolist() == expected


def test_samples_that_are_no_numbers_are_black() -> None:
    image = Image.fromarray(np.array([[np.nan, np.inf, 1.0]], dtype=np.float32))
    assert np.asarray(rgb(image))[0, :, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("info", "shape"),
    [
        ({}, (1, 1)),
        ({"dpi": (204, 98)}, (1, 204 / 98)),
        ({"dpi": (100, 200)}, (1, 0.5)),
        ({"resolution": (2, 1)}, (1, 2)),
        ({"aspect": (1, 2)}, (1, 0.5)),
        ({"jfif_density": (1, 1)}, (1, 1)),
        ({"dpi": (300, 300), "aspect": (1, 2)}, (1, 1)),
        ({"dpi": (1, 300)}, (1, 1)),
        ({"dpi": (0, 300)}, (1, 1)),
        ({"dpi": (300, 0)}, (1, 1)),
        ({"dpi": (-2, -1)}, (1, 1)),
        ({"dpi": (float("nan"), 1)}, (1, 1)),
        ({"dpi": (float("inf"), 1)}, (1, 1)),
        ({"dpi": 300}, (1, 1)),
        ({"dpi": (300,)}, (1, 1)),
        ({"dpi": (None, "x")}, (1, 1)),
    ],
    ids=repr,
)
def test_pixels_have_the_shape_that_the_densities_say(
    info: dict[str, object], shape: tuple[float, float]
) -> None:
    image = Image.new("L", (1, 1))
    image.info.update(info)
    assert pixel_shape(image) == shape


@pytest.mark.parametrize(
    ("stretch", "size"), [(1.0, (30, 20)), (1.01, (30, 20)), (2.0, (60, 20)), (0.5, (30, 40))]
)
def test_oblong_pixels_become_square(stretch: float, size: tuple[int, int]) -> None:
    assert with_square_pixels(Image.new("RGB", (30, 20)), stretch).size == size

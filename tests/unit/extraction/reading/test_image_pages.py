"""An image becomes one picture: square pixels, the right way up, at the resolution of the quality."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from pagemill.extraction.reading.image_pages import ImageDocument
from pagemill.extraction.reading.read_messages import ParsedPage, ReadLimits
from pagemill.extraction.reading.shared_pixels import Pixels, SharedPixels, copy_pixels, shared_memory
from pagemill.extraction.types import ReadOptions
from pagemill.rotation import Rotation
from tests.unit.extraction.documents import encoded

LIMITS = ReadLimits()
ORIENTATION = 0x0112
CORNER = (250, 20, 30)


@pytest.fixture(autouse=True)
def bounds_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening an image bounds all later ones of the process; outside of these tests that is a child's."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


@pytest.fixture
def descriptor() -> Iterator[int]:
    with shared_memory(LIMITS.shared_bytes) as opened:
        yield opened


def marked(width: int, height: int) -> Image.Image:
    """A white image whose upper left corner, a tenth of each side, is of another colour."""
    image = Image.new("RGB", (width, height), "white")
    image.paste(CORNER, (0, 0, max(1, width // 10), max(1, height // 10)))
    return image


def parse(
    descriptor: int, content: bytes, content_type: str, options: ReadOptions | None = None
) -> tuple[ParsedPage, Pixels]:
    with ImageDocument(content, content_type, LIMITS) as document:
        page = document.parse_page(0, options or ReadOptions(), SharedPixels(descriptor))
        rendered = document.render_page(0, options or ReadOptions())
    (picture,) = page.pictures
    pixels = copy_pixels(descriptor, picture)
    assert np.array_equal(pixels, rendered)
    return page, pixels


def corner_of(pixels: Pixels) -> tuple[bool, bool]:
    """Whether the marked corner is at the bottom, and whether it is on the right."""
    height, width = pixels.shape[:2]
    for bottom in (False, True):
        for right in (False, True):
            at = pixels[(height - 2) if bottom else 1, (width - 2) if right else 1]
            if np.abs(at.astype(int) - CORNER).max() < 40:
                return bottom, right
    raise AssertionError("no corner is marked")


def test_small_images_keep_their_pixels(descriptor: int) -> None:
    page, pixels = parse(descriptor, encoded(marked(60, 30), "PNG"), "image/png")
    assert page.aspect == 2.0
    assert page.rotation == 0
    assert np.array_equal(pixels, np.asarray(marked(60, 30)))


@pytest.mark.parametrize(
    ("options", "shape"), [(ReadOptions(), (800, 1600)), (ReadOptions(image_quality="HIGH"), (1100, 2200))]
)
def test_large_images_are_scaled_down(descriptor: int, options: ReadOptions, shape: tuple[int, int]) -> None:
    _, pixels = parse(descriptor, encoded(marked(4000, 2000), "PNG"), "image/png", options)
    assert pixels.shape[:2] == shape


@pytest.mark.parametrize(("size", "shape"), [((600, 7200), (6400, 533)), ((7200, 600), (533, 6400))])
def test_strips_stay_readable(descriptor: int, size: tuple[int, int], shape: tuple[int, int]) -> None:
    page, pixels = parse(descriptor, encoded(marked(*size), "PNG"), "image/png")
    assert pixels.shape[:2] == shape
    assert page.aspect == size[0] / size[1]


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [(0, (False, False)), (90, (False, True)), (180, (True, True)), (270, (True, False))],
)
def test_the_rotation_asked_for_is_applied(
    descriptor: int, rotation: Rotation, corner: tuple[bool, bool]
) -> None:
    page, pixels = parse(
        descriptor, encoded(marked(60, 30), "PNG"), "image/png", ReadOptions(rotation=rotation)
    )
    assert page.rotation == rotation
    assert page.aspect == (2.0 if rotation in (0, 180) else 0.5)
    assert corner_of(pixels) == corner


@pytest.mark.parametrize(
    ("kind", "content_type"), [("TIFF", "image/tiff"), ("PNG", "image/png"), ("JPEG", "image/jpeg")]
)
def test_a_fax_gets_square_pixels(descriptor: int, kind: str, content_type: str) -> None:
    content = encoded(marked(400, 300), kind, dpi=(200, 100))
    page, pixels = parse(descriptor, content, content_type)
    assert pixels.shape[:2] == (600, 400)
    assert page.aspect == pytest.approx(400 / 600)
    assert corner_of(pixels) == (False, False)


def test_a_fax_on_its_side_gets_square_pixels(descriptor: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = encoded(marked(400, 300), "JPEG", dpi=(200, 100), exif=exif.tobytes())
    page, pixels = parse(descriptor, content, "image/jpeg")
    assert pixels.shape[:2] == (400, 600)
    assert page.aspect == 1.5
    assert corner_of(pixels) == (False, True)


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (False, False)), (3, (True, True)), (6, (False, True)), (8, (True, False))],
)
def test_exif_tells_the_right_way_up(descriptor: int, orientation: int, corner: tuple[bool, bool]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(marked(60, 30), "PNG", exif=exif.tobytes())
    page, pixels = parse(descriptor, content, "image/png")
    assert page.aspect == (2.0 if orientation in (1, 3) else 0.5)
    assert corner_of(pixels) == corner


def test_each_frame_of_a_tiff_has_its_own_resolution(descriptor: int) -> None:
    frames = [Image.new("1", (40, 30), 1), Image.new("1", (40, 30), 1)]
    content = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:], dpi=(200, 100))
    with ImageDocument(content, "image/tiff", LIMITS) as document:
        pages = [document.parse_page(at, ReadOptions(), SharedPixels(descriptor)) for at in (1, 0)]
    assert [page.aspect for page in pages] == [pytest.approx(40 / 60)] * 2

"""Pages become JPEGs of the size, turn and density that are asked for."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from pagemill.documents.thumbnails import page_images
from pagemill.documents.thumbnails.page_images import make_page_image
from pagemill.documents.thumbnails.thumbnail import PageImage
from pagemill.errors import DocumentUnreadable
from tests.unit.extraction.bad.tiffs import many_frames
from tests.unit.extraction.documents import PAGE, encoded, text_pdf

PDF, PNG, TIFF, JPEG = "application/pdf", "image/png", "image/tiff", "image/jpeg"
DENSITY = page_images.DEFAULT_DENSITY
SIZE = tuple(round(side * DENSITY / 72) for side in PAGE)


def made(content: bytes, content_type: str, wanted: PageImage) -> Image.Image:
    image = Image.open(io.BytesIO(make_page_image(content, content_type, wanted)))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


def halves(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """The left half black, the right one white."""
    image = Image.new("RGB", size, "white")
    image.paste("black", (0, 0, size[0] // 2, size[1]))
    return image


def is_dark(image: Image.Image, x: float, y: float) -> bool:
    red, green, blue = image.getpixel((int(x * image.width), int(y * image.height)))
    return red + green + blue < 3 * 128


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        (PageImage(), SIZE),
        (PageImage(width=200), (200, 150)),
        (PageImage(height=75), (100, 75)),
        (PageImage(width=50, height=500), (50, 500)),
        (PageImage(density=72), (400, 300)),
        (PageImage(density=72, rotation=90), (300, 400)),
        (PageImage(width=30, rotation=270), (30, 40)),
        (PageImage(width=1), (1, 1)),
    ],
)
def test_the_size_of_a_pdf_page(wanted: PageImage, size: tuple[int, int]) -> None:
    assert made(text_pdf(), PDF, wanted).size == size


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        (PageImage(), (60, 40)),
        (PageImage(width=30), (30, 20)),
        (PageImage(height=80), (120, 80)),
        (PageImage(rotation=90), (40, 60)),
        (PageImage(density=300), (60, 40)),
    ],
)
def test_the_size_of_an_image(wanted: PageImage, size: tuple[int, int]) -> None:
    assert made(encoded(halves(), "PNG"), PNG, wanted).size == size


@pytest.mark.parametrize(("dpi", "size"), [((100, 100), (30, 20)), ((200, 200), (15, 10)), (None, (60, 40))])
def test_the_density_of_a_tiff(dpi: tuple[int, int] | None, size: tuple[int, int]) -> None:
    options = {} if dpi is None else {"dpi": dpi}
    assert made(encoded(halves(), "TIFF", **options), TIFF, PageImage(density=50)).size == size


@pytest.mark.parametrize(
    ("rotation", "dark", "light"),
    [
        (0, (0.1, 0.5), (0.9, 0.5)),
        (90, (0.5, 0.1), (0.5, 0.9)),
        (180, (0.9, 0.5), (0.1, 0.5)),
        (270, (0.5, 0.9), (0.5, 0.1)),
    ],
)
def test_pages_are_turned_clockwise(
    rotation: int, dark: tuple[float, float], light: tuple[float, float]
) -> None:
    image = made(encoded(halves(), "PNG"), PNG, PageImage(rotation=rotation))  # type: ignore[arg-type]
    assert is_dark(image, *dark)
    assert not is_dark(image, *light)


def test_the_orientation_that_a_camera_noted_is_applied() -> None:
    exif = Image.Exif()
    exif[page_images.ORIENTATION] = 6
    image = made(encoded(halves(), "JPEG", exif=exif), JPEG, PageImage())
    assert image.size == (40, 60)
    assert is_dark(image, 0.5, 0.1)


def test_transparency_is_white() -> None:
    image = made(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), PNG, PageImage())
    assert not is_dark(image, 0.5, 0.5)


@pytest.mark.parametrize("page", [0, 1, 2, -1, -3])
def test_every_page_can_be_asked_for(page: int) -> None:
    assert made(text_pdf(3), PDF, PageImage(page=page, density=72)).size == (400, 300)


@pytest.mark.parametrize(
    ("pages", "page", "message"),
    [(1, 1, "the document has 1 page$"), (3, 3, "the document has 3 pages"), (3, -4, "has 3 pages")],
)
def test_a_page_that_is_not_there_is_refused(pages: int, page: int, message: str) -> None:
    with pytest.raises(DocumentUnreadable, match=message):
        make_page_image(text_pdf(pages), PDF, PageImage(page=page))


@pytest.mark.parametrize(
    "wanted", [PageImage(width=4096, height=65_501), PageImage(width=100_000), PageImage(density=1_000_000)]
)
def test_the_size_of_the_result_is_bounded(wanted: PageImage) -> None:
    with pytest.raises(DocumentUnreadable, match="more than 40 megapixels"):
        make_page_image(text_pdf(), PDF, wanted)


@pytest.mark.parametrize("content", [b"%PDF-1.7 nothing else", b"%PDF-"])
def test_a_damaged_pdf_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="damaged"):
        make_page_image(content, PDF, PageImage())


def test_an_encrypted_pdf_is_refused() -> None:
    with pytest.raises(DocumentUnreadable, match="encrypted"):
        make_page_image(text_pdf(password="secret"), PDF, PageImage())


def test_a_tiff_of_too_many_frames_is_refused_at_once() -> None:
    """Pillow alone would need minutes for it."""
    started = time.thread_time()
    with pytest.raises(DocumentUnreadable, match="The document has more than 2000 pages"):
        make_page_image(many_frames(100_000), TIFF, PageImage())
    assert time.thread_time() - started < 10

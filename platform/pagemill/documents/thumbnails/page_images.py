"""Pages of documents as JPEGs. Runs only in the renderer's child processes."""

from __future__ import annotations

import contextlib
import io
from typing import TypeAlias

# Loaded before children are forked, not by each of them.
from PIL import (  # noqa: F401
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pagemill.documents.thumbnails.pdf_rendering import open_page, render_page
from pagemill.documents.thumbnails.render_messages import MAXIMUM_PIXELS
from pagemill.documents.thumbnails.thumbnail import LONGEST_SIDE, PageImage
from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.pdf_file import open_pdf
from pagemill.extraction.reading.pixels import number_of_frames, open_image, rgb, seek_frame, turned
from pagemill.extraction.reading.read_messages import ReadLimits
from pagemill.extraction.reading.tiff_chain import has_more_frames_than

POINTS_PER_INCH = 72
DEFAULT_DENSITY = 150
LOWEST_DENSITY = 10
"""A TIFF with less has no density: Pillow takes 1 where it is missing."""
JPEG_QUALITY = 85
LONGEST_JPEG_SIDE = 65_500
ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap width and height."""
LIMITS = ReadLimits()
"""Pages that cannot be read are not shown either."""

Size: TypeAlias = tuple[float, float]
Rendered: TypeAlias = tuple[Image.Image, tuple[int, int]]
"""An image, and the size that it is to have."""


def make_page_image(content: bytes, content_type: str, wanted: PageImage) -> bytes:
    """Return a page as a JPEG. Raises DocumentUnreadable, also if there is no such page."""
    render = _render_pdf if content_type == "application/pdf" else _render_image
    image, (width, height) = render(content, content_type, wanted)
    image = turned(image, wanted.rotation)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=JPEG_QUALITY)
    return written.getvalue()


def _render_pdf(content: bytes, _content_type: str, wanted: PageImage) -> Rendered:
    with (
        contextlib.closing(open_pdf(content)) as document,
        open_page(document, _index(wanted.page, len(document))) as page,
    ):
        width, height = page.get_size()
        shown = _rotated((width, height), wanted)
        density = wanted.density or min(DEFAULT_DENSITY, LONGEST_SIDE * POINTS_PER_INCH / max(width, height))
        size = _target(_scaled(shown, density / POINTS_PER_INCH), wanted)
        scale = max(size[0] / shown[0], size[1] / shown[1])
        # An image of another shape than the page is scaled to it afterwards.
        return render_page(page, min(scale, (MAXIMUM_PIXELS / (width * height)) ** 0.5)), size


def _render_image(content: bytes, content_type: str, wanted: PageImage) -> Rendered:
    if content_type == "image/tiff" and has_more_frames_than(content, LIMITS.pages):
        raise DocumentUnreadable(LIMITS.too_many_pages)
    image = open_image(content, content_type, MAXIMUM_PIXELS)
    seek_frame(image, _index(wanted.page, number_of_frames(image)), MAXIMUM_PIXELS)
    shown = _rotated(image.size, wanted)
    if image.getexif().get(ORIENTATION) in SIDEWAYS:
        shown = shown[::-1]
    size = _target(_scaled(shown, _scale_of(image, wanted.density)), wanted)
    # A JPEG can be decoded at a half, a quarter or an eighth of its size.
    image.draft("RGB", (max(size), max(size)))
    return rgb(ImageOps.exif_transpose(image)), size


def _index(page: int, count: int) -> int:
    index = page if page >= 0 else count + page
    if not 0 <= index < count:
        raise DocumentUnreadable(f"page: the document has {count} {'page' if count == 1 else 'pages'}")
    return index


def _rotated(size: Size, wanted: PageImage) -> Size:
    return size if wanted.rotation in (0, 180) else size[::-1]


def _scaled(size: Size, scale: float) -> Size:
    return size[0] * scale, size[1] * scale


def _scale_of(image: Image.Image, density: int | None) -> float:
    """Return the factor that gives a TIFF with a density the density that is asked for; 1 for the others."""
    if density is None or image.format != "TIFF":
        return 1.0
    own = float(image.info.get("dpi", (0, 0))[0])
    return density / own if own >= LOWEST_DENSITY else 1.0


def _target(natural: Size, wanted: PageImage) -> tuple[int, int]:
    """Return the size of the result in pixels. Raises DocumentUnreadable if it is too large."""
    width, height = natural
    if wanted.width is not None and wanted.height is not None:
        width, height = wanted.width, wanted.height
    elif wanted.width is not None:
        width, height = wanted.width, height * wanted.width / width
    elif wanted.height is not None:
        width, height = width * wanted.height / height, wanted.height
    if width * height > MAXIMUM_PIXELS or max(width, height) > LONGEST_JPEG_SIDE:
        raise DocumentUnreadable(
            f"density, width, height: the image would have more than {MAXIMUM_PIXELS / 1e6:g} megapixels"
        )
    return max(1, round(width)), max(1, round(height))

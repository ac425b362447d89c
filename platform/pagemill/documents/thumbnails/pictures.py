"""Pages as JPEGs. Runs in the renderer's children only."""

from __future__ import annotations

import io

# Loaded before children are forked, not by each of them.
from PIL import (  # noqa: F401
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pagemill.documents.thumbnails.messages import LONGEST_SIDE, MAXIMUM_PIXELS, Picture
from pagemill.documents.thumbnails.pdf import drawn, opened, page_of
from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.pixels import number_of_frames, open_image, rgb, seek_frame, turned

POINTS_PER_INCH = 72
USUAL_DENSITY = 150
LEAST_DENSITY = 10
"""A TIFF that says less does not say it: Pillow takes 1 for what is not there."""
JPEG_QUALITY = 85
LONGEST_JPEG_SIDE = 65_500
ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that make a portrait of a landscape."""

Size = tuple[float, float]


def render(content: bytes, content_type: str, picture: Picture) -> bytes:
    """The page as a JPEG. Raises DocumentUnreadable, for a page that is not there too."""
    of_kind = _of_pdf if content_type == "application/pdf" else _of_image
    image, (width, height) = of_kind(content, content_type, picture)
    image = turned(image, picture.rotation)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=JPEG_QUALITY)
    return written.getvalue()


def _of_pdf(content: bytes, _content_type: str, picture: Picture) -> tuple[Image.Image, tuple[int, int]]:
    with opened(content) as document, page_of(document, _index(picture.page, len(document))) as page:
        width, height = page.get_size()
        shown = _rotated((width, height), picture)
        density = picture.density or min(USUAL_DENSITY, LONGEST_SIDE * POINTS_PER_INCH / max(width, height))
        size = _target(_scaled(shown, density / POINTS_PER_INCH), picture)
        scale = max(size[0] / shown[0], size[1] / shown[1])
        # A picture of another shape than the page is pressed into it afterwards.
        return drawn(page, min(scale, (MAXIMUM_PIXELS / (width * height)) ** 0.5)), size


def _of_image(content: bytes, content_type: str, picture: Picture) -> tuple[Image.Image, tuple[int, int]]:
    image = open_image(content, content_type, MAXIMUM_PIXELS)
    seek_frame(image, _index(picture.page, number_of_frames(image)), MAXIMUM_PIXELS)
    shown = _rotated(image.size, picture)
    if image.getexif().get(ORIENTATION) in SIDEWAYS:
        shown = shown[::-1]
    size = _target(_scaled(shown, _scale_of(image, picture.density)), picture)
    # A JPEG can be decoded at a half, a quarter or an eighth of its size.
    image.draft("RGB", (max(size), max(size)))
    return rgb(ImageOps.exif_transpose(image)), size


def _index(page: int, count: int) -> int:
    index = page if page >= 0 else count + page
    if not 0 <= index < count:
        raise DocumentUnreadable(f"page: the document has {count} {'page' if count == 1 else 'pages'}")
    return index


def _rotated(size: Size, picture: Picture) -> Size:
    return size if picture.rotation in (0, 180) else size[::-1]


def _scaled(size: Size, scale: float) -> Size:
    return size[0] * scale, size[1] * scale


def _scale_of(image: Image.Image, density: int | None) -> float:
    """A TIFF that says how dense it is can be made as dense as is asked for."""
    if density is None or image.format != "TIFF":
        return 1.0
    own = float(image.info.get("dpi", (0, 0))[0])
    return density / own if own >= LEAST_DENSITY else 1.0


def _target(natural: Size, picture: Picture) -> tuple[int, int]:
    """The size that is asked for. Raises DocumentUnreadable when it is too large."""
    width, height = natural
    if picture.width is not None and picture.height is not None:
        width, height = picture.width, picture.height
    elif picture.width is not None:
        width, height = picture.width, height * picture.width / width
    elif picture.height is not None:
        width, height = width * picture.height / height, picture.height
    if width * height > MAXIMUM_PIXELS or max(width, height) > LONGEST_JPEG_SIDE:
        raise DocumentUnreadable(
            f"density, width, height: the picture would have more than {MAXIMUM_PIXELS / 1e6:g} megapixels"
        )
    return max(1, round(width)), max(1, round(height))

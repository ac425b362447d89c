"""Pages that are images: decoded within bounds, with square pixels, the right way up. Child's side."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from PIL import Image, ImageOps

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
from pagemill.extraction.reading.read_messages import ParsedPage, ReadLimits
from pagemill.extraction.reading.resolution import size_within
from pagemill.extraction.reading.shared_pixels import Pixels, SharedPixels
from pagemill.extraction.reading.tiff_chain import has_more_frames_than
from pagemill.extraction.types import ReadOptions

ORIENTATION = 0x0112
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that swap width and height."""


class ImageDocument:
    """A JPEG, PNG, WebP (one page each: the first frame) or TIFF (a page for each frame)."""

    def __init__(self, content: bytes, content_type: str, limits: ReadLimits) -> None:
        self.content_type = content_type
        self._limits = limits
        if content_type == "image/tiff" and has_more_frames_than(content, limits.pages):
            raise DocumentUnreadable(limits.too_many_pages)
        self._image = open_image(content, content_type, limits.pixels)
        self.number_of_pages = number_of_frames(self._image)

    def __enter__(self) -> ImageDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._image.close()

    def parse_page(self, index: int, options: ReadOptions, shared: SharedPixels) -> ParsedPage:
        """Return a page as one picture."""
        image = self._page(index, options)
        picture = shared.write(self._pixels(image, options))
        return ParsedPage(index, image.width / image.height, options.rotation, pictures=[picture])

    def render_page(self, index: int, options: ReadOptions) -> Pixels:
        """Return a page as a person sees it."""
        return self._pixels(self._page(index, options), options)

    def _page(self, index: int, options: ReadOptions) -> Image.Image:
        seek_frame(self._image, index, self._limits.pixels)
        across, down = pixel_shape(self._image)
        if self._image.getexif().get(ORIENTATION) in SIDEWAYS:
            across, down = down, across
        upright = with_square_pixels(rgb(ImageOps.exif_transpose(self._image)), across / down)
        return turned(upright, options.rotation)

    def _pixels(self, image: Image.Image, options: ReadOptions) -> Pixels:
        size = size_within(image.width, image.height, options.image_quality, self._limits.page_pixels)
        if size != image.size:
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        return np.asarray(image)

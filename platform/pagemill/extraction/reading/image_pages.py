"""Pages that are images: decoded within bounds, turned upright, recognised."""

from __future__ import annotations

from types import TracebackType

from PIL import Image, ImageOps

from pagemill.extraction.reading.ocr import Recognizer
from pagemill.extraction.reading.pixels import number_of_frames, open_image, rgb, seek_frame, turned
from pagemill.extraction.reading.read_messages import ReadLimits
from pagemill.extraction.reading.word_geometry import in_reading_order
from pagemill.extraction.types import Page, ReadOptions


class ImageDocument:
    """A JPEG, PNG, WebP (one page each: the first frame) or TIFF (a page for each frame)."""

    def __init__(self, content: bytes, content_type: str, limits: ReadLimits, recognizer: Recognizer) -> None:
        self.content_type = content_type
        self._limits = limits
        self._recognizer = recognizer
        self._image = open_image(content, content_type, limits.pixels)
        self.number_of_pages = number_of_frames(self._image)

    def __enter__(self) -> ImageDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._image.close()

    def read_page(self, index: int, options: ReadOptions) -> Page:
        """Recognise one page."""
        seek_frame(self._image, index, self._limits.pixels)
        upright = rgb(ImageOps.exif_transpose(self._image))
        return recognized_page(upright, index, options, self._limits, self._recognizer)


def recognized_page(
    image: Image.Image, index: int, options: ReadOptions, limits: ReadLimits, recognizer: Recognizer
) -> Page:
    """Return the words of an image, after turning it as the options say."""
    image = turned(image, options.rotation)
    if options.auto_rotate:
        image = turned(image, recognizer.upright_rotation(image))
    aspect = image.width / image.height
    words = recognizer.words(image, options.image_quality)[: limits.words_per_page]
    return Page(index=index, aspect=aspect, source="ocr", words=in_reading_order(words))

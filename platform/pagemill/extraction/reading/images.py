"""Pages that are images: decoded within bounds, turned upright, recognised."""

from __future__ import annotations

import io
import warnings
from types import TracebackType

import numpy as np
from PIL import Image, ImageOps

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.layout import in_reading_order
from pagemill.extraction.reading.messages import ReadLimits
from pagemill.extraction.reading.ocr import Recognizer
from pagemill.extraction.types import Page, ReadOptions, Rotation

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF", "image/webp": "WEBP"}
TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


class ImageDocument:
    """A JPEG, PNG, WebP (one page each: the first frame) or TIFF (a page for each frame)."""

    def __init__(self, content: bytes, content_type: str, limits: ReadLimits, recognizer: Recognizer) -> None:
        self.content_type = content_type
        self._limits = limits
        self._recognizer = recognizer
        Image.MAX_IMAGE_PIXELS = limits.pixels
        self._image = self._open(content)
        self.number_of_pages = getattr(self._image, "n_frames", 1) if content_type == "image/tiff" else 1

    def __enter__(self) -> ImageDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._image.close()

    def read_page(self, index: int, options: ReadOptions) -> Page:
        """Recognise one page."""
        self._seek(index)
        self._check_pixels(self._image)
        upright = rgb(ImageOps.exif_transpose(self._image))
        return recognized_page(upright, index, options, self._limits, self._recognizer)

    def _open(self, content: bytes) -> Image.Image:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                image = Image.open(io.BytesIO(content), formats=[FORMATS[self.content_type]])
            except (Image.DecompressionBombWarning, Image.DecompressionBombError):
                raise self._too_many_pixels() from None
        self._check_pixels(image)
        return image

    def _seek(self, index: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                self._image.seek(index)
            except (Image.DecompressionBombWarning, Image.DecompressionBombError):
                raise self._too_many_pixels() from None

    def _check_pixels(self, image: Image.Image) -> None:
        if image.width * image.height > self._limits.pixels:
            raise self._too_many_pixels()

    def _too_many_pixels(self) -> DocumentUnreadable:
        return DocumentUnreadable(f"The image has more than {self._limits.pixels / 1e6:g} megapixels")


def recognized_page(
    image: Image.Image, index: int, options: ReadOptions, limits: ReadLimits, recognizer: Recognizer
) -> Page:
    """The words of an image, turned by the options first."""
    image = turned(image, options.rotation)
    if options.auto_rotate:
        image = turned(image, recognizer.upright_rotation(image))
    aspect = image.width / image.height
    words = recognizer.words(image, options.image_quality)[: limits.words_per_page]
    return Page(index=index, aspect=aspect, source="ocr", words=in_reading_order(words))


def turned(image: Image.Image, rotation: Rotation) -> Image.Image:
    """The image turned clockwise."""
    return image.transpose(TURNS[rotation]) if rotation else image


def rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: transparency on white, deep samples scaled to eight bits."""
    if image.mode.startswith("I") or image.mode == "F":
        converted = _eight_bits(image)
    elif image.has_transparency_data:
        layered = image.convert("RGBA")
        converted = Image.new("RGB", image.size, "white")
        converted.paste(layered, mask=layered.getchannel("A"))
    else:
        converted = image.convert("RGB")
    return converted


def _eight_bits(image: Image.Image) -> Image.Image:
    samples = np.asarray(image, dtype=np.float32)
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    darkest, lightest = min(float(finite.min()), 0.0), float(finite.max())
    # Sixteen bits in a 32-bit mode are common; what exceeds them is scaled by its own range.
    full = next((depth for depth in (1.0, 255.0, 65535.0) if lightest <= depth), lightest)
    scaled = (finite - darkest) * (255.0 / max(full - darkest, 1e-9))
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")

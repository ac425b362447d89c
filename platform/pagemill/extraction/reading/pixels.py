"""Images opened within bounds, and their pixels as plain RGB. Imported by child processes only."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from pagemill.errors import DocumentUnreadable
from pagemill.rotation import Rotation

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/tiff": "TIFF", "image/webp": "WEBP"}
TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
DENSITIES = ("dpi", "resolution", "aspect", "jfif_density")
"""Pillow's name for the pixels to the inch, and, where there is no unit, the relation of the two sides."""
MOST_STRETCH = 4.0
"""No scanner and no fax has pixels that are longer: the density is wrong then."""
LEAST_STRETCH = 0.02


def open_image(content: bytes, content_type: str, pixels: int) -> Image.Image:
    """Open an image without decoding it.

    Raises DocumentUnreadable when it is not of its type, or has more than ``pixels``.
    """
    Image.MAX_IMAGE_PIXELS = pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content), formats=[FORMATS[content_type]])
        except UnidentifiedImageError:
            raise DocumentUnreadable("The document is damaged: it is not a valid image") from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise _too_many(pixels) from None
    _check(image, pixels)
    return image


def number_of_frames(image: Image.Image) -> int:
    """Return the number of pages: the frames of a TIFF, 1 for other formats."""
    return getattr(image, "n_frames", 1) if image.format == "TIFF" else 1


def seek_frame(image: Image.Image, index: int, pixels: int) -> None:
    """Make a frame the one that is decoded. Raises DocumentUnreadable when it has more than ``pixels``."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image.seek(index)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise _too_many(pixels) from None
    _check(image, pixels)


def _check(image: Image.Image, pixels: int) -> None:
    if image.width * image.height > pixels:
        raise _too_many(pixels)


def _too_many(pixels: int) -> DocumentUnreadable:
    return DocumentUnreadable(f"The image has more than {pixels / 1e6:g} megapixels")


def turned(image: Image.Image, rotation: Rotation) -> Image.Image:
    """Return the image turned clockwise."""
    return image.transpose(TURNS[rotation]) if rotation else image


def pixel_shape(image: Image.Image) -> tuple[float, float]:
    """Return width and height of a stored pixel, in a unit of their own; equal where nothing is said."""
    density = next((image.info[name] for name in DENSITIES if name in image.info), (1, 1))
    try:
        across, down = (float(value) for value in density)
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0, 1.0
    stretch = across / down if across > 0 and down > 0 else 1.0
    return (1.0, stretch) if 1 / MOST_STRETCH <= stretch <= MOST_STRETCH else (1.0, 1.0)


def with_square_pixels(image: Image.Image, stretch: float) -> Image.Image:
    """Return the image with square pixels, from pixels that are ``stretch`` times as wide as high.

    It is enlarged along one side, so that the other loses nothing.
    """
    if abs(stretch - 1) < LEAST_STRETCH:
        return image
    width, height = image.size
    size = (round(width * stretch), height) if stretch > 1 else (width, round(height / stretch))
    return image.resize(size, Image.Resampling.BICUBIC)


def rgb(image: Image.Image) -> Image.Image:
    """Return any mode as RGB: transparency on white, deep samples scaled to eight bits."""
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

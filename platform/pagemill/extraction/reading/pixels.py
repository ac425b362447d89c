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

"""Pictures of text, drawn with the font that comes with Pillow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]


def drawn_line(text: str, *, size: int = 32) -> Pixels:
    """Return one line with a narrow margin, black on white."""
    font = ImageFont.load_default(size)
    _, _, width, height = font.getbbox(text)
    image = Image.new("RGB", (int(width) + size // 2, int(height) + size // 2), "white")
    ImageDraw.Draw(image).text((size // 4, size // 4), text, fill="black", font=font)
    return np.asarray(image)


def drawn_page(
    lines: Sequence[tuple[int, int, str]], *, width: int = 900, height: int = 600, size: int = 32
) -> Pixels:
    """Return a page with texts at their places (x, y), black on white."""
    image = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for x, y, text in lines:
        draw.text((x, y), text, fill="black", font=font)
    return np.asarray(image)

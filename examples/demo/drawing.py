"""Drawing of pages: described once, drawn as a PDF with a text layer or as pixels like a scan."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import reportlab
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

POINTS_PER_INCH = 72
FONT_FILES = {False: "Vera.ttf", True: "VeraBd.ttf"}
FONT_NAMES = {False: "Vera", True: "Vera-Bold"}
MAXIMUM_TILT_DEGREES = 0.7
NOISE = 6.0
JPEG_QUALITY = 82

Align = Literal["left", "right", "centre"]


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; (x, y) is the end of its base line that ``align`` names."""

    x: float
    y: float
    text: str
    size: float
    bold: bool
    align: Align
    grey: int


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    grey: int


@dataclass(slots=True)
class Sheet:
    """One page in points, origin at the top left."""

    width: float = 595.0
    height: float = 842.0
    boxes: list[Box] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 9.0,
        bold: bool = False,
        align: Align = "left",
        grey: int = 0,
    ) -> None:
        """Put a line of text at (x, y)."""
        self.texts.append(Text(x, y, text, size, bold, align, grey))

    def rule(self, x: float, y: float, width: float, *, thickness: float = 0.6, grey: int = 90) -> None:
        """Draw a horizontal line."""
        self.boxes.append(Box(x, y, width, thickness, grey))

    def fill(self, x: float, y: float, width: float, height: float, *, grey: int) -> None:
        """Draw a filled rectangle behind the text."""
        self.boxes.append(Box(x, y, width, height, grey))


def to_pdf(sheets: Sequence[Sheet]) -> bytes:
    """Return a PDF with a text layer."""
    for bold, name in FONT_NAMES.items():
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, str(_font_path(bold))))
    target = io.BytesIO()
    canvas = Canvas(target, invariant=True)
    for sheet in sheets:
        canvas.setPageSize((sheet.width, sheet.height))
        for box in sheet.boxes:
            canvas.setFillGray(box.grey / 255)
            canvas.rect(box.x, sheet.height - box.y - box.height, box.width, box.height, stroke=0, fill=1)
        for text in sheet.texts:
            _draw_on(canvas, text, sheet.height)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def _draw_on(canvas: Canvas, text: Text, page_height: float) -> None:
    draw: dict[Align, Callable[..., None]] = {
        "left": canvas.drawString,
        "right": canvas.drawRightString,
        "centre": canvas.drawCentredString,
    }
    canvas.setFillGray(text.grey / 255)
    canvas.setFont(FONT_NAMES[text.bold], text.size)
    draw[text.align](text.x, page_height - text.y, text.text)


def to_scan(sheet: Sheet, *, dots_per_inch: int, chance: random.Random) -> Image.Image:
    """Return the page as a scanner sees it: a little tilted, blurred and noisy."""
    scale = dots_per_inch / POINTS_PER_INCH
    image = Image.new("L", (round(sheet.width * scale), round(sheet.height * scale)), 255)
    pen = ImageDraw.Draw(image)
    for box in sheet.boxes:
        corner = (box.x + box.width, box.y + box.height)
        pen.rectangle((box.x * scale, box.y * scale, corner[0] * scale, corner[1] * scale), fill=box.grey)
    anchors: dict[Align, str] = {"left": "ls", "right": "rs", "centre": "ms"}
    for text in sheet.texts:
        font = _font(text.bold, text.size * scale)
        pen.text(
            (text.x * scale, text.y * scale), text.text, fill=text.grey, font=font, anchor=anchors[text.align]
        )
    tilt = chance.uniform(-MAXIMUM_TILT_DEGREES, MAXIMUM_TILT_DEGREES)
    image = image.rotate(tilt, resample=Image.Resampling.BICUBIC, fillcolor=255)
    image = image.filter(ImageFilter.GaussianBlur(chance.uniform(0.2, 0.6)))
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0.0, NOISE, (image.height, image.width))
    return Image.fromarray(np.clip(np.asarray(image, dtype=np.float32) + noise, 0, 255).astype(np.uint8))


def encode_images(images: Sequence[Image.Image], content_type: str) -> bytes:
    """Encode pages: JPEG and PNG hold the first one, TIFF holds all."""
    target = io.BytesIO()
    first, *others = images
    if content_type == "image/tiff":
        first.save(target, "TIFF", save_all=True, append_images=others, compression="tiff_adobe_deflate")
    elif content_type == "image/png":
        first.save(target, "PNG")
    else:
        first.save(target, "JPEG", quality=JPEG_QUALITY)
    return target.getvalue()


def _font_path(bold: bool) -> Path:
    return Path(reportlab.__file__).parent / "fonts" / FONT_FILES[bold]


@lru_cache(maxsize=64)
def _font(bold: bool, pixels: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_font_path(bold)), pixels)

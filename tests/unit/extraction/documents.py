"""Documents that the reading tests make for themselves."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib import pdfencrypt
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

RECEIPT = ("GREEN GROCER", "Apples 12.50", "Total 47.90")
PAGE = (400.0, 300.0)
SELLER = ("SELLER", "Alder Street Books Ltd", "14 Alder Street", "Bristol BS1 4QT")
BUYER = ("BUYER", "Copper Beech School", "2 Station Road", "Exeter EX4 3RP")
ROWS = ("Blue widgets 12 99.00", "Hydraulic oil 1 5.20", "Total due 104.20")
LETTER = (
    *("Dear", "customer", "please", "find", "enclosed", "your", "invoice", "for", "January", "which"),
    *("was", "delivered", "yesterday", "with", "kind", "regards", "Payment", "within", "thirty", "days"),
)


def text_pdf(pages: int = 1, *, rotate: int = 0, password: str | None = None) -> bytes:
    """Pages of 400 x 300 points with a heading, a row of three words and the page's number."""
    encryption = pdfencrypt.StandardEncryption(password, canPrint=1) if password else None
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=PAGE, encrypt=encryption)
    for number in range(pages):
        drawing.setFont("Helvetica", 20)
        drawing.drawString(40, 250, "Invoice Heading")
        drawing.setFont("Helvetica", 10)
        drawing.drawString(300, 150, "99.50")
        drawing.drawString(40, 150, "Blue widgets")
        drawing.drawString(40, 40, f"Page {number + 1}")
        drawing.showPage()
    drawing.save()
    # reportlab's own page rotation swaps the sides of the media box in some versions and not in others.
    return output.getvalue().replace(b"/Rotate 0", b"/Rotate %d" % rotate)


def crowded_pdf(pages: int, words: int) -> bytes:
    """Pages in the A4 format with so many words on each, ten in a line."""
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=(595.0, 842.0))
    for page in range(pages):
        drawing.setFont("Helvetica", 6)
        for first in range(0, words, 10):
            line = " ".join(f"w{page}x{word}" for word in range(first, min(first + 10, words)))
            drawing.drawString(30, 810 - first, line)
        drawing.showPage()
    drawing.save()
    return output.getvalue()


def columns_pdf() -> bytes:
    """Two addresses side by side above the rows of a table."""
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=PAGE)
    drawing.setFont("Helvetica", 10)
    for row in range(4):
        drawing.drawString(30, 260 - 14 * row, SELLER[row])
        drawing.drawString(220, 260 - 14 * row, BUYER[row])
    for number, row in enumerate(ROWS):
        *name, quantity, amount = row.split()
        drawing.drawString(30, 120 - 14 * number, " ".join(name))
        drawing.drawString(220, 120 - 14 * number, quantity)
        drawing.drawRightString(360, 120 - 14 * number, amount)
    drawing.save()
    return output.getvalue()


def sideways_pdf() -> bytes:
    """Text that is printed from the bottom to the top of an unrotated page."""
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=PAGE)
    drawing.translate(200, 40)
    drawing.rotate(90)
    drawing.drawString(0, 0, "Printed sideways here")
    drawing.save()
    return output.getvalue()


def form_pdf() -> bytes:
    """A form whose value is in a field, beside ordinary text."""
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=PAGE)
    drawing.drawString(40, 200, "Customer name below")
    drawing.acroForm.textfield(name="customer", value="Ferdinand", x=40, y=150, width=200, height=24)
    drawing.save()
    return output.getvalue()


def receipt_image(mode: str = "RGB", lines: tuple[str, ...] = RECEIPT) -> Image.Image:
    """A small receipt, black on white, in a mode."""
    image = Image.new("L", (420, 60 + 70 * len(lines)), 255)
    pencil = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=34)
    for number, line in enumerate(lines):
        pencil.text((30, 30 + 70 * number), line, fill=0, font=font)
    if mode == "I;16":
        deep = Image.new("I;16", image.size)
        deep.frombytes(b"".join(struct.pack("<H", value * 257) for value in image.tobytes()))
        return deep
    return image.convert("RGB").convert(mode) if mode != "L" else image


def letter_lines(count: int) -> list[str]:
    """The lines of a letter; each sixth is short."""
    return [
        " ".join(LETTER[(number * 7 + place * 5) % len(LETTER)] for place in range(8 if number % 6 else 3))
        for number in range(count)
    ]


def letter_image(lines: int = 26, size: tuple[int, int] = (850, 1100)) -> Image.Image:
    """A printed letter, black on white, at 100 dots to the inch."""
    image = Image.new("RGB", size, "white")
    pencil = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=20)
    for number, line in enumerate(letter_lines(lines)):
        pencil.text((70, 60 + 36 * number), line, fill="black", font=font)
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file."""
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def scanned_pdf() -> bytes:
    """A page that is nothing but an image."""
    image = receipt_image()
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=(image.width / 2, image.height / 2))
    drawing.drawImage(ImageReader(image), 0, 0, image.width / 2, image.height / 2)
    drawing.save()
    return output.getvalue()


def bomb_png(side: int = 50_000) -> bytes:
    """A PNG of a few bytes that claims to have very many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

"""Documents that can be rendered, made when they are asked for."""

from __future__ import annotations

import io

import pypdfium2
from PIL import Image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def picture(size: tuple[int, int] = (40, 20), kind: str = "PNG", **options: object) -> bytes:
    """An image whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, size[0], size[1]))
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def tiff(*sizes: tuple[int, int], dpi: int | None = None) -> bytes:
    """A TIFF with a frame of each size."""
    first, *others = [Image.new("L", size, 128) for size in sizes]
    written = io.BytesIO()
    first.save(written, "TIFF", save_all=True, append_images=others, **({"dpi": (dpi, dpi)} if dpi else {}))
    return written.getvalue()


def pdf(*sizes: tuple[int, int]) -> bytes:
    """A PDF with an empty page of each size, in points."""
    document = pypdfium2.PdfDocument.new()
    for width, height in sizes:
        document.new_page(width, height).close()
    return _saved(document)


def scan(pages: int = 2) -> bytes:
    """A PDF whose pages are noisy images of 200 dots per inch, and a page without any at the end."""
    document = pypdfium2.PdfDocument.new()
    width, height = 360, 504
    noise = io.BytesIO()
    Image.effect_noise((1000, 1400), 60).save(noise, "JPEG", quality=95)
    for _ in range(pages):
        page = document.new_page(width, height)
        image = pypdfium2.PdfImage.new(document)
        image.load_jpeg(io.BytesIO(noise.getvalue()), inline=True)
        image.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
        page.insert_obj(image)
        page.gen_content()
        page.close()
    document.new_page(200, 100).close()
    return _saved(document)


def _saved(document: pypdfium2.PdfDocument) -> bytes:
    written = io.BytesIO()
    document.save(written)
    document.close()
    return written.getvalue()


def sizes_of(content: bytes) -> list[tuple[float, float]]:
    """The sizes of a PDF's pages."""
    document = pypdfium2.PdfDocument(content)
    try:
        return [document.get_page_size(index) for index in range(len(document))]
    finally:
        document.close()


def opened(jpeg: bytes) -> Image.Image:
    """What is no JPEG is refused."""
    return Image.open(io.BytesIO(jpeg), formats=["JPEG"])


def is_near(image: Image.Image, place: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has about this colour: JPEG is not exact."""
    found = image.convert("RGB").getpixel(place)
    return isinstance(found, tuple) and all(abs(a - b) < 60 for a, b in zip(found, colour, strict=True))

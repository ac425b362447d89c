"""Scanned pages become smaller, all other pages stay as they are."""

from __future__ import annotations

import io
import random

import pypdfium2
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from pagemill.documents.thumbnails import light_pdfs
from pagemill.documents.thumbnails.light_pdfs import make_light_pdf
from pagemill.errors import DocumentUnreadable
from tests.unit.extraction.documents import text_pdf

WIDTH, HEIGHT = 400.0, 300.0


def noise(width: int = 1200, height: int = 900) -> Image.Image:
    """A scan that hardly can be compressed without loss."""
    return Image.frombytes("L", (width, height), random.Random(5).randbytes(width * height))


def pdf(*shares: float) -> bytes:
    """A page for each share of it that a scan covers; a page without a scan has text."""
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=(WIDTH, HEIGHT))
    for number, share in enumerate(shares):
        if share:
            drawing.drawImage(ImageReader(noise()), 0, 0, WIDTH, HEIGHT * share)
        else:
            drawing.drawString(40, 40, f"Page {number + 1}")
        drawing.showPage()
    drawing.save()
    return output.getvalue()


def texts(content: bytes) -> list[str]:
    with pypdfium2.PdfDocument(content) as document:
        return [page.get_textpage().get_text_bounded().strip() for page in document]


def sizes(content: bytes) -> list[tuple[float, float]]:
    with pypdfium2.PdfDocument(content) as document:
        return [page.get_size() for page in document]


def test_scans_become_smaller() -> None:
    content = pdf(1.0, 1.0)
    light = make_light_pdf(content)
    assert 0 < len(light) < len(content) / 4
    assert sizes(light) == [(WIDTH, HEIGHT)] * 2


def test_pages_with_text_stay_as_they_are() -> None:
    light = make_light_pdf(pdf(0.0, 1.0, 0.0))
    assert texts(light) == ["Page 1", "", "Page 3"]
    assert len(sizes(light)) == 3


@pytest.mark.parametrize(("share", "is_scan"), [(0.45, False), (0.55, True)])
def test_an_image_that_covers_most_of_a_page_makes_it_a_scan(share: float, is_scan: bool) -> None:
    assert bool(make_light_pdf(pdf(share))) is is_scan


def test_nothing_is_made_of_a_pdf_without_scans() -> None:
    assert make_light_pdf(text_pdf(2)) == b""


def test_a_scan_that_is_small_already_stays() -> None:
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=(WIDTH, HEIGHT))
    drawing.drawImage(ImageReader(Image.new("L", (40, 30), 255)), 0, 0, WIDTH, HEIGHT)
    drawing.save()
    assert make_light_pdf(output.getvalue()) == b""


def test_a_light_pdf_cannot_be_made_lighter() -> None:
    light = make_light_pdf(pdf(1.0))
    again = make_light_pdf(light)
    assert not again or len(again) < len(light)


def test_what_takes_too_long_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light_pdfs, "TIME_LIMIT", -1.0)
    assert make_light_pdf(pdf(1.0)) == b""


def test_the_page_is_shown_as_before() -> None:
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=(WIDTH, HEIGHT))
    scan = noise()
    scan.paste(0, (0, 0, 600, 900))
    scan.paste(255, (600, 0, 1200, 900))
    scan.paste(noise(300, 200), (450, 350))
    drawing.drawImage(ImageReader(scan), 0, 0, WIDTH, HEIGHT)
    drawing.save()
    light = make_light_pdf(output.getvalue())
    assert light
    with pypdfium2.PdfDocument(light) as document:
        shown = document[0].render(scale=1).to_pil().convert("L")
    assert shown.getpixel((40, 20)) < 60
    assert shown.getpixel((360, 20)) > 195


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4\nnothing"])
def test_a_damaged_pdf_is_refused(content: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="damaged"):
        make_light_pdf(content)

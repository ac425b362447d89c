"""A page of a PDF is rendered as a person sees it, within bounds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from reportlab.pdfgen import canvas

from pagemill.extraction.reading.pdf_file import open_pdf
from pagemill.extraction.reading.pdf_rendering import render
from pagemill.extraction.types import ReadOptions
from pagemill.rotation import Rotation

MANY = 16_000_000


@contextmanager
def page(width: float, height: float) -> Iterator[object]:
    """A page with a red square in its upper left corner."""
    output = io.BytesIO()
    drawing = canvas.Canvas(output, pagesize=(width, height))
    drawing.setFillColorRGB(1, 0, 0)
    side = min(width, height) / 4
    drawing.rect(0, height - side, side, side, stroke=0, fill=1)
    drawing.save()
    document = open_pdf(output.getvalue())
    opened = document[0]
    yield opened
    opened.close()
    document.close()


@pytest.mark.parametrize(
    ("rotation", "corner"), [(0, (2, 2)), (90, (2, -3)), (180, (-3, -3)), (270, (-3, 2))]
)
def test_a_page_is_turned_clockwise(rotation: Rotation, corner: tuple[int, int]) -> None:
    with page(200, 100) as opened:
        pixels = render(opened, ReadOptions(rotation=rotation), MANY)
    assert pixels.shape == ((208, 416, 3) if rotation in (0, 180) else (416, 208, 3))
    assert pixels[corner].tolist() == [255, 0, 0]
    assert pixels[100, 100].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("size", "options", "shape"),
    [
        ((595, 842), ReadOptions(), (1600, 1130)),
        ((595, 842), ReadOptions(image_quality="HIGH"), (2200, 1554)),
        ((72, 864), ReadOptions(), (1800, 150)),
        ((864, 72), ReadOptions(image_quality="HIGH"), (200, 2400)),
        ((1000, 12_000), ReadOptions(), (6400, 533)),
        ((14_400, 3), ReadOptions(), (6, 30_000)),
    ],
)
def test_the_resolution_is_that_of_the_quality_also_for_strips(
    size: tuple[float, float], options: ReadOptions, shape: tuple[int, int]
) -> None:
    with page(*size) as opened:
        assert render(opened, options, MANY).shape[:2] == shape


def test_pixels_are_bounded() -> None:
    with page(595, 842) as opened:
        pixels = render(opened, ReadOptions(), 10_000)
    assert 9_500 < pixels.shape[0] * pixels.shape[1] <= 10_000
    assert np.array_equal(pixels[1, 1], [255, 0, 0])

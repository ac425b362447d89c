"""Skew of pages: found where lines of text show it, taken out of the pixels, put back into boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pagemill.extraction.recognition.skew import can_be_deskewed, deskewed, on_skewed_page, skew
from pagemill.extraction.types import Word
from tests.unit.extraction.documents import letter_image

Pixels = NDArray[np.uint8]
INK = (0, 0, 0)


def pixels_of(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def skewed(image: Image.Image, degrees: float, paper: str = "white") -> Image.Image:
    """The image on larger paper, turned clockwise by any number of degrees."""
    return image.rotate(-degrees, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=paper)


def ink_box(pixels: Pixels) -> tuple[float, float, float, float]:
    """The box around all dark pixels, in 0..1."""
    rows, columns = np.nonzero(pixels[:, :, 0] < 128)
    height, width = pixels.shape[:2]
    return columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height


@pytest.mark.parametrize("degrees", [-9.5, -7, -3.3, -1, 0, 0.6, 2, 5.5, 9.5])
def test_the_skew_of_lines_of_text_is_measured(degrees: float) -> None:
    assert skew(pixels_of(skewed(letter_image(), degrees))) == pytest.approx(degrees, abs=0.2)


@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
def test_the_skew_is_the_same_whichever_side_is_up(quarter: int) -> None:
    page = skewed(letter_image(), 4).rotate(quarter, expand=True)
    assert skew(pixels_of(page)) == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("scale", [0.6, 2.5])
def test_the_skew_does_not_depend_on_the_resolution(scale: float) -> None:
    page = skewed(letter_image(), -3)
    size = round(page.width * scale), round(page.height * scale)
    assert skew(pixels_of(page.resize(size, Image.Resampling.LANCZOS))) == pytest.approx(-3, abs=0.25)


def test_the_skew_of_a_long_strip_is_measured() -> None:
    strip = letter_image(lines=150, size=(850, 5600))
    assert skew(pixels_of(skewed(strip, 1.5))) == pytest.approx(1.5, abs=0.2)


def test_gray_paper_and_noise_hide_no_skew() -> None:
    page = pixels_of(skewed(letter_image(), 3, paper="#ffffff")).astype(np.int16)
    noise = np.random.default_rng(7).normal(0, 12, page.shape)
    shaded = (page * 0.7 + noise).clip(0, 255).astype(np.uint8)
    assert skew(shaded) == pytest.approx(3, abs=0.25)


def test_more_skew_than_a_scanner_makes_is_left() -> None:
    assert skew(pixels_of(skewed(letter_image(), 25))) == 0


@pytest.mark.parametrize("size", [(1, 1), (300, 2), (2, 300), (15, 15), (600, 800)])
def test_an_empty_page_has_no_skew(size: tuple[int, int]) -> None:
    assert skew(pixels_of(Image.new("RGB", size, "white"))) == 0


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dots", [60, 400, 3000])
def test_scattered_dots_have_no_skew(seed: int, dots: int) -> None:
    generator = np.random.default_rng(seed)
    page = Image.new("RGB", (850, 1100), "white")
    pencil = ImageDraw.Draw(page)
    for x, y in generator.integers(10, (840, 1090), (dots, 2)).tolist():
        side = int(generator.integers(4, 12))
        pencil.rectangle((x, y, x + side, y + side), fill="black")
    assert skew(pixels_of(page)) == 0


def test_a_few_words_are_no_evidence() -> None:
    assert skew(pixels_of(skewed(letter_image(lines=1), 6))) == 0


@pytest.mark.parametrize("degrees", [-8, -2.5, 1, 7])
def test_deskewed_lines_are_level(degrees: float) -> None:
    straight = deskewed(pixels_of(skewed(letter_image(), degrees)), degrees)
    assert skew(straight) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("degrees", [-6.0, 6.0])
def test_nothing_is_cut_off_and_new_corners_are_of_the_papers_colour(degrees: float) -> None:
    page = np.full((200, 300, 3), (250, 240, 200), np.uint8)
    page[:8, :8] = page[-8:, :8] = page[:8, -8:] = page[-8:, -8:] = INK
    straight = deskewed(page, degrees)
    assert straight.shape[0] > 200
    assert straight.shape[1] > 300
    assert (straight[:, :, 0] < 100).sum() == pytest.approx(4 * 64, rel=0.15)
    assert straight[0, 0].tolist() == [250, 240, 200]


@pytest.mark.parametrize(
    ("width", "height", "degrees", "bounded"),
    [
        (1000, 1400, 10.0, True),
        (600, 4200, -2.0, True),
        (100, 160_000, 5.0, False),
        (160_000, 100, -5.0, False),
        (4000, 33_000, 0.6, False),
    ],
)
def test_a_strip_that_would_become_too_large_is_not_deskewed(
    width: int, height: int, degrees: float, bounded: bool
) -> None:
    assert can_be_deskewed(width, height, degrees) is bounded


def test_gray_pictures_are_deskewed_too() -> None:
    page = pixels_of(skewed(letter_image(), 5))[:, :, 0]
    straight = deskewed(page, 5)
    assert straight.ndim == 2
    assert skew(np.dstack([straight] * 3)) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("degrees", [-7.0, -1.0, 2.0, 9.0])
@pytest.mark.parametrize("at", [(120, 90), (600, 100), (110, 1000), (560, 930), (400, 500)])
def test_a_box_of_the_deskewed_picture_covers_the_word_on_the_page(
    degrees: float, at: tuple[int, int]
) -> None:
    """A block of ink stands for a word; its box is taken from the deskewed picture of a skewed page."""
    drawn = Image.new("RGB", (850, 1100), "white")
    ImageDraw.Draw(drawn).rectangle((*at, at[0] + 120, at[1] + 24), fill="black")
    page = pixels_of(skewed(drawn, degrees))
    word = Word("ink", *ink_box(deskewed(page, degrees)), 0.9)
    height, width = page.shape[:2]
    shown = on_skewed_page(word, degrees, width, height)
    assert (shown.text, shown.confidence) == ("ink", 0.9)
    box = (shown.x0 * width, shown.y0 * height, shown.x1 * width, shown.y1 * height)
    left, top, right, bottom = ink_box(page)
    assert box == pytest.approx((left * width, top * height, right * width, bottom * height), abs=3)


def test_without_skew_a_box_stays() -> None:
    word = Word("ink", 0.1, 0.2, 0.3, 0.4, 0.5)
    shown = on_skewed_page(word, 0.0, 640, 480)
    assert (shown.x0, shown.y0, shown.x1, shown.y1) == pytest.approx((0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize("degrees", [-10.0, 10.0])
def test_boxes_stay_on_the_page(degrees: float) -> None:
    for x, y in ((0.0, 0.0), (0.95, 0.0), (0.0, 0.95), (0.95, 0.95)):
        shown = on_skewed_page(Word("corner", x, y, x + 0.05, y + 0.05), degrees, 850, 1100)
        assert 0 <= shown.x0 <= shown.x1 <= 1
        assert 0 <= shown.y0 <= shown.y1 <= 1


def test_a_box_grows_by_what_the_skew_adds() -> None:
    shown = on_skewed_page(Word("wide", 0.4, 0.49, 0.6, 0.51), 3.0, 1000, 1000)
    assert shown.y1 - shown.y0 > 0.02 + 0.2 * math.sin(math.radians(3)) * 0.99
    assert shown.x1 - shown.x0 < 0.23

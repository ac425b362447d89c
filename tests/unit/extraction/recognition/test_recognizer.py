"""Words on plain pixels: what they say, where they are, how sure; on pages of every shape."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.recognition.device import Device, processor
from pagemill.extraction.recognition.recognizer import Recognizer
from pagemill.extraction.types import Word
from tests.unit.extraction.recognition.drawn import Pixels, drawn_line, drawn_page

RECEIPT = [
    (40, 40, "GREEN GROCER"),
    (40, 120, "Apples"),
    (600, 120, "12.50"),
    (40, 200, "Total"),
    (600, 200, "47.90"),
]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(threads=2)


def texts(words: list[Word]) -> set[str]:
    return {word.text for word in words}


def test_words_of_a_page(recognizer: Recognizer) -> None:
    words = recognizer.words(drawn_page(RECEIPT), "LOW")
    assert texts(words) == {"GREEN", "GROCER", "Apples", "12.50", "Total", "47.90"}
    assert all(0.8 < word.confidence <= 1 for word in words)


def test_boxes_are_where_the_words_are(recognizer: Recognizer) -> None:
    page = drawn_page([(100, 200, "Alder"), (100, 300, "Left Right")], width=800, height=600)
    places = {word.text: word for word in recognizer.words(page, "LOW")}
    alder, left, right = places["Alder"], places["Left"], places["Right"]
    assert alder.x0 == pytest.approx(100 / 800, abs=0.02)
    assert 200 / 600 - 0.02 < alder.y0 < 215 / 600 < alder.y1 < 250 / 600
    assert left.x0 == pytest.approx(100 / 800, abs=0.02)
    assert left.x1 < right.x0 + 0.01
    dark = np.flatnonzero(page[300:350].min(axis=(0, 2)) < 100)
    assert right.x1 == pytest.approx(dark.max() / 800, abs=0.02)


@pytest.mark.parametrize("degrees", [-8, -3, 3, 8])
def test_a_skewed_page_is_read(recognizer: Recognizer, degrees: float) -> None:
    page = np.asarray(Image.fromarray(drawn_page(RECEIPT)).rotate(degrees, fillcolor="white"))
    assert texts(recognizer.words(page, "LOW")) == {"GREEN", "GROCER", "Apples", "12.50", "Total", "47.90"}


@pytest.mark.parametrize("turns", [1, 3], ids=["upwards", "downwards"])
def test_lines_that_run_up_or_down_are_read(recognizer: Recognizer, turns: int) -> None:
    page = np.full((600, 900, 3), 255, dtype=np.uint8)
    note = np.rot90(drawn_line("Reverse charge"), turns)
    page[100 : 100 + note.shape[0], 50 : 50 + note.shape[1]] = note
    words = {word.text: word for word in recognizer.words(page, "LOW")}
    assert set(words) == {"Reverse", "charge"}
    assert (words["Reverse"].y0 > words["charge"].y0) == (turns == 1)
    assert all(word.y1 - word.y0 > word.x1 - word.x0 for word in words.values())


def test_a_single_upright_digit_is_not_turned(recognizer: Recognizer) -> None:
    page = drawn_page([(100, 100, "Quantity"), (400, 100, "7"), (100, 200, "Boxes"), (400, 200, "4")])
    assert {"7", "4"} <= texts(recognizer.words(page, "LOW"))


def test_small_print_on_a_large_page(recognizer: Recognizer) -> None:
    lines = [
        (60 + 500 * column, 60 + 40 * row, f"R{row:02d}-{column}")
        for row in range(40)
        for column in (0, 1, 2)
    ]
    words = recognizer.words(drawn_page(lines, width=1600, height=1700, size=17), "LOW")
    assert {text for _, _, text in lines} - texts(words) == set()


@pytest.mark.parametrize("shape", [(400, 4800), (4800, 400)], ids=["high", "wide"])
def test_strips_are_legible(recognizer: Recognizer, shape: tuple[int, int]) -> None:
    width, height = shape
    places = [(x, y) for x in range(40, width - 200, 300) for y in range(40, height - 60, 400)]
    page = drawn_page([(x, y, f"Item{n:02d}") for n, (x, y) in enumerate(places)], width=width, height=height)
    assert texts(recognizer.words(page, "LOW")) == {f"Item{n:02d}" for n in range(len(places))}


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3000, 2), (2, 3000), (6, 6), (40, 3000)])
def test_pages_without_text_have_no_words(recognizer: Recognizer, shape: tuple[int, int]) -> None:
    assert recognizer.words(np.full((*shape, 3), 255, dtype=np.uint8), "LOW") == []


def test_a_page_that_takes_too_long_is_refused() -> None:
    with pytest.raises(DocumentUnreadable, match="A page took longer than 0 seconds to read"):
        Recognizer(page_seconds=0).words(drawn_page(RECEIPT), "LOW")


def test_noise_is_not_text(recognizer: Recognizer) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    assert recognizer.words(noise, "LOW") == []


def test_lines(recognizer: Recognizer) -> None:
    (first, sure), (second, _) = recognizer.lines([drawn_line("INV-61001"), drawn_line("Total due", size=18)])
    assert (first, second) == ("INV-61001", "Total due")
    assert sure > 0.9
    assert recognizer.lines([]) == []


def test_high_quality_reads_the_same(recognizer: Recognizer) -> None:
    page = drawn_page(RECEIPT, width=1800, height=1200)
    assert texts(recognizer.words(page, "HIGH")) == texts(recognizer.words(page, "LOW"))


def test_threads_read_what_one_thread_reads(recognizer: Recognizer) -> None:
    pages = [drawn_page([(40, 40, f"Page {number}"), (40, 140, f"{number}9.95")]) for number in range(1, 4)]
    alone = [recognizer.words(page, "LOW") for page in pages]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda page: recognizer.words(page, "LOW"), pages))
    assert together == alone


def test_batches_of_a_gpu_read_the_same() -> None:
    # Its batches and widths, on the processor: what a GPU computes differs by rounding alone.
    batched = Recognizer(device=Device(processor(1).providers, concurrency=1, batch_size=32, width_step=160))
    words = batched.words(drawn_page(RECEIPT), "LOW")
    alone = Recognizer().words(drawn_page(RECEIPT), "LOW")
    assert [word.text for word in words] == [word.text for word in alone]
    boxes = [[(word.x0, word.y0, word.x1, word.y1) for word in one] for one in (words, alone)]
    np.testing.assert_allclose(*boxes, atol=0.02)


def test_threads_may_begin_together() -> None:
    recognizer = Recognizer(threads=3)
    line: Pixels = drawn_line("once")
    begin = threading.Barrier(4)

    def read(_: int) -> list[tuple[str, float]]:
        begin.wait()
        return recognizer.lines([line])

    with ThreadPoolExecutor(4) as pool:
        assert {found[0][0] for found in pool.map(read, range(4))} == {"once"}


def test_the_device_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    recognizer = Recognizer(threads=3)
    with caplog.at_level(logging.INFO, "pagemill"):
        recognizer.prepare()
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"pages are recognised on {recognizer.device}"]


def test_a_gpu_is_warmed_up() -> None:
    class Pretended(Device):
        """The processor, treated like a GPU."""

        @property
        def is_gpu(self) -> bool:
            return True

    device = Pretended(processor(1).providers, concurrency=1, batch_size=2, width_step=480)
    recognizer = Recognizer(device=device)
    recognizer.prepare()
    assert recognizer.lines([drawn_line("warm")])[0][0] == "warm"


def test_a_recogniser_beside_another_does_not_wait_for_it(recognizer: Recognizer) -> None:
    other = recognizer.beside()
    page = drawn_page(RECEIPT)
    words = recognizer.words(page, "LOW")
    places = recognizer._models().detector._places
    with places, places:
        assert other.words(page, "LOW") == words
    assert other.device is recognizer.device

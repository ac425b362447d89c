"""Tesseract reads the scripts whose data are installed, and tells which of them a page is written in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pagemill.extraction.recognition import tesseract
from pagemill.extraction.recognition.script_choice import Detection
from pagemill.extraction.recognition.scripts import BY_NAME, ScriptName
from pagemill.extraction.recognition.tesseract import TesseractRecognizer
from pagemill.extraction.recognition.tesseract_program import TesseractProgram
from tests.support.processes import PATIENCE_SECONDS
from tests.unit.extraction.recognition.script_pages import draw_page, installed, needs, printed_words

ALL: list[ScriptName] = list(BY_NAME)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine Tesseract takes its time; what is asked here is what it reads."""
    monkeypatch.setattr(tesseract, "SAMPLE_SECONDS", PATIENCE_SECONDS)


def recognizer(*scripts: ScriptName) -> TesseractRecognizer:
    needs(*scripts)
    program = installed()
    assert program is not None
    return TesseractRecognizer(scripts or list(program.data), program)


@pytest.mark.parametrize("script", ALL)
def test_the_words_of_a_page_are_read(script: ScriptName) -> None:
    words = recognizer(script).words(draw_page(script), script)
    printed = printed_words(script)
    read = [word.text for word in words]
    assert sum(word in read for word in printed) >= 0.8 * len(printed)
    assert all(0 <= word.x0 < word.x1 <= 1 and 0 <= word.y0 < word.y1 <= 1 for word in words)
    assert sum(word.confidence for word in words) / len(words) > 0.8


def test_boxes_are_where_the_words_are() -> None:
    words = recognizer("Cyrillic").words(draw_page("Cyrillic"), "Cyrillic")
    (number,) = [word for word in words if word.text == "61001"]
    assert number.y0 == pytest.approx((80 + 2.6 * 34) / 700, abs=0.02)
    assert number.x0 > max(word.x1 for word in words if word.text == "оплату") - 0.2


@pytest.mark.parametrize("script", ALL)
def test_the_script_of_a_page_is_chosen_among_all(script: ScriptName) -> None:
    needs(script)
    everything = recognizer()
    assert everything.choose(draw_page(script), None) == script


def test_a_latin_page_is_in_none_of_the_scripts() -> None:
    everything = recognizer("Cyrillic", "Greek")
    page = draw_page("Latin")
    assert everything.choose(page, None) is None
    assert everything.detect(page).script is None


def test_the_detection_names_scripts_that_are_not_installed() -> None:
    needs("Greek", "Cyrillic")
    program = installed()
    assert program is not None
    if not program.detects_scripts:
        pytest.skip("needs Tesseract's data osd")
    assert TesseractRecognizer(["Greek"], program).detect(draw_page("Cyrillic")).script is BY_NAME["Cyrillic"]


def test_a_page_that_lies_on_its_side_is_noticed() -> None:
    everything = recognizer("Cyrillic")
    page = draw_page("Latin")
    assert not everything.detect(page).turned
    assert everything.detect(np.ascontiguousarray(np.rot90(page))).turned


def test_without_data_for_the_detection_nothing_is_detected() -> None:
    assert (
        TesseractRecognizer([], TesseractProgram("/nowhere", ["eng"])).detect(draw_page("Latin"))
        == Detection()
    )


def test_a_picture_without_letters_is_in_no_script() -> None:
    everything = recognizer()
    noise = np.random.default_rng(3).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    assert everything.choose(noise, None) is None


def test_several_threads_read_at_once() -> None:
    cyrillic = recognizer("Cyrillic")
    page = draw_page("Cyrillic")
    with ThreadPoolExecutor(3) as pool:
        read = list(pool.map(lambda _: cyrillic.words(page, "Cyrillic"), range(3)))
    assert read[0] == read[1] == read[2]

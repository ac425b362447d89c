"""The script of a page is the one whose data read a sample of it best."""

from __future__ import annotations

import pytest

from pagemill.extraction.recognition.script_choice import choose_script, confidence, parse_detection
from pagemill.extraction.recognition.scripts import BY_NAME
from pagemill.extraction.types import Word


def words(text: str, sure: float) -> list[Word]:
    return [Word(one, 0.1, 0.1, 0.2, 0.2, sure) for one in text.split()]


RUSSIAN, GREEK = "Счёт на оплату 61001", "Τιμολόγιο αριθμός 61001"


def test_the_surest_reading_wins() -> None:
    samples = {"Greek": words(GREEK, 0.4), "Cyrillic": words(RUSSIAN, 0.9), "Thai": words("บาท", 0.5)}
    assert choose_script(samples, None) == "Cyrillic"  # type: ignore[arg-type]


def test_latin_text_that_all_data_read_well_is_no_script() -> None:
    samples = {"Arabic": words("Alder Street Books", 0.95), "Cyrillic": words("Адег Street", 0.58)}
    assert choose_script(samples, None) is None  # type: ignore[arg-type]


def test_numbers_alone_are_no_script() -> None:
    assert choose_script({"Cyrillic": words("61001 1234.56", 0.99)}, None) is None


def test_a_single_letter_among_latin_words_is_no_script() -> None:
    assert choose_script({"Greek": words("resistance of 12 kΩ measured Ω", 0.9)}, None) is None


@pytest.mark.parametrize(("detected", "chosen"), [("Hebrew", None), ("Thai", "Thai"), (None, None)])
def test_a_doubtful_reading_needs_the_detection(detected: str | None, chosen: str | None) -> None:
    script = BY_NAME[detected] if detected else None
    assert choose_script({"Thai": words("บาท ราคา", 0.73)}, script) == chosen


def test_without_any_reading_there_is_no_script() -> None:
    assert choose_script({}, BY_NAME["Thai"]) is None
    assert choose_script({"Thai": []}, BY_NAME["Thai"]) is None


def test_long_words_weigh_more() -> None:
    assert confidence([Word("a", 0, 0, 1, 1, 0.0), Word("bcd", 0, 0, 1, 1, 1.0)]) == 0.75
    assert confidence([]) == 0.0


@pytest.mark.parametrize(
    ("report", "name"),
    [
        ("Orientation: 0\nScript: Cyrillic\nScript confidence: 2.31\n", "Cyrillic"),
        ("Script: Korean\n", "Hangul"),
        ("Script: Latin\n", None),
        ("Too few characters. Skipping this page\n", None),
        ("", None),
    ],
)
def test_the_detected_script_is_taken_from_the_report(report: str, name: str | None) -> None:
    script = parse_detection(report).script
    assert (script.name if script else None) == name


@pytest.mark.parametrize(
    ("report", "turned"),
    [
        ("Rotate: 90\nOrientation confidence: 5.2\n", True),
        ("Rotate: 90\nOrientation confidence: 0.4\n", False),
        ("Rotate: 0\nOrientation confidence: 9.1\n", False),
        ("Rotate: 90\nOrientation confidence: high\n", False),
        ("", False),
    ],
)
def test_a_page_is_turned_when_the_detection_is_sure(report: str, turned: bool) -> None:
    assert parse_detection(report).turned == turned

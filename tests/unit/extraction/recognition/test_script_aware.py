"""A page that the ONNX models read costs no call of Tesseract; one that they do not read is Tesseract's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pagemill.extraction.recognition.script_aware import (
    ScriptAwareRecognizer,
    ScriptsNotInstalled,
    describe,
    with_scripts,
)
from pagemill.extraction.recognition.tesseract import TesseractRecognizer
from pagemill.extraction.recognition.tesseract_program import TesseractProgram
from pagemill.extraction.types import ImageQuality, Word
from tests.unit.extraction.recognition.script_pages import draw_page, fake_program, needs, printed_words

NUMBER = Word("61001", 0.38, 0.24, 0.5, 0.29, 0.97)
LATIN_LINES = [Word("Alder", 0.05, 0.1 + 0.126 * row, 0.95, 0.18 + 0.126 * row, 0.98) for row in range(4)]


class PretendRecognizer:
    """Has read what it is told; a line by itself is ``alone``."""

    def __init__(self, words: Sequence[Word] = (), alone: tuple[str, float] = ("", 0.0)) -> None:
        self.read, self.alone = list(words), alone
        self.crops: list[tuple[int, ...]] = []

    def words(self, pixels: NDArray[np.uint8], quality: ImageQuality) -> list[Word]:
        return list(self.read)

    def lines(self, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[str, float]]:
        self.crops += [crop.shape for crop in crops]
        return [self.alone for _ in crops]


def on_path(directory: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a program on the PATH that notes its calls in the file that is returned."""
    calls = directory / "calls"
    fake_program(directory, f'echo "$@" >> {calls}; {body}')
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return calls


@pytest.mark.parametrize("script", ["Cyrillic", "Arabic", "Thai"])
def test_a_page_in_another_script_is_read(script: str) -> None:
    needs(script)
    words = with_scripts(PretendRecognizer(), "auto").words(draw_page(script), "LOW")
    printed, read = printed_words(script), [word.text for word in words]
    assert sum(word in read for word in printed) >= 0.8 * len(printed)


def test_numbers_of_the_onnx_models_stay_on_such_a_page() -> None:
    needs("Cyrillic")
    number = Word("6100I", 0.36, 0.24, 0.5, 0.31, 0.97)
    words = with_scripts(PretendRecognizer([number]), "auto").words(draw_page("Cyrillic"), "LOW")
    assert [word.text for word in words if word.text.startswith("610")] == ["6100I"]


def test_words_with_digits_are_read_again_alone() -> None:
    needs("Cyrillic")
    alone = PretendRecognizer(alone=("9999999", 0.99))
    words = with_scripts(alone, "auto").words(draw_page("Cyrillic"), "LOW")
    assert [word.text for word in words].count("9999999") == 2
    assert len(alone.crops) == 2


def test_a_latin_page_is_read_without_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = on_path(tmp_path, monkeypatch, "exit 1")
    aware = with_scripts(PretendRecognizer(LATIN_LINES), "auto")
    assert aware.words(draw_page("Latin"), "LOW") == LATIN_LINES
    assert not calls.exists()


def test_a_page_in_doubt_asks_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = on_path(tmp_path, monkeypatch, "echo nothing")
    aware = with_scripts(PretendRecognizer([NUMBER]), "auto")
    assert aware.words(draw_page("Cyrillic"), "LOW") == [NUMBER]
    assert [line.split()[3] for line in calls.read_text().splitlines()] == ["osd", "Cyrillic"]


def test_a_page_on_its_side_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = on_path(tmp_path, monkeypatch, "printf 'Rotate: 270\\nOrientation confidence: 7\\n'")
    aware = with_scripts(PretendRecognizer([NUMBER]), "auto")
    assert aware.words(np.ascontiguousarray(np.rot90(draw_page("Latin"))), "LOW") == [NUMBER]
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "body", ["exit 1", r"printf '\377\t\0garbage\n5\t1\n'", "kill -9 $$"], ids=["error", "garbage", "killed"]
)
def test_a_page_is_read_with_what_there_is_when_the_program_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    on_path(tmp_path, monkeypatch, body)
    aware = with_scripts(PretendRecognizer([NUMBER]), "auto")
    assert aware.words(draw_page("Cyrillic"), "LOW") == [NUMBER]


def test_a_script_that_is_not_installed_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    on_path(tmp_path, monkeypatch, "echo 'Script: Greek'")
    aware = with_scripts(PretendRecognizer([NUMBER]), "auto")
    for _ in range(3):
        assert aware.words(draw_page("Greek"), "LOW") == [NUMBER]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "Greek" in warnings[0]
    assert "tesseract-ocr-script-grek" in warnings[0]


def test_without_tesseract_the_operator_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    aware = with_scripts(PretendRecognizer([NUMBER]), "auto")
    for _ in range(3):
        assert aware.words(draw_page("Cyrillic"), "LOW") == [NUMBER]
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [said.count("tesseract-ocr-script-*") for said in warned] == [1]


@pytest.mark.parametrize(
    ("setting", "packages"),
    [
        ("Greek", ["tesseract-ocr-script-grek"]),
        ("Cyrillic,Thai,Hebrew", ["tesseract-ocr-script-thai", "tesseract-ocr-script-hebr"]),
    ],
)
def test_a_setting_that_names_what_is_not_installed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, packages: list[str]
) -> None:
    on_path(tmp_path, monkeypatch, "exit 0")
    with pytest.raises(ScriptsNotInstalled, match="PAGEMILL_READING_SCRIPTS") as caught:
        with_scripts(PretendRecognizer(), setting)
    assert all(package in caught.value.message for package in packages)
    assert "Cyrillic" not in caught.value.message


def test_a_setting_without_the_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ScriptsNotInstalled, match="tesseract-ocr tesseract-ocr-script-cyrl"):
        with_scripts(PretendRecognizer(), "Cyrillic")


def test_only_the_scripts_of_the_setting_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("Cyrillic", "Greek")
    aware = with_scripts(PretendRecognizer([NUMBER]), "Greek")
    assert aware.words(draw_page("Cyrillic"), "LOW") == [NUMBER]


def test_none_is_the_recognizer_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = PretendRecognizer([NUMBER])
    assert with_scripts(plain, "none") is plain


def test_lines_are_those_of_the_recognizer() -> None:
    aware = ScriptAwareRecognizer(PretendRecognizer(alone=("Total", 0.9)), None)
    assert aware.lines([np.zeros((20, 80, 3), np.uint8)]) == [("Total", 0.9)]


def test_what_is_read_is_described() -> None:
    everything = TesseractProgram("/tesseract", ["Cyrillic", "ell", "osd"])
    said = describe(everything)
    assert said.startswith("Cyrillic, Greek; not installed: Arabic (tesseract-ocr-script-arab), ")
    assert "tesseract-ocr" in describe(None)


def test_a_program_that_ends_while_pages_are_read_is_told(caplog: pytest.LogCaptureFixture) -> None:
    gone = TesseractRecognizer(["Cyrillic"], TesseractProgram("/nowhere/tesseract", ["Cyrillic"]))
    aware = ScriptAwareRecognizer(PretendRecognizer([NUMBER]), gone)
    assert aware.words(draw_page("Cyrillic"), "LOW") == [NUMBER]
    assert "cannot be started" in caplog.text


def test_a_logo_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = on_path(tmp_path, monkeypatch, "echo nothing")
    logo = np.ascontiguousarray(draw_page("Cyrillic")[:400, :600])
    assert with_scripts(PretendRecognizer([NUMBER]), "auto").words(logo, "LOW") == [NUMBER]
    assert not calls.exists()

"""Calls of the program are bounded; whatever it does, the page goes on without it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pagemill.extraction.recognition import tesseract_program
from pagemill.extraction.recognition.tesseract_program import (
    TesseractFailed,
    TesseractProgram,
    find_data,
    find_program,
    portable_graymap,
)
from tests.support.processes import PATIENCE_SECONDS, wait_until_gone
from tests.unit.extraction.recognition.script_pages import fake_program

PIXELS = np.full((20, 30, 3), 255, np.uint8)


def program(directory: Path, body: str, **options: int) -> TesseractProgram:
    return TesseractProgram(str(fake_program(directory, body)), ["Cyrillic", "osd"], **options)


def test_the_program_on_the_path_is_found_with_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(tmp_path, "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_program()
    assert found is not None
    assert found.data == {"Cyrillic": "Cyrillic"}
    assert found.detects_scripts


def test_without_a_program_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program() is None


def test_a_program_that_does_not_answer_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tesseract").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "tesseract").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program() is None
    assert "ended with status 3" in caplog.text


@pytest.mark.parametrize(
    ("languages", "data"),
    [
        (["Cyrillic", "eng"], {"Cyrillic": "Cyrillic"}),
        (["script/Greek", "ell", "eng"], {"Greek": "script/Greek"}),
        (["rus", "ukr", "eng"], {"Cyrillic": "rus+ukr+eng"}),
        (["kor"], {"Hangul": "kor"}),
        (["eng", "osd", "Latin", "chi_sim"], {}),
    ],
)
def test_data_of_scripts_come_before_those_of_languages(languages: list[str], data: dict[str, str]) -> None:
    assert find_data(languages) == data


def test_the_program_gets_the_picture_and_its_options(tmp_path: Path) -> None:
    seen = program(tmp_path, 'echo "$@"; head -c 13; echo " $OMP_THREAD_LIMIT"').table(
        PIXELS, "Cyrillic", PATIENCE_SECONDS
    )
    assert seen == "stdin stdout -l Cyrillic --psm 3 tsv\nP5 30 20 255\n 1\n"


def test_the_program_sees_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEMILL_TOKEN_KEY", "secret")
    monkeypatch.setenv("TESSDATA_PREFIX", "/data")
    seen = program(tmp_path, "env").script_detection(PIXELS, PATIENCE_SECONDS)
    assert "secret" not in seen
    assert "TESSDATA_PREFIX=/data" in seen


def test_a_call_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    children = tmp_path / "children"
    slow = program(tmp_path, f"sleep 1000 & echo $! > {children}; wait")
    with pytest.raises(TesseractFailed, match=r"longer than 2 seconds"):
        slow.table(PIXELS, "Cyrillic", 2)
    wait_until_gone(int(children.read_text()))


def test_endless_output_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tesseract_program, "MAX_OUTPUT", 100_000)
    with pytest.raises(TesseractFailed, match="more than 100000 bytes"):
        program(tmp_path, "exec yes").table(PIXELS, "Cyrillic", PATIENCE_SECONDS)


def test_an_error_of_the_program_is_one(tmp_path: Path) -> None:
    with pytest.raises(TesseractFailed, match="status 1"):
        program(tmp_path, "echo Error opening data file; exit 1").table(PIXELS, "Cyrillic", PATIENCE_SECONDS)


def test_a_program_that_is_gone_is_an_error(tmp_path: Path) -> None:
    gone = TesseractProgram(str(tmp_path / "tesseract"), ["Cyrillic"])
    with pytest.raises(TesseractFailed, match="cannot be started"):
        gone.table(PIXELS, "Cyrillic", PATIENCE_SECONDS)


def test_output_that_is_no_text_is_no_error(tmp_path: Path) -> None:
    assert "\ufffd" in program(tmp_path, r"printf '\377\376'").table(PIXELS, "Cyrillic", PATIENCE_SECONDS)


def test_only_so_many_run_at_a_time(tmp_path: Path) -> None:
    # Each call fails when another one has its directory.
    one = program(
        tmp_path, f"mkdir {tmp_path}/held || exit 1; sleep 0.05; rmdir {tmp_path}/held", processes=1
    )
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: one.table(PIXELS, "Cyrillic", PATIENCE_SECONDS), range(8))) == [""] * 8


def test_grey_values_are_those_of_the_eye() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [255, 255, 255], [0, 0, 0]]], np.uint8)
    header, values = portable_graymap(pixels).split(b"\n", 1)
    assert header == b"P5 4 1 255"
    assert list(values) == [76, 149, 255, 0]

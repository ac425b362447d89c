"""How the words that were read are compared with the reference."""

from __future__ import annotations

import pytest

from benchmarks.ocr import bag, cpu_seconds, f1


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert bag(["Total: RM9.00", "TOTAL"]) == {"total": 2, "rm9": 1, "00": 1}


@pytest.mark.parametrize(
    ("common", "found", "expected", "score"), [(2, 2, 2, 1.0), (1, 2, 2, 0.5), (0, 3, 5, 0.0), (0, 0, 0, 1.0)]
)
def test_f1(common: int, found: int, expected: int, score: float) -> None:
    assert f1(common, found, expected) == score


def test_cpu_seconds_are_those_of_the_reader_and_its_children() -> None:
    class Reader:
        child_processor_seconds = 1000.0

    assert 1000 < cpu_seconds(Reader()) < 2000  # type: ignore[arg-type]

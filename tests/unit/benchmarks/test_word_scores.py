"""Words that were read are compared with the reference."""

from __future__ import annotations

import pytest

from benchmarks.word_scores import WordScore, bag, f1


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert bag(["Total: RM9.00", "TOTAL"]) == {"total": 2, "rm9": 1, "00": 1}


@pytest.mark.parametrize(
    ("common", "found", "expected", "score"), [(2, 2, 2, 1.0), (1, 2, 2, 0.5), (0, 3, 5, 0.0), (0, 0, 0, 1.0)]
)
def test_f1(common: int, found: int, expected: int, score: float) -> None:
    assert f1(common, found, expected) == score


def test_a_score_is_pooled_over_words_and_the_mean_of_documents() -> None:
    score = WordScore()
    score.add(["one two", "THREE"], ["one", "two", "three"])
    score.add(["four"], ["five"])
    assert score.figures() == {
        "wordF1": 0.75,
        "wordF1MeanPerDocument": 0.5,
        "wordPrecision": 0.75,
        "wordRecall": 0.75,
    }


def test_a_reader_that_finds_nothing_has_no_precision() -> None:
    score = WordScore()
    score.add([], ["one"])
    assert score.figures()["wordPrecision"] == score.figures()["wordF1"] == 0.0


def test_a_word_that_is_read_twice_is_found_once() -> None:
    score = WordScore()
    score.add(["one", "one"], ["one"])
    assert (score.matched, score.found, score.expected) == (1, 2, 1)

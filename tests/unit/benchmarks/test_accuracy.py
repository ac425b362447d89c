"""The parts of the accuracy benchmark that need no stack: its split and its memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy import CORPORA, StateFile, in_test_part
from benchmarks.machine import machine


def test_the_split_is_fixed_and_about_one_in_five() -> None:
    parts = [in_test_part(f"document-{number}") for number in range(1000)]

    assert 150 < sum(parts) < 250
    assert parts == [in_test_part(f"document-{number}") for number in range(1000)]


def test_progress_is_found_again(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "state.json")
    state.of("adbuy").training["a"] = "las:document:1"
    state.of("adbuy").model_id = "las:model:m"
    state.save()

    again = StateFile(tmp_path / "state.json")

    assert again.of("adbuy").training == {"a": "las:document:1"}
    assert again.of("adbuy").model_id == "las:model:m"
    assert again.of("sroie").training == {}


def test_a_forgotten_corpus_begins_anew(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "state.json")
    state.of("adbuy").model_id = "las:model:m"

    state.forget("adbuy")

    assert state.of("adbuy").model_id is None


def test_every_corpus_has_gates() -> None:
    assert all(corpus.gates for corpus in CORPORA)


def test_the_machine_is_described() -> None:
    assert machine()["cores"]

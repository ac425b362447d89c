"""The parts of the accuracy benchmark that need no stack: its split and its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy import CORPORA, StateFile, in_test_part
from benchmarks.document_issuers import call_sign_in, shop_of
from benchmarks.machine import machine


def test_the_split_is_fixed_and_about_one_in_five() -> None:
    parts = [in_test_part(f"document-{number}") for number in range(1000)]

    assert 150 < sum(parts) < 250
    assert parts == [in_test_part(f"document-{number}") for number in range(1000)]


def test_documents_of_a_shop_are_on_one_side_of_its_split(tmp_path: Path) -> None:
    def receipt(number: int) -> dict[str, Any]:
        company = f"Shop No. {number % 40}" if number % 2 else f"SHOP NO {number % 40}"
        return {"id": str(number), "groundTruth": [{"label": "company", "value": company}]}

    sides: dict[int, set[bool]] = {}
    for number in range(400):
        sides.setdefault(number % 40, set()).add(in_test_part(shop_of(receipt(number), tmp_path)))
    assert all(len(side) == 1 for side in sides.values())
    assert 2 <= sum(True in side for side in sides.values()) <= 16
    unlabelled = {"id": "r", "groundTruth": [{"label": "company", "value": None}]}
    assert shop_of(unlabelled, tmp_path) == "r"


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("WITH EACH WEEK\nKECI-TV Missoula, KECI", "KECI"),
        ("Contract\nWRAL WRAL-DT2 KCBS", "WRAL"),
        ("Total 12 KEYS", None),
    ],
)
def test_a_station_is_known_by_its_call_sign(text: str, sign: str | None) -> None:
    assert call_sign_in(text) == sign


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

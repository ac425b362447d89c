"""The figures of the serving benchmark are computed as they say; the stack is left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from benchmarks.serving import headline, targets
from benchmarks.serving_documents import repeated_sources, sources_of_pages, text_documents
from benchmarks.serving_interactive import percentile, ratio
from benchmarks.serving_memory import MEBIBYTE, Growth, growths, summary


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two contracts and a picture."""
    folder = tmp_path / "adbuy"
    folder.mkdir()
    items = [
        {"file": "a.pdf", "pages": 3, "contentType": "application/pdf"},
        {"file": "b.jpg", "pages": 1, "contentType": "image/jpeg"},
        {"file": "c.pdf", "pages": 99, "contentType": "application/pdf"},
    ]
    (folder / "ground_truth.json").write_text(json.dumps(items))
    return tmp_path


def test_documents_with_a_text_layer(data: Path) -> None:
    sources = text_documents(data)
    assert [(source.path.name, source.pages) for source in sources] == [("a.pdf", 3), ("c.pdf", 30)]


def test_documents_come_again_where_there_are_fewer(data: Path) -> None:
    sources = text_documents(data)
    assert [source.pages for source in repeated_sources(sources, 3)] == [3, 30, 3]
    assert [source.pages for source in sources_of_pages(sources, 34)] == [3, 30, 3]


def test_the_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values), percentile([1.0])) == (96.0, 1.0)


def test_kinds_count_by_their_own_median() -> None:
    alone = {"scans": [1.0, 1.0, 1.0], "texts": [0.1, 0.1, 0.1]}
    slower = {"scans": [1.0, 1.0, 1.0], "texts": [0.1, 0.3, 0.3]}
    assert ratio(alone, alone) == 1.0
    assert ratio(alone, slower) == pytest.approx(3.0)


def test_the_process_that_grew_most_is_first_and_small_ones_are_one() -> None:
    ours, parent = psutil.Process(), psutil.Process(os.getppid())
    first = psutil.Process(1)
    before = {ours: 100 * MEBIBYTE, parent: 50 * MEBIBYTE, first: MEBIBYTE}
    after = {ours: 101 * MEBIBYTE, parent: 52 * MEBIBYTE, first: MEBIBYTE}
    found = growths(before, after)
    assert [round(one.percent, 1) for one in found] == [4.0, 1.0, 0.0]
    assert found[-1].name == "1 small processes"
    assert summary(found)["percent"] == 4.0


def test_processes_that_came_or_went_did_not_grow() -> None:
    ours, parent = psutil.Process(), psutil.Process(os.getppid())
    kept = {ours: 20 * MEBIBYTE}
    assert growths({**kept, parent: 20 * MEBIBYTE}, kept) == [
        Growth(growths(kept, kept)[0].name, 20 * MEBIBYTE, 20 * MEBIBYTE)
    ]


def test_targets() -> None:
    sections = {
        "efficiency": {"ratio": 0.9},
        "text": {"pagesPerSecondPerCore": 19.0},
        "latency": {"milliseconds": 9.0, "boundMilliseconds": 8.0},
        "interactive": {"ratio": 1.2},
    }
    figures = headline(sections)
    passed = {name: target["passed"] for name, target in figures["targets"].items()}
    assert passed == {
        "platformEfficiency": True,
        "textPagesPerSecondPerCore": False,
        "interactiveP95UnderBundle.ratio": True,
        "onePageLatency.milliseconds": False,
    }
    assert targets({}) == {}

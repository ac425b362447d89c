"""Clusters of nodes on one machine: what they take from cluster.yaml, and what stubs write down."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cluster_nodes import ray_variables
from benchmarks.node_watch import Look, SeenNode
from benchmarks.stub_documents import READS, StubContent, note_read, pages_read, read_twice


def test_nodes_get_the_switches_of_the_file() -> None:
    variables = ray_variables()

    assert variables["RAY_SERVE_USE_PACK_SCHEDULING_STRATEGY"] == "1"
    assert variables["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] == "1"
    assert "RAY_AUTH_TOKEN_PATH" not in variables


def test_a_page_that_is_begun_twice_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "reads"
    monkeypatch.setenv(READS, str(file))
    content = StubContent("invoice", 2, 0.0)
    for index, event in ((0, "begun"), (0, "ended"), (1, "begun"), (1, "begun"), (1, "ended")):
        note_read(content, index, event)

    assert len(pages_read(file)) == 5
    assert read_twice(pages_read(file)) == [("invoice", 1)]


def test_no_two_pages_have_the_same_words() -> None:
    pages = [StubContent(name, 2, 0.0).page(index) for name in ("one", "two") for index in (0, 1)]

    assert len({" ".join(word.text for word in page.words) for page in pages}) == 4


def test_nodes_are_counted_by_label() -> None:
    nodes = [
        SeenNode(node_id=str(number), node_type="any", labels={"pool": pool}, status="IDLE", activity=[])
        for number, pool in enumerate(("reading", "head", "reading"))
    ]

    assert Look(at=0.0, nodes=nodes).count("pool", "reading") == 2

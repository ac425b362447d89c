"""Stub applications: a sleeping reader below the product's own reading."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.stub_applications import StubPrediction, StubReading
from benchmarks.stub_documents import READS, StubContent, pages_read, read_twice
from pagemill.applications.requests import PredictionRequest, ReadingRequest
from pagemill.objects.local import LocalObjectStore

CONTENT = StubContent("invoice", 3, 0.0, more_words=5)
KEY = "organizations/one/documents/two/content/three"


@pytest.fixture
async def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File of what is read of a document that lies in the object storage."""
    monkeypatch.setenv("PAGEMILL_DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("PAGEMILL_OBJECTS_URL", (tmp_path / "objects").as_uri())
    monkeypatch.setenv(READS, str(tmp_path / "reads"))
    await LocalObjectStore(tmp_path / "objects").put(KEY, msgspec.json.encode(CONTENT))
    return tmp_path / "reads"


@pytest.mark.parametrize("in_background", [False, True])
async def test_pages_are_read_once_and_predicted_from_their_words(reads: Path, in_background: bool) -> None:
    request = ReadingRequest(content_key=KEY, max_pages=3, in_background=in_background)
    reading = StubReading()

    response = await reading.read(request)
    again = await reading.read(request)

    assert response.pages.indexes == again.pages.indexes == [0, 1, 2]
    assert [read.event for read in pages_read(reads)] == ["begun", "ended"] * 3
    assert read_twice(pages_read(reads)) == []
    found = await StubPrediction().predict(PredictionRequest(again.pages, {}))
    assert [one["value"] for one in found] == [f"invoice page-{index}" for index in range(3)]

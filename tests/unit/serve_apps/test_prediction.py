"""A prediction replica: batches of one model, and the sizes that its settings give."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from pagemill.errors import ModelDamaged
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.types import Extracted, Field, Page
from pagemill.settings import Settings, load_settings
from pagemill.tracing.spans import begin_trace, span
from serve_apps.model_metrics import ModelMetrics
from serve_apps.model_thread import ModelThread
from serve_apps.prediction import BATCH_SIZE, LoadedModel, cache_bytes, files_directory
from tests.support.collector import collecting, recording

REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"}
GIB = 1024**3
SECONDS = 60.0


class Predictor:
    """A predictor that names itself, and waits for its gate."""

    def __init__(self, name: str, log: list[tuple[str, int]]) -> None:
        self.name, self.size, self._log = name, 1, log
        self.gate = threading.Event()

    def predict(self, documents: Sequence[Sequence[Page]]) -> list[list[Extracted]]:
        assert self.gate.wait(SECONDS)
        self._log.append((self.name, len(documents)))
        if any(not pages for pages in documents):
            raise ValueError("planted")
        return [[Field(self.name, None, 1.0)] for _ in documents]


def page() -> list[Page]:
    return [Page(0, 1.0, "text", [])]


def model_of(predictor: Predictor, thread: ModelThread) -> LoadedModel:
    return LoadedModel(cast("FieldPredictor", predictor), thread, ModelMetrics())


async def test_what_waits_for_one_model_is_its_next_batch() -> None:
    log: list[tuple[str, int]] = []
    predictor = Predictor("a", log)
    model = model_of(predictor, ModelThread())
    first = asyncio.create_task(model.extract(page()))
    await asyncio.sleep(0)
    others = [asyncio.create_task(model.extract(page())) for _ in range(BATCH_SIZE + 1)]
    await asyncio.sleep(0)
    predictor.gate.set()
    await asyncio.wait_for(asyncio.gather(first, *others), SECONDS)
    assert log == [("a", 1), ("a", BATCH_SIZE), ("a", 1)]


async def test_models_take_turns_and_never_share_a_batch() -> None:
    log: list[tuple[str, int]] = []
    thread = ModelThread()
    predictors = [Predictor(name, log) for name in "ab"]
    models = [model_of(predictor, thread) for predictor in predictors]
    calls = [asyncio.create_task(model.extract(page())) for model in models * 3]
    await asyncio.sleep(0)
    predictors[1].gate.set()
    predictors[0].gate.set()
    found = await asyncio.wait_for(asyncio.gather(*calls), SECONDS)
    assert [cast("Field", fields[0]).label for fields in found] == ["a", "b"] * 3
    assert sorted(log) == [("a", 3), ("b", 3)]


async def test_documents_of_two_organizations_in_a_batch_keep_their_own_traces() -> None:
    predictor = Predictor("a", [])
    model = model_of(predictor, ModelThread())

    async def find_fields() -> list[Extracted]:
        with begin_trace("find fields", None), span("run model"):
            return await model.extract(page())

    with collecting() as collector, recording(collector):
        calls = [asyncio.create_task(find_fields()) for _ in range(2)]
        await asyncio.sleep(0)
        predictor.gate.set()
        await asyncio.wait_for(asyncio.gather(*calls), SECONDS)
    one, two = collector.named("run model")
    assert one.trace_id != two.trace_id
    assert (one.links, two.links) == ([(two.trace_id, two.span_id)], [(one.trace_id, one.span_id)])
    assert {found.parent_id for found in (one, two)} == {
        request.span_id for request in collector.named("find fields")
    }


async def test_an_error_is_raised_as_it_is() -> None:
    predictor = Predictor("a", [])
    predictor.gate.set()
    model = model_of(predictor, ModelThread())
    with pytest.raises(ValueError, match="planted"):
        await model.extract([])
    assert await model.extract(page())


def settings(**changed: str) -> Settings:
    return load_settings(REQUIRED | {f"PAGEMILL_{name.upper()}": value for name, value in changed.items()})


@pytest.mark.parametrize(
    ("changed", "size"),
    [
        ({}, GIB),
        ({"prediction_memory": "4"}, 2 * GIB),
        ({"prediction_memory": "4", "prediction_cache": "0.5"}, GIB // 2),
        ({"prediction_cache": "3"}, 3 * GIB),
    ],
)
def test_the_cache_fits_the_memory_unless_it_is_set(changed: dict[str, str], size: int) -> None:
    assert cache_bytes(settings(**changed)) == size


def test_files_lie_where_the_setting_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert files_directory(settings()).parent == tmp_path
    assert files_directory(settings(prediction_files_directory="/var/models")) == Path("/var/models")


def test_a_load_is_a_line_and_no_metric_names_a_model(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[Any] = []
    monkeypatch.setattr("ray.util.metrics.Counter.inc", lambda _, *, tags=None: labels.append(tags))
    caplog.set_level(logging.INFO, logger="ray.serve")
    logging.getLogger("ray.serve").addHandler(caplog.handler)
    try:
        metrics = ModelMetrics()
        metrics.loaded("organizations/o/trainings/t/artefact/", size=7, seconds=0.5)
        metrics.failed("organizations/o/", ModelDamaged("The weights are damaged", detail="at byte 3"))
        metrics.requested(hit=True)
        metrics.requested(hit=False)
        metrics.evicted("organizations/o/")
        metrics.holds(models=1, size=7)
    finally:
        logging.getLogger("ray.serve").removeHandler(caplog.handler)
    assert "model loaded in 0.500 s, 7 bytes: organizations/o/trainings/t/artefact/" in caplog.text
    assert "model not loaded, ModelDamaged: organizations/o/: at byte 3" in caplog.text
    assert labels == [{"reason": "ModelDamaged"}, None, None, None]

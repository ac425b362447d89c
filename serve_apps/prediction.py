"""The prediction application: replicas that find fields on pages, each with the weights of many trainings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from ray import serve
from ray.serve import Application

from pagemill.applications.artefact_files import ArtefactFiles, LocalArtefact
from pagemill.applications.clients import PREDICTING_SECONDS
from pagemill.applications.found_fields import Predictions
from pagemill.applications.large_predictions import StoredPredictions, to_message
from pagemill.applications.requests import PREDICTION_DEPLOYMENT, PredictionRequest
from pagemill.batching import Batcher, BatchFailed
from pagemill.documents.words import words_of
from pagemill.errors import Unavailable
from pagemill.extraction.postprocess import postprocess
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.types import Extracted, Page
from pagemill.objects import open_objects
from pagemill.pools import SURGE_PERCENT, prediction_replica
from pagemill.settings import Settings, load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.spans import continue_trace, span
from serve_apps.model_cache import ModelCache
from serve_apps.model_metrics import ModelMetrics
from serve_apps.model_router import router_configuration
from serve_apps.model_thread import ModelThread

BATCH_SIZE = 16
SWEEP_SECONDS = 300.0

_GIB = 1024**3


class BatchObserver(Protocol):
    """Observer of predictions: what it counts is shown to operators."""

    def predicted(self, documents: int) -> None:
        """Count a batch of documents."""
        ...


class LoadedModel:
    """A predictor whose requests share batches, of one model at a time on the device."""

    def __init__(self, predictor: FieldPredictor, thread: ModelThread, observer: BatchObserver) -> None:
        self._predictor, self._thread, self._observer = predictor, thread, observer
        self.size = predictor.size
        self._batcher: Batcher[list[Page], list[Extracted]] = Batcher(self._predict, max_size=BATCH_SIZE)

    async def extract(self, pages: list[Page]) -> list[Extracted]:
        """Return the fields of a document."""
        try:
            return await self._batcher.submit(pages)
        except BatchFailed as error:
            raise error.__cause__ or error from None

    async def _predict(self, documents: Sequence[list[Page]]) -> list[list[Extracted]]:
        self._observer.predicted(len(documents))
        return await self._thread.run(self._predictor.predict, documents)


class FieldPrediction:
    """A replica. Callers name the training with ``handle.options(multiplexed_model_id=artefact_key)``."""

    def __init__(self) -> None:
        settings = load_settings(os.environ)
        configure_tracing(settings, "prediction")
        torch.set_num_threads(max(1, settings.prediction_threads))
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._objects = open_objects(settings)
        self._thread = ModelThread()
        self._largest = cache_bytes(settings)
        self._files = ArtefactFiles(
            self._objects,
            files_directory(settings),
            storage=settings.objects_url,
            maximum_bytes=int(settings.prediction_files * _GIB),
            maximum_age=settings.prediction_model_age,
        )
        self._metrics = ModelMetrics()
        self._models = ModelCache(
            self._fetch,
            self._build,
            lambda model: model.size,
            maximum_bytes=self._largest,
            loads_at_once=settings.prediction_loads,
            observer=self._metrics,
        )
        self._showing = asyncio.get_running_loop().create_task(self._metrics.keep_showing())
        self._keeping = asyncio.get_running_loop().create_task(self._thread.keep_small())
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep(settings.prediction_model_age))

    async def predict(self, request: PredictionRequest) -> Predictions | StoredPredictions:
        """Return the predictions as the API shows them. Raises ModelUnusable, Unavailable."""
        with continue_trace(request.trace_context, "find fields", kind="server"):
            return await self._predict(request)

    async def _predict(self, request: PredictionRequest) -> Predictions | StoredPredictions:
        with span("load words"):
            pages = await words_of(self._objects, request.pages)
        extracted: list[Extracted] = []
        if pages:
            async with self._models.use(serve.get_multiplexed_model_id()) as model:
                with span("run model", {"pagemill.document.pages": len(pages)}):
                    extracted = await model.extract(pages)
        with span("post-process"):
            predictions = postprocess(extracted, request.postprocess_config)
            return await to_message(self._objects, request.pages.content_key, predictions)

    async def _fetch(self, artefact_key: str) -> LocalArtefact:
        return await self._files.load(artefact_key, largest=self._largest)

    async def _build(self, artefact: LocalArtefact) -> LoadedModel:
        return LoadedModel(await asyncio.to_thread(self._load, artefact), self._thread, self._metrics)

    def _load(self, artefact: LocalArtefact) -> FieldPredictor:
        try:
            predictor = FieldPredictor.load_file(artefact.weights, artefact.configuration, self._device)
            predictor.warm_up()
        except (FileNotFoundError, torch.OutOfMemoryError) as error:
            # Another replica has removed the file, or the models of others fill the device.
            raise Unavailable("The training's weights cannot be loaded now", detail=str(error)) from error
        return predictor

    async def _sweep(self, age: float) -> None:
        """Forget what is too old: what was deleted must not stay in memory or on disk."""
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, age))
            self._models.expire(age)
            with contextlib.suppress(OSError):
                await self._files.sweep()

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self._thread.end()
        close_tracing()


def cache_bytes(settings: Settings) -> int:
    """Return the bytes of models that a replica holds: what is set, else half of its memory, else 1 GiB."""
    gigabytes = settings.prediction_cache or settings.prediction_memory / 2 or 1.0
    return int(gigabytes * _GIB)


def files_directory(settings: Settings) -> Path:
    """Return the directory of artefacts on this node."""
    name = f"pagemill-models-{os.geteuid()}"
    return Path(settings.prediction_files_directory or Path(tempfile.gettempdir()) / name)


def prediction_application(_arguments: dict[str, str]) -> Application:
    """Build the application as the settings in its environment say; Serve scales it."""
    deployment = serve.deployment(
        name=PREDICTION_DEPLOYMENT,
        max_ongoing_requests=2 * BATCH_SIZE,
        ray_actor_options=prediction_replica(load_settings(os.environ)).actor_options,
        request_router_config=router_configuration(),
        logging_config={"enable_access_log": False},
        health_check_period_s=5.0,
        # A replica that is replaced ends what it has begun.
        graceful_shutdown_timeout_s=PREDICTING_SECONDS,
        max_surge_percent=SURGE_PERCENT,
    )
    return deployment(FieldPrediction).bind()

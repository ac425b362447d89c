"""The prediction application: replicas that find fields on pages, each with the weights of many trainings."""

from __future__ import annotations

import asyncio
import os

import torch
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from pagemill.applications.found_fields import Predictions
from pagemill.applications.large_predictions import StoredPredictions, to_message
from pagemill.applications.requests import PredictionRequest
from pagemill.applications.training_artefacts import load_artefact
from pagemill.documents.words import words_of
from pagemill.errors import NotFound, Unavailable
from pagemill.extraction.postprocess import postprocess
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.types import Extracted, Page
from pagemill.objects import open_objects
from pagemill.pools import prediction_replica
from pagemill.settings import Settings, load_settings

MODELS_PER_REPLICA = 16
BATCH_SIZE = 16
BATCH_WAIT_SECONDS = 0.004


class FieldPrediction:
    """A replica. Callers name the training with ``handle.options(multiplexed_model_id=artefact_key)``."""

    def __init__(self) -> None:
        settings = load_settings(os.environ)
        torch.set_num_threads(max(1, settings.prediction_threads))
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._objects = open_objects(settings)
        self._turn = asyncio.Lock()

    @serve.multiplexed(max_num_models_per_replica=MODELS_PER_REPLICA)  # type: ignore[untyped-decorator]
    async def predictor(self, artefact_key: str) -> FieldPredictor:
        """Return the predictor with an artefact. Raises Unavailable, also when the artefact is gone."""
        try:
            artefact = await load_artefact(self._objects, artefact_key)
        except NotFound as error:
            raise Unavailable("The training's weights are not there", detail=artefact_key) from error
        return await asyncio.to_thread(FieldPredictor.load, artefact, self._device)

    async def predict(self, request: PredictionRequest) -> Predictions | StoredPredictions:
        """Return the predictions as the API shows them. Raises Unavailable."""
        pages = await words_of(self._objects, request.pages)
        extracted: list[Extracted] = await self._extract(pages) if pages else []
        predictions = postprocess(extracted, request.postprocess_config)
        return await to_message(self._objects, request.pages.content_key, predictions)

    @serve.batch(max_batch_size=BATCH_SIZE, batch_wait_timeout_s=BATCH_WAIT_SECONDS)
    async def _extract(self, documents: list[list[Page]]) -> list[list[Extracted]]:
        """Return the fields of each document; Serve puts only requests for one training into a batch."""
        predictor = await self.predictor(serve.get_multiplexed_model_id())
        async with self._turn:
            return await asyncio.to_thread(predictor.predict, documents)


def prediction_application(settings: Settings, autoscaling: AutoscalingConfig) -> Application:
    """Return the application with replicas of the size that the settings give, as many as needed."""
    deployment = serve.deployment(
        name="FieldPrediction",
        max_ongoing_requests=2 * BATCH_SIZE,
        ray_actor_options=prediction_replica(settings).actor_options,
        autoscaling_config=autoscaling,
        logging_config={"enable_access_log": False},
        health_check_period_s=5.0,
        graceful_shutdown_timeout_s=5.0,
    )
    return deployment(FieldPrediction).bind()

"""The prediction application: replicas that find fields on pages, with many trainings' weights at once."""

from __future__ import annotations

import asyncio
import os

import torch
from ray import serve
from ray.serve import Application

from pagemill.applications.found_fields import Predictions
from pagemill.applications.requests import PredictionRequest
from pagemill.errors import NotFound, Unavailable
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.postprocess import postprocess
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.types import Extracted
from pagemill.objects import open_objects
from pagemill.objects.store import ObjectStore
from pagemill.settings import Settings, load_settings

MODELS_PER_REPLICA = 16
BATCH = 16
BATCH_WAIT_SECONDS = 0.004


class FieldPrediction:
    """One replica. A caller names the training by ``handle.options(multiplexed_model_id=artefact_key)``."""

    def __init__(self) -> None:
        settings = load_settings(os.environ)
        torch.set_num_threads(max(1, settings.prediction_threads))
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._objects = open_objects(settings)
        self._turn = asyncio.Lock()

    @serve.multiplexed(max_num_models_per_replica=MODELS_PER_REPLICA)  # type: ignore[untyped-decorator]
    async def predictor(self, artefact_key: str) -> FieldPredictor:
        """The predictor whose artefact lies under ``artefact_key``."""
        artefact = await load_artefact(self._objects, artefact_key)
        return await asyncio.to_thread(FieldPredictor.load, artefact, self._device)

    async def predict(self, request: PredictionRequest) -> Predictions:
        """What the API answers. Raises Unavailable."""
        if not request.pages:
            return postprocess([], request.postprocess_config)
        extracted: list[Extracted] = await self._extract(request)
        return postprocess(extracted, request.postprocess_config)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_SECONDS)  # type: ignore[untyped-decorator]
    async def _extract(self, requests: list[PredictionRequest]) -> list[list[Extracted]]:
        """Serve puts only requests for one training into a batch."""
        predictor = await self.predictor(serve.get_multiplexed_model_id())
        async with self._turn:
            return await asyncio.to_thread(predictor.predict, [request.pages for request in requests])


async def load_artefact(objects: ObjectStore, artefact_key: str) -> Artefact:
    """The artefact under the prefix ``artefact_key``. Raises Unavailable, also when it is not there."""
    try:
        return Artefact(
            weights=await objects.get(f"{artefact_key}weights.safetensors"),
            configuration=await objects.get(f"{artefact_key}configuration.json"),
        )
    except NotFound as error:
        raise Unavailable("The training's weights are not there", detail=artefact_key) from error


def prediction_application(settings: Settings) -> Application:
    """The application as ``settings`` size it."""
    deployment = serve.deployment(
        FieldPrediction,
        name="FieldPrediction",
        max_ongoing_requests=2 * BATCH,
        ray_actor_options={
            "num_cpus": settings.prediction_cpus,
            "num_gpus": settings.gpu_per_prediction_replica,
        },
        autoscaling_config={
            "min_replicas": 1,
            "initial_replicas": 1,
            "max_replicas": max(1, settings.prediction_replicas_max),
            "target_ongoing_requests": BATCH,
            "upscale_delay_s": 5.0,
            "downscale_delay_s": 120.0,
        },
        logging_config={"enable_access_log": False},
        health_check_period_s=5.0,
        graceful_shutdown_timeout_s=5.0,
    )
    return deployment.bind()

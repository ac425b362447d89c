"""Typed clients of the Serve applications: each holds a handle and raises Pagemill's errors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from ray import serve
from ray.serve.handle import DeploymentHandle

from pagemill.applications.calling import answer_of
from pagemill.applications.found_fields import Predictions
from pagemill.applications.large_predictions import StoredPredictions, from_message
from pagemill.applications.requests import (
    PREDICTION,
    PREDICTION_DEPLOYMENT,
    READING,
    READING_DEPLOYMENT,
    PredictionRequest,
    ReadingRequest,
    ReadingResponse,
    missing_pages_requests,
    reading_request,
    within_active_trace,
)
from pagemill.concurrency import gather_or_cancel
from pagemill.documents.words import DocumentPages
from pagemill.objects.store import ObjectStore
from pagemill.settings import Settings
from pagemill.tracing.spans import span

READING_SECONDS = 660.0
"""Longer than the reader itself allows one part of a document."""
PREDICTING_SECONDS = 120.0


def _handle(deployment: str, application: str) -> DeploymentHandle[Any]:
    """Return a handle: an application that cannot start keeps nobody from what the others do."""
    return serve.get_deployment_handle(deployment, application, _check_exists=False)


def parts_per_replica(settings: Settings) -> int:
    """Return how many parts a reading replica reads at a time.

    One more than it has processors: some are parsed while others are recognised.
    """
    return settings.reading_threads + 1


def parts_at_once(settings: Settings) -> int:
    """Return how many parts one caller has read at a time.

    All replicas have work then, and one has a place for others; each part that ends gives them one more.
    """
    return max(2, settings.reading_replicas_max * parts_per_replica(settings) - 1)


class ReadingClient(Protocol):
    """Client that has pages read."""

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Read a part. Raises DocumentUnreadable, NotFound when the content is gone, Unavailable."""
        ...


class PredictionClient(Protocol):
    """Client that has fields found on pages."""

    async def predict(self, artefact_key: str, request: PredictionRequest) -> Predictions:
        """Return the fields that the artefact's training finds. Raises Unavailable."""
        ...


class ReadingApplication:
    """Client of the reading application; ``seconds`` is how long a call may take."""

    def __init__(self, handle: DeploymentHandle[Any], *, seconds: float = READING_SECONDS) -> None:
        self._handle, self._seconds = handle, seconds

    @classmethod
    def find(cls, *, seconds: float = READING_SECONDS) -> ReadingApplication:
        """Return a client of the application, which may not run yet. Blocks; raises RayServeException."""
        return cls(_handle(READING_DEPLOYMENT, READING), seconds=seconds)

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Read a part. Raises DocumentUnreadable, NotFound when the content is gone, Unavailable."""
        with span("call reading", kind="client"):
            response: ReadingResponse = await answer_of(
                self._handle.read.remote(within_active_trace(request)), seconds=self._seconds, who="Reading"
            )
            return response


class PredictionApplication:
    """Client of the prediction application; ``seconds`` is how long a call may take."""

    def __init__(
        self, handle: DeploymentHandle[Any], objects: ObjectStore, *, seconds: float = PREDICTING_SECONDS
    ) -> None:
        self._handle, self._objects, self._seconds = handle, objects, seconds

    @classmethod
    def find(cls, objects: ObjectStore, *, seconds: float = PREDICTING_SECONDS) -> PredictionApplication:
        """Return a client of the application, which may not run yet. Blocks; raises RayServeException."""
        return cls(_handle(PREDICTION_DEPLOYMENT, PREDICTION), objects, seconds=seconds)

    async def predict(self, artefact_key: str, request: PredictionRequest) -> Predictions:
        """Return the fields that the artefact's training finds. Raises Unavailable."""
        # Serve keeps the model of this id loaded on some replicas.
        handle = self._handle.options(multiplexed_model_id=artefact_key)
        with span("call prediction", kind="client"):
            message: Predictions | StoredPredictions = await answer_of(
                handle.predict.remote(within_active_trace(request)), seconds=self._seconds, who="Prediction"
            )
            return await from_message(self._objects, message)


class ApplicationClient:
    """Client of both applications, as jobs that predict call them.

    ``parts_at_once`` parts of a document are read at a time, on as many replicas as there are.
    """

    def __init__(self, reading: ReadingClient, prediction: PredictionClient, *, parts_at_once: int) -> None:
        self._reading, self._prediction = reading, prediction
        self._parts_at_once = parts_at_once

    async def read(
        self, content_key: str, preprocess_config: Mapping[str, object]
    ) -> tuple[DocumentPages, int | None]:
        """Return the pages, and the index of the first page that was not read, if there is one.

        Raises DocumentUnreadable, NotFound when the content is gone, Unavailable.
        """
        request = reading_request(content_key, preprocess_config)
        response = await read_all_parts(self._reading, request, asyncio.Semaphore(self._parts_at_once))
        return response.pages, response.next_page

    async def predict(
        self, artefact_key: str, pages: DocumentPages, postprocess_config: dict[str, object]
    ) -> Predictions:
        """Return the fields that a training finds on pages. Raises Unavailable."""
        return await self._prediction.predict(artefact_key, PredictionRequest(pages, postprocess_config))


def find_applications(settings: Settings, objects: ObjectStore) -> ApplicationClient:
    """Return a client of both, which may not run yet. Blocks; raises RayServeException without Serve."""
    return ApplicationClient(
        ReadingApplication.find(),
        PredictionApplication.find(objects),
        parts_at_once=parts_at_once(settings),
    )


async def read_all_parts(
    reading: ReadingClient, request: ReadingRequest, turns: asyncio.Semaphore
) -> ReadingResponse:
    """Have all pages read that a request selects, part by part; ``turns`` bounds the parts at a time.

    What has been read stays stored when a part fails or the caller is cancelled: a second call goes on from
    there. Raises DocumentUnreadable, NotFound when the content is gone, Unavailable.
    """

    async def read(part: ReadingRequest) -> ReadingResponse:
        async with turns:
            return await reading.read(part)

    response = await read(request)
    await gather_or_cancel(read(part) for part in missing_pages_requests(request, response.missing))
    return response

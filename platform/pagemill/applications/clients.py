"""Typed clients of the Serve applications: each holds a handle and raises Pagemill's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ray import serve
from ray.serve.handle import DeploymentHandle

from pagemill.applications.calling import answer_of
from pagemill.applications.found_fields import Predictions
from pagemill.applications.requests import (
    PREDICTION,
    READING,
    PredictionRequest,
    ReadingRequest,
    ReadingResponse,
    reading_request,
)
from pagemill.extraction.types import Page

READING_SECONDS = 660.0
"""Longer than the reader itself allows one document."""
PREDICTING_SECONDS = 120.0


class ReadingClient(Protocol):
    """Client that has pages read."""

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Return the pages. Raises DocumentUnreadable, NotFound when the content is gone, Unavailable."""
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
        """Return a client of the running application. Blocks; raises RayServeException without one."""
        return cls(serve.get_app_handle(READING), seconds=seconds)

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Return the pages. Raises DocumentUnreadable, NotFound when the content is gone, Unavailable."""
        response: ReadingResponse = await answer_of(
            self._handle.read.remote(request), seconds=self._seconds, who="Reading"
        )
        return response


class PredictionApplication:
    """Client of the prediction application; ``seconds`` is how long a call may take."""

    def __init__(self, handle: DeploymentHandle[Any], *, seconds: float = PREDICTING_SECONDS) -> None:
        self._handle, self._seconds = handle, seconds

    @classmethod
    def find(cls, *, seconds: float = PREDICTING_SECONDS) -> PredictionApplication:
        """Return a client of the running application. Blocks; raises RayServeException without one."""
        return cls(serve.get_app_handle(PREDICTION), seconds=seconds)

    async def predict(self, artefact_key: str, request: PredictionRequest) -> Predictions:
        """Return the fields that the artefact's training finds. Raises Unavailable."""
        # Serve keeps the model of this id loaded on some replicas.
        handle = self._handle.options(multiplexed_model_id=artefact_key)
        predictions: Predictions = await answer_of(
            handle.predict.remote(request), seconds=self._seconds, who="Prediction"
        )
        return predictions


class ApplicationClient:
    """Client of both applications, as jobs that predict call them."""

    def __init__(self, reading: ReadingClient, prediction: PredictionClient) -> None:
        self._reading, self._prediction = reading, prediction

    async def read(
        self, content_key: str, preprocess_config: Mapping[str, object]
    ) -> tuple[list[Page], int | None]:
        """Return the pages, and the index of the first page that was not read, if there is one.

        Raises DocumentUnreadable, NotFound when the content is gone, Unavailable.
        """
        response = await self._reading.read(reading_request(content_key, preprocess_config))
        return response.reading.pages, response.next_page

    async def predict(
        self, artefact_key: str, pages: list[Page], postprocess_config: dict[str, object]
    ) -> Predictions:
        """Return the fields that a training finds on pages. Raises Unavailable."""
        return await self._prediction.predict(artefact_key, PredictionRequest(pages, postprocess_config))

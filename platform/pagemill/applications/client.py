"""Client of the reading and the prediction application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagemill.applications.calling import answer_of
from pagemill.applications.found_fields import Predictions
from pagemill.applications.requests import PredictionRequest, ReadingResponse, reading_request
from pagemill.extraction.types import Page

READING_SECONDS = 660.0
"""Longer than the reader itself allows one document."""
PREDICTING_SECONDS = 120.0


class ApplicationClient:
    """Client with the Serve handles of both applications; each call has a time limit."""

    def __init__(self, reading: Any, prediction: Any) -> None:
        self._reading, self._prediction = reading, prediction

    async def read(
        self, content_key: str, preprocess_config: Mapping[str, Any]
    ) -> tuple[list[Page], int | None]:
        """Return the pages and the index at which a next request goes on.

        Raises DocumentUnreadable, NotFound when the content is gone, Unavailable.
        """
        response: ReadingResponse = await answer_of(
            self._reading.read.remote(reading_request(content_key, preprocess_config)),
            seconds=READING_SECONDS,
            who="Reading",
        )
        return response.reading.pages, response.next_page

    async def predict(
        self, artefact_key: str, pages: list[Page], postprocess_config: dict[str, Any]
    ) -> Predictions:
        """Return the fields that a training finds on pages. Raises NotFound, Unavailable."""
        predictions: Predictions = await answer_of(
            self._prediction.options(multiplexed_model_id=artefact_key).predict.remote(
                PredictionRequest(pages, postprocess_config)
            ),
            seconds=PREDICTING_SECONDS,
            who="Prediction",
        )
        return predictions

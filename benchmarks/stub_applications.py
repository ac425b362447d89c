"""Applications that sleep in place of reading and predicting: ``python -m benchmarks.stub_applications``.

They are deployed as the product deploys its own, with the same options. What is stored, and how often and
where a page is read, is real; only the words are made up, from what the document says of itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from ray.serve import Application

from benchmarks.stub_documents import StubContent, note_read
from pagemill.applications.clients import parts_per_replica
from pagemill.applications.found_fields import Predictions
from pagemill.applications.requests import PredictionRequest, ReadingRequest, ReadingResponse
from pagemill.cluster.deploy import main as deploy_main
from pagemill.cluster.serve_configuration import APPLICATIONS, RELEASE
from pagemill.documents.words import words_of
from pagemill.extraction.types import Reading, ReadOptions
from pagemill.objects import open_objects
from pagemill.settings import load_settings
from serve_apps.reading import CachedReading, reading_application
from serve_apps.reading_lane import ReadingLane
from serve_apps.reading_metrics import ReadingMetrics

PREDICTING_SECONDS = 0.02


class SleepingReader:
    """Reader of documents that say how long their pages take."""

    def read(self, content: bytes, page_indexes: Sequence[int], _options: ReadOptions) -> Reading:
        """Return made-up words of some pages after the time they take."""
        document = msgspec.json.decode(content, type=StubContent)
        pages = []
        for index in page_indexes:
            if index < document.pages:
                note_read(document, index, "begun")
                time.sleep(document.seconds)
                pages.append(document.page(index))
                note_read(document, index, "ended")
        return Reading(document.pages, pages)


class StubReading:
    """Replica that reads with a sleeping reader, and stores as the product's does."""

    def __init__(self) -> None:
        settings = load_settings(os.environ)
        reader, at_once = SleepingReader(), parts_per_replica(settings)
        self._reading = CachedReading(
            open_objects(settings),
            ReadingLane(reader, at_once=at_once),
            ReadingLane(reader, at_once=at_once, in_background=True),
            ReadingMetrics(),
        )

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Read a part."""
        return await self._reading.read(request)


class StubPrediction:
    """Replica that finds on each page what its first words are."""

    def __init__(self) -> None:
        self._objects = open_objects(load_settings(os.environ))

    async def predict(self, request: PredictionRequest) -> Predictions:
        """Return a field for each page."""
        pages = await words_of(self._objects, request.pages)
        await asyncio.sleep(PREDICTING_SECONDS)
        return [
            {
                "label": "words",
                "value": " ".join(word.text for word in page.words[:2]),
                "page": page.index,
                "confidence": 1.0,
            }
            for page in pages
        ]


def stubbed(application: Application, replica: type) -> Application:
    """Return an application with another class in place of its own, and all options as they are."""
    # Ray offers no public way from an application back to its deployment.
    deployment: Any = application._bound_deployment
    stub: Application = deployment.options(func_or_class=replica).bind()
    return stub


def stub_reading(arguments: dict[str, str]) -> Application:
    """Build the reading application with a sleeping reader."""
    return stubbed(reading_application(arguments), StubReading)


def stub_prediction(arguments: dict[str, str]) -> Application:
    """Build the prediction application without its models."""
    from serve_apps.prediction import prediction_application

    return stubbed(prediction_application(arguments), StubPrediction)


STUBS = tuple(
    dataclasses.replace(application, builder=f"benchmarks.stub_applications:stub_{application.name}")
    for application in APPLICATIONS
)


def main() -> int:
    """Deploy as the product's program does."""
    return deploy_main(sys.argv[1:], release=os.environ.get(RELEASE, ""), applications=STUBS)


if __name__ == "__main__":
    # The classes are named by the module that replicas import.
    from benchmarks.stub_applications import main as run

    sys.exit(run())

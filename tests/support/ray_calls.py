"""Calls to the applications, made by a process of the cluster as they are in use.

A test's own process must not hold handles: their routers would outlive Ray and start another one.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray import serve

from pagemill.applications.calling import answer_of
from pagemill.applications.requests import (
    PREDICTION,
    READING,
    PredictionRequest,
    ReadingRequest,
    ReadingResponse,
)

SECONDS = 60.0


async def read(content_key: str, **options: Any) -> ReadingResponse:
    """The answer of the reading application."""
    request = ReadingRequest(content_key=content_key, **options)
    answer: ReadingResponse = await answer_of(_read.remote(request), seconds=SECONDS, who="Reading")
    return answer


async def predict(artefact_key: str, request: PredictionRequest) -> Any:
    """The answer of the prediction application."""
    return await answer_of(_predict.remote(artefact_key, request), seconds=SECONDS, who="Prediction")


@ray.remote(num_cpus=0, max_retries=0, max_calls=1)
def _read(request: ReadingRequest) -> ReadingResponse:
    async def call() -> ReadingResponse:
        handle = serve.get_app_handle(READING)
        return await answer_of(handle.read.remote(request), seconds=SECONDS, who="Reading")

    return asyncio.run(call())


@ray.remote(num_cpus=0, max_retries=0, max_calls=1)
def _predict(artefact_key: str, request: PredictionRequest) -> Any:
    async def call() -> Any:
        handle = serve.get_app_handle(PREDICTION).options(multiplexed_model_id=artefact_key)
        return await answer_of(handle.predict.remote(request), seconds=SECONDS, who="Prediction")

    return asyncio.run(call())

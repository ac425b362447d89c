"""Running prediction jobs: read the pages, find the fields, and reserve what the plan limits.

A plan limits pages or fields. Only those have to be reserved; the others are counted, without a limit, when
the job ends. Pages are known before fields are looked for: their reservation is made meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

import asyncpg

from db.pool import acquire
from db.predictions import PredictionInputRow, get_prediction_input
from pagemill.applications.calling import answer_of
from pagemill.applications.requests import PredictionRequest, count_fields, reading_request
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import JobId, OrganizationId, PredictionId
from pagemill.jobs.job import Job
from pagemill.jobs.outcomes import PredictionResult
from pagemill.usage.limits import limited_amounts
from pagemill.usage.meters import Amount, Meter

Answer = TypeVar("Answer")

READING_SECONDS = 660.0
"""Longer than the reader itself allows one document."""
PREDICTING_SECONDS = 120.0


class Usage(Protocol):
    """The part of the usage client that is used here."""

    async def reserve(
        self, organization_id: OrganizationId, job_id: JobId, amounts: Mapping[Meter, Amount]
    ) -> None:
        """Count for a job, once however often it is tried. Raises LimitExceeded."""
        ...


class PredictionRunner:
    """Runs one prediction job; it holds nothing between two, so any number may run at once."""

    def __init__(self, pool: asyncpg.Pool, reading: Any, prediction: Any, usage: Usage) -> None:
        """``reading`` and ``prediction`` are the handles of the two applications."""
        self._pool, self._usage = pool, usage
        self._reading, self._prediction = reading, prediction

    async def __call__(self, job: Job) -> PredictionResult:
        """Raises DocumentUnreadable, NotFound, BadRequest, LimitExceeded; Unavailable may be tried again."""
        async with acquire(self._pool) as connection:
            work = await get_prediction_input(
                connection,
                organization_id=OrganizationId(job.organization_id),
                prediction_id=PredictionId(job.subject_id),
            )
        work, content_key, artefact_key = _checked(work)
        begun = time.monotonic()
        response = await answer_of(
            self._reading.read.remote(reading_request(content_key, work.preprocess_config)),
            seconds=READING_SECONDS,
            who="Reading",
        )
        pages = response.reading.pages
        predicting = answer_of(
            self._prediction.options(multiplexed_model_id=artefact_key).predict.remote(
                PredictionRequest(pages, work.postprocess_config)
            ),
            seconds=PREDICTING_SECONDS,
            who="Prediction",
        )
        limited_pages = limited_amounts(work.limited_by, {"pages": len(pages)})
        predictions = await _with(predicting, self._reserve(job, limited_pages))
        fields = count_fields(predictions)
        inference_time = time.monotonic() - begun
        await self._reserve(job, limited_amounts(work.limited_by, {"fields": fields}))
        return PredictionResult(
            predictions=predictions,
            inference_time=inference_time,
            next_page=response.next_page,
            preprocess_config=work.preprocess_config,
            pages=len(pages),
            fields=fields,
        )

    async def _reserve(self, job: Job, amounts: Mapping[Meter, Amount]) -> None:
        if amounts:
            await self._usage.reserve(job.organization_id, job.id, amounts)


async def _with(work: Coroutine[Any, Any, Answer], condition: Awaitable[None]) -> Answer:
    """The answer of ``work``, which is broken off when the condition, seen to meanwhile, does not hold."""
    working = asyncio.ensure_future(work)
    try:
        await condition
        return await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def _checked(work: PredictionInputRow | None) -> tuple[PredictionInputRow, str, str]:
    """Return the input, the key of the content, and that of the artefact. Raises NotFound, BadRequest."""
    if work is None or work.document_id is None:
        raise NotFound("The document does not exist any more")
    if work.content_key is None:
        raise BadRequest("documentId: the document has no content")
    if work.artefact_key is None:
        raise BadRequest("trainingId: the training does not exist any more")
    return work, work.content_key, work.artefact_key

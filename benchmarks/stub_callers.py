"""Callers that have stub documents predicted, and what they are given."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from benchmarks.stub_documents import StubContent
from db.pool import create_pool
from pagemill.ids import DocumentId, JobId, ModelId, OrganizationId, PredictionId, TrainingId, new_id
from pagemill.jobs.queue import enqueue
from pagemill.objects import open_objects
from pagemill.objects.keys import new_content_key
from pagemill.objects.store import ObjectStore
from pagemill.settings import Settings
from pagemill.usage.organization_usage import usage_of
from pagemill.work.predictions import PREDICTION
from tests.support.tenants import create_tenant

OPEN = "SELECT count(*) FROM job WHERE organization_id = $1 AND state IN ('queued', 'running')"
ALLOWED_PAGES = 100_000.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """A prediction that was queued."""

    content: StubContent
    job_id: JobId
    prediction_id: PredictionId


@dataclass(frozen=True, slots=True)
class Ended:
    """End of a prediction: the state of its job, and what was found."""

    content: StubContent
    state: str
    attempts: int
    predictions: Any
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that a caller was given, and what it was counted."""

    ended: Sequence[Ended]
    used: Mapping[str, float]

    @property
    def predictions(self) -> dict[str, object]:
        """Return what was found in each document, by its name."""
        return {one.content.name: one.predictions for one in self.ended}

    @property
    def failed(self) -> int:
        """Return how many jobs did not succeed."""
        return sum(one.state != "succeeded" for one in self.ended)

    @property
    def repeated(self) -> int:
        """Return how many jobs took more than one attempt."""
        return sum(one.attempts > 1 for one in self.ended)

    def longest_pause(self, *, since: float = 0.0, until: float = math.inf) -> float:
        """Return the longest time, in seconds, in which no job ended, between two times of Unix."""
        times = sorted(one.at.timestamp() for one in self.ended if one.at is not None)
        between = [at for at in times if since <= at <= until]
        return max((later - earlier for earlier, later in itertools.pairwise(between)), default=0.0)

    def is_counted_exactly(self) -> bool:
        """Return whether predictions, pages and fields were counted as they are: a field for each page."""
        pages = float(sum(one.content.pages for one in self.ended))
        expected = {"predictions": float(len(self.ended)), "pages": pages, "fields": pages}
        return {name: self.used.get(name) for name in expected} == expected


class Submitter:
    """Caller of one organization that has documents predicted, with one model."""

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore, organization_id: OrganizationId) -> None:
        self.pool, self.objects, self.organization_id = pool, objects, organization_id
        self.model_id = new_id(ModelId)
        self._training_id = new_id(TrainingId)
        self.submitted: list[Submitted] = []

    async def prepare(self) -> None:
        """Store the model."""
        async with self.pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO model (organization_id, id, training_id, preprocess_config, postprocess_config)"
                " VALUES ($1, $2, $3, $4, $5)",
                self.organization_id,
                self.model_id,
                self._training_id,
                {"maxPages": 1},
                {"strategy": "BEST_FIRST"},
            )
            await connection.execute(
                "INSERT INTO training (organization_id, id, model_id, status, artefact_key)"
                " VALUES ($1, $2, $3, 'succeeded', 'none')",
                self.organization_id,
                self._training_id,
                self.model_id,
            )

    async def submit(self, contents: Sequence[StubContent]) -> None:
        """Store documents, and queue a prediction of each."""
        keys = []
        for content in contents:
            document_id = new_id(DocumentId)
            keys.append((document_id, new_content_key(self.organization_id, document_id)))
            await self.objects.put(keys[-1][1], msgspec.json.encode(content))
        async with self.pool.acquire() as connection, connection.transaction():
            for content, (document_id, content_key) in zip(contents, keys, strict=True):
                await connection.execute(
                    "INSERT INTO document (organization_id, id, content_key) VALUES ($1, $2, $3)",
                    self.organization_id,
                    document_id,
                    content_key,
                )
                prediction_id = new_id(PredictionId)
                await connection.execute(
                    "INSERT INTO prediction"
                    " (organization_id, id, document_id, model_id, model_reference, training_id,"
                    " preprocess_config) VALUES ($1, $2, $3, $4, $4, $5, $6)",
                    self.organization_id,
                    prediction_id,
                    document_id,
                    self.model_id,
                    self._training_id,
                    {"maxPages": content.pages},
                )
                job_id = await enqueue(
                    connection,
                    PREDICTION,
                    organization_id=self.organization_id,
                    subject_id=prediction_id,
                )
                self.submitted.append(Submitted(content, job_id, prediction_id))

    async def open_jobs(self) -> int:
        """Return how many jobs have not ended."""
        async with self.pool.acquire() as connection:
            number: int = await connection.fetchval(OPEN, self.organization_id)
            return number

    async def ended(self) -> list[Ended]:
        """Return the end of each prediction, in the order in which they were queued."""
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT job.id, job.state, job.attempt, job.ended_time, prediction.predictions FROM job"
                " JOIN prediction ON prediction.id = job.subject_id WHERE job.organization_id = $1",
                self.organization_id,
            )
        found = {row["id"]: row for row in rows}
        return [
            Ended(
                one.content,
                found[one.job_id]["state"],
                found[one.job_id]["attempt"],
                found[one.job_id]["predictions"],
                found[one.job_id]["ended_time"],
            )
            for one in self.submitted
        ]

    async def used(self) -> Mapping[str, float]:
        """Return what was counted, by meter."""
        async with self.pool.acquire() as connection:
            usage = await usage_of(connection, self.organization_id)
        return {str(meter): used for meter, used in usage.used.items() if used}

    async def results(self) -> Results:
        """Return everything so far."""
        return Results(await self.ended(), await self.used())


@contextlib.asynccontextmanager
async def caller(settings: Settings) -> AsyncIterator[Submitter]:
    """Yield a caller of a new organization, whose plan limits pages."""
    pool = await create_pool(settings.database_url, size=2)
    objects = open_objects(settings)
    try:
        async with pool.acquire() as connection:
            tenant = await create_tenant(connection, allowed={"pages": ALLOWED_PAGES})
        submitter = Submitter(pool, objects, tenant.organization_id)
        await submitter.prepare()
        yield submitter
    finally:
        await objects.close()
        await pool.close()

"""Documents that say of themselves how long they take to read, and jobs that predict on them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from pagemill.extraction.types import Page, Word
from pagemill.ids import DocumentId, JobId, ModelId, OrganizationId, PredictionId, TrainingId, new_id
from pagemill.jobs.queue import enqueue
from pagemill.objects.keys import new_content_key
from pagemill.objects.store import ObjectStore
from pagemill.usage.organization_usage import usage_of
from pagemill.work.predictions import PREDICTION

READS = "REHEARSAL_READS"
"""Variable with the file to which stubs write each page that they read."""
OPEN = "SELECT count(*) FROM job WHERE organization_id = $1 AND state IN ('queued', 'running')"


class StubContent(msgspec.Struct, frozen=True):
    """Content of a document: its name, its pages, and the seconds that each takes."""

    name: str
    pages: int
    seconds: float

    def page(self, index: int) -> Page:
        """Return the words of a page, which no other page has."""
        words = [f"{self.name}", f"page-{index}"]
        return Page(index, 0.7, "text", [Word(word, 0.1, 0.1, 0.2, 0.2) for word in words])


class ReadPage(msgspec.Struct, frozen=True):
    """A page that a replica has begun or ended to read."""

    name: str
    index: int
    event: str
    at: float
    process: int


def note_read(content: StubContent, index: int, event: str) -> None:
    """Write down an event of a page, in one piece though many processes write."""
    line = msgspec.json.encode(ReadPage(content.name, index, event, time.time(), os.getpid())) + b"\n"
    descriptor = os.open(os.environ[READS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def pages_read(file: Path) -> list[ReadPage]:
    """Return what has been written down."""
    decoder = msgspec.json.Decoder(ReadPage)
    return [decoder.decode(line) for line in file.read_bytes().splitlines()]


def read_twice(reads: Iterable[ReadPage]) -> list[tuple[str, int]]:
    """Return the pages whose reading began more than once."""
    begun = Counter((read.name, read.index) for read in reads if read.event == "begun")
    return sorted(page for page, times in begun.items() if times > 1)


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


class Submitter:
    """Caller of one organization that has documents predicted, with one model."""

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore, organization_id: OrganizationId) -> None:
        self._pool, self._objects, self.organization_id = pool, objects, organization_id
        self.model_id = new_id(ModelId)
        self._training_id = new_id(TrainingId)
        self.submitted: list[Submitted] = []

    async def prepare(self) -> None:
        """Store the model."""
        async with self._pool.acquire() as connection:
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
            await self._objects.put(keys[-1][1], msgspec.json.encode(content))
        async with self._pool.acquire() as connection, connection.transaction():
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
        async with self._pool.acquire() as connection:
            number: int = await connection.fetchval(OPEN, self.organization_id)
            return number

    async def ended(self) -> list[Ended]:
        """Return the end of each prediction, in the order in which they were queued."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT job.id, job.state, job.attempt, prediction.predictions FROM job"
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
            )
            for one in self.submitted
        ]

    async def used(self) -> Mapping[str, float]:
        """Return what was counted, by meter."""
        async with self._pool.acquire() as connection:
            usage = await usage_of(connection, self.organization_id)
        return {str(meter): used for meter, used in usage.used.items() if used}

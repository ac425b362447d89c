"""A training's side of its job: it moves on, and works, only while its attempt is the one that counts."""

from __future__ import annotations

import asyncio
import threading

from db.pool import CONNECTION_ERRORS, connect
from db.trainings import ADVANCE_TRAINING, find_current_attempt
from pagemill.ids import JobId, OrganizationId
from pagemill.jobs.job import Job, JobCancelled
from pagemill.notices.events import tell_of_training

WATCH_SECONDS = 2.0


async def advance(database_url: str, job: Job, status: str) -> None:
    """Move the training to ``status``. Raises JobCancelled when this attempt does not count any more."""
    connection = await connect(database_url, application_name="pagemill training")
    try:
        async with connection.transaction():
            training = await ADVANCE_TRAINING.fetch_one(
                connection, job.organization_id, job.subject_id, job.id, job.attempt, status
            )
            if training is not None and training["changed"]:
                await tell_of_training(connection, job.organization_id, training)
    finally:
        await connection.close()
    if training is None:
        raise JobCancelled("The training was cancelled or taken over")


class Watch:
    """Looks from a thread of its own whether to go on; while Postgres is away, the training goes on."""

    def __init__(self, database_url: str, job: Job, *, seconds: float = WATCH_SECONDS) -> None:
        self._database_url, self._job, self._seconds = database_url, job, seconds
        self._over, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="training watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closed.set()
        self._thread.join(timeout=self._seconds)

    def over(self) -> bool:
        """Whether the job has been cancelled or taken over."""
        return self._over.is_set()

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                goes_on = asyncio.run(self._goes_on())
            except CONNECTION_ERRORS:
                continue
            if not goes_on:
                self._over.set()
                return

    async def _goes_on(self) -> bool:
        connection = await connect(self._database_url, application_name="pagemill training watch")
        try:
            job = self._job
            found = await find_current_attempt(
                connection,
                organization_id=OrganizationId(job.organization_id),
                job_id=JobId(job.id),
                attempt=job.attempt,
            )
            return found is not None
        finally:
            await connection.close()

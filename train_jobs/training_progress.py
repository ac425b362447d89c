"""Progress of a training, as the API shows it and the operator plots it."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Protocol

import msgspec

from db.pool import DATABASE_ERRORS, connect
from db.training_reports import set_training_progress
from pagemill.extraction.training_progress import CurvePoint, Progress
from pagemill.ids import TrainingId
from pagemill.jobs.job import Job

SECONDS_BETWEEN = 2.0
"""Time between two writes, however many steps are taken meanwhile."""
CLOSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Followed(Protocol):
    """A trainer whose progress can be read at any time."""

    @property
    def progress(self) -> Progress:
        """How far it is."""

    @property
    def curve(self) -> list[CurvePoint]:
        """The figures after each epoch."""


class ProgressWriter:
    """Thread that writes the progress of a trainer from time to time, so that no step waits for Postgres.

    Postgres may be away: the next figures will do. An attempt that no longer counts writes nothing.
    """

    def __init__(
        self, database_url: str, job: Job, trainer: Followed, *, seconds_between: float = SECONDS_BETWEEN
    ) -> None:
        self._database_url, self._job, self._trainer = database_url, job, trainer
        self._seconds_between = seconds_between
        self._written: tuple[Progress, int] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="training-progress", daemon=True)

    def __enter__(self) -> ProgressWriter:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join(timeout=CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._ended.wait(self._seconds_between):
            self._write()
        self._write()

    def _write(self) -> None:
        """Write what has changed since."""
        progress, curve = self._trainer.progress, list(self._trainer.curve)
        if (progress, len(curve)) == self._written or not progress.step:
            return
        try:
            asyncio.run(self._store(progress, curve))
        except DATABASE_ERRORS as error:
            logger.warning("the progress is untold: %s: %s", type(error).__name__, error)
        else:
            self._written = (progress, len(curve))

    async def _store(self, progress: Progress, curve: list[CurvePoint]) -> None:
        connection = await connect(self._database_url, application_name="pagemill training progress")
        try:
            await set_training_progress(
                connection,
                organization_id=self._job.organization_id,
                training_id=TrainingId(self._job.subject_id),
                progress=msgspec.to_builtins(progress),
                curve=msgspec.to_builtins(curve),
                job_id=self._job.id,
                attempt=self._job.attempt,
            )
        finally:
            await connection.close()

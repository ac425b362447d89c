"""Checks that the attempt of a training job still counts: it was neither cancelled nor taken over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

from db.pool import DATABASE_ERRORS, connect
from db.statements import Connection
from db.trainings import TrainingStatus, advance_training, find_current_attempt, return_training_to_pending
from pagemill.ids import TrainingId
from pagemill.jobs.job import CANCEL_CHANNEL, Job, JobCancelled
from pagemill.notices.events import tell_of_training

CHECK_SECONDS = 10.0
"""Nobody is notified when another attempt takes the job over: this finds it."""
RECONNECT_SECONDS = 1.0
ANSWER_SECONDS = 10.0
CLOSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


async def set_training_status(database_url: str, job: Job, status: TrainingStatus) -> None:
    """Set the status of the job's training. Raises JobCancelled when the attempt no longer counts."""
    connection = await connect(database_url, application_name="pagemill training")
    try:
        async with connection.transaction():
            training = await advance_training(
                connection,
                organization_id=job.organization_id,
                training_id=TrainingId(job.subject_id),
                status=status,
                job_id=job.id,
                attempt=job.attempt,
            )
            if training is not None and training.changed:
                await tell_of_training(connection, job.organization_id, training)
    finally:
        await connection.close()
    if training is None:
        raise JobCancelled("The training was cancelled or taken over")


async def tell_that_training_waits(database_url: str, job: Job) -> None:
    """Set a prepared training to pending; nothing changes once its workers run."""
    connection = await connect(database_url, application_name="pagemill training")
    try:
        async with connection.transaction():
            training = await return_training_to_pending(
                connection,
                organization_id=job.organization_id,
                training_id=TrainingId(job.subject_id),
                job_id=job.id,
                attempt=job.attempt,
            )
            await tell_of_training(connection, job.organization_id, training)
    finally:
        await connection.close()


class AttemptGuard:
    """Thread that notices when an attempt no longer counts.

    Its one connection hears of cancellations and checks the attempt every ``check_seconds``. While Postgres
    is away the attempt counts.
    """

    def __init__(self, database_url: str, job: Job, *, check_seconds: float = CHECK_SECONDS) -> None:
        self._database_url, self._job, self._check_seconds = database_url, job, check_seconds
        self._lost = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._guarding: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="attempt-guard", daemon=True)

    def __enter__(self) -> AttemptGuard:
        self._guarding = self._loop.create_task(self._guard())
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._guarding is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the attempt was lost
            self._loop.call_soon_threadsafe(self._guarding.cancel)
        self._thread.join(timeout=CLOSE_SECONDS)

    def is_lost(self) -> bool:
        """Return whether the job has been cancelled or taken over."""
        return self._lost.is_set()

    def _run(self) -> None:
        assert self._guarding is not None
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._guarding)
        finally:
            self._loop.close()

    async def _guard(self) -> None:
        while True:
            try:
                await self._watch()
            except DATABASE_ERRORS as error:
                logger.warning("guarding broke off: %s: %s", type(error).__name__, error)
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self._lost.set()
                return

    async def _watch(self) -> None:
        """Return when the attempt is lost. Raises what asyncpg raises when the connection breaks."""
        connection = await connect(self._database_url, application_name="pagemill attempt guard")
        woken = asyncio.Event()

        def on_notification(_connection: object, _pid: int, _channel: str, job_id: object) -> None:
            if job_id == self._job.id:
                woken.set()

        try:
            connection.add_termination_listener(lambda _connection: woken.set())
            await connection.add_listener(CANCEL_CHANNEL, on_notification)
            while await self._counts(connection):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), self._check_seconds)
                woken.clear()
        finally:
            connection.terminate()

    async def _counts(self, connection: Connection) -> bool:
        current = await asyncio.wait_for(
            find_current_attempt(
                connection,
                organization_id=self._job.organization_id,
                job_id=self._job.id,
                attempt=self._job.attempt,
            ),
            ANSWER_SECONDS,
        )
        return current is not None

"""The progress of a trainer is written while it trains, and outlives Postgres."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from pagemill.extraction.training_progress import CurvePoint, Progress
from pagemill.jobs.job import Job
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.work.trainings import TRAINING
from tests.support.seeds import claim_job, seed_model, seed_training
from tests.support.tenants import Tenant
from tests.support.working import until
from train_jobs.training_progress import ProgressWriter

OFTEN = 0.05
RARELY = 600.0


@pytest.fixture
async def job(pool: asyncpg.Pool, organization: Tenant) -> Job:
    """A running training job."""
    own = organization.organization_id
    training_id = await seed_training(pool, own, await seed_model(pool, own), status="running")
    async with pool.acquire() as connection:
        await enqueue(connection, TRAINING, organization_id=own, subject_id=training_id)
    return await claim_job(pool, TRAINING)


@pytest.fixture
def trainer() -> SimpleNamespace:
    return SimpleNamespace(progress=Progress(), curve=[])


async def written(pool: asyncpg.Pool) -> tuple[Any, Any]:
    row = await pool.fetchrow("SELECT progress, curve FROM training")
    return row["progress"], row["curve"]


async def test_what_has_changed_is_written_until_the_end(
    pool: asyncpg.Pool, database_url: str, job: Job, trainer: SimpleNamespace
) -> None:
    with ProgressWriter(database_url, job, trainer, seconds_between=OFTEN):
        trainer.progress = Progress(3, 60, 0.5, None, 12.5)

        async def told() -> bool:
            return (await written(pool))[0] is not None

        await until(told)
        first = {"step": 3, "steps": 60, "loss": 0.5, "f1": None, "secondsLeft": 12.5}
        assert await written(pool) == (first, [])
        trainer.progress = Progress(60, 60, 0.1, 0.9, 0.0)
        trainer.curve.append(CurvePoint(14.0, 60, 0.1, 0.9))
    last = {"step": 60, "steps": 60, "loss": 0.1, "f1": 0.9, "secondsLeft": 0.0}
    assert await written(pool) == (last, [[14.0, 60, 0.1, 0.9]])


async def test_an_attempt_that_no_longer_counts_writes_nothing(
    pool: asyncpg.Pool, database_url: str, job: Job, trainer: SimpleNamespace
) -> None:
    async with pool.acquire() as connection:
        await request_cancel(
            connection, TRAINING, organization_id=job.organization_id, subject_id=job.subject_id
        )
    with ProgressWriter(database_url, job, trainer, seconds_between=RARELY):
        trainer.progress = Progress(3, 60)
    assert await written(pool) == (None, None)


async def test_a_training_goes_on_while_postgres_is_away(
    pool: asyncpg.Pool, job: Job, trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    with ProgressWriter("postgresql://nobody@127.0.0.1:1/nothing", job, trainer, seconds_between=RARELY):
        trainer.progress = Progress(3, 60)
    assert "the progress is untold" in caplog.text
    assert await written(pool) == (None, None)

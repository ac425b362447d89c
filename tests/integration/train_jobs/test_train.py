"""A training that was already done is not done again; one that was stopped has no result."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from pagemill.applications.training_artefacts import TrainingKeys
from pagemill.documents import bundle_contents
from pagemill.ids import TrainingId
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.objects import ObjectStore
from pagemill.settings import Settings
from pagemill.work.trainings import TRAINING
from tests.support.seeds import claim_job, seed_model, seed_training
from tests.support.tenants import Tenant
from tests.support.working import until
from train_jobs import train as training
from train_jobs.attempt_guard import set_training_status, tell_that_training_waits
from train_jobs.train import telling_that_it_waits, train

EVALUATION: dict[str, Any] = {"accuracy": 1.0, "fields": {}}


@pytest.fixture(autouse=True)
def without_ray_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import Ray Train, which takes seconds, in none of these tests."""
    monkeypatch.setattr(training, "import_ray_train", lambda: None)


@pytest.fixture
def settings(database_url: str, objects_directory: Path) -> Settings:
    return Settings(database_url=database_url, objects_url=objects_directory.as_uri(), token_key="unused")


@pytest.fixture
async def job(pool: asyncpg.Pool, organization: Tenant) -> Job:
    """A running training job."""
    own = organization.organization_id
    training_id = await seed_training(pool, own, await seed_model(pool, own), status="pending")
    async with pool.acquire() as connection:
        await enqueue(connection, TRAINING, organization_id=own, subject_id=training_id)
    return await claim_job(pool, TRAINING)


def keys_of(job: Job) -> TrainingKeys:
    return TrainingKeys.of(job.organization_id, TrainingId(job.subject_id))


async def test_a_training_that_is_done_is_only_collected(
    settings: Settings, objects: ObjectStore, job: Job
) -> None:
    keys = keys_of(job)
    await objects.put(keys.evaluation, msgspec.json.encode(EVALUATION))
    await objects.put(f"{keys.examples}00000.parquet", b"examples")
    await objects.put(f"{keys.checkpoints}checkpoint_000000/state.bin", b"state")
    result = await asyncio.to_thread(train, settings, job)
    assert (result.evaluation, result.artefact_key, result.gpu_hours) == (EVALUATION, keys.artefact, 0.0)
    assert [key async for key in objects.list(keys.prefix)] == [keys.evaluation]


async def test_a_cancelled_training_does_not_begin(
    pool: asyncpg.Pool, settings: Settings, objects: ObjectStore, job: Job
) -> None:
    async with pool.acquire() as connection:
        await request_cancel(
            connection, TRAINING, organization_id=job.organization_id, subject_id=job.subject_id
        )
    with pytest.raises(JobCancelled):
        await asyncio.to_thread(train, settings, job)
    assert [key async for key in objects.list(keys_of(job).prefix)] == []


async def test_a_training_whose_workers_stopped_has_no_result(
    pool: asyncpg.Pool, settings: Settings, job: Job, monkeypatch: pytest.MonkeyPatch, objects: ObjectStore
) -> None:
    """Workers whose attempt no longer counts return without an evaluation."""
    await objects.put(keys_of(job).examples + bundle_contents.NAME, b"contents")
    monkeypatch.setattr(training, "_fit", lambda *_arguments: None)
    with pytest.raises(JobCancelled):
        await asyncio.to_thread(train, settings, job)
    assert await status_of(pool, job) == "preparing"


async def status_of(pool: asyncpg.Pool, job: Job) -> str:
    return str(await pool.fetchval("SELECT status FROM training WHERE id = $1", job.subject_id))


async def test_gpu_hours_are_those_that_the_workers_measured(
    settings: Settings, objects: ObjectStore, job: Job
) -> None:
    """However long it waited, and whichever attempt collects it."""
    keys = keys_of(job)
    await objects.put(keys.gpu_seconds, b"5400.0")
    await objects.put(keys.evaluation, msgspec.json.encode(EVALUATION))
    for _ in range(2):
        result = await asyncio.to_thread(train, settings, job)
        assert result.gpu_hours == 1.5


async def test_a_training_whose_workers_have_no_place_is_pending(
    pool: asyncpg.Pool, settings: Settings, job: Job
) -> None:
    async def is_pending() -> bool:
        return await status_of(pool, job) == "pending"

    await set_training_status(settings.database_url, job, "preparing")
    with telling_that_it_waits(settings, job, seconds=0.0):
        await until(is_pending)
    await set_training_status(settings.database_url, job, "running")
    assert await status_of(pool, job) == "running"


async def test_a_training_whose_workers_begin_at_once_never_is(
    pool: asyncpg.Pool, settings: Settings, job: Job
) -> None:
    await set_training_status(settings.database_url, job, "preparing")
    with telling_that_it_waits(settings, job, seconds=3600.0):
        assert await status_of(pool, job) == "preparing"
    await set_training_status(settings.database_url, job, "running")
    await tell_that_training_waits(settings.database_url, job)
    assert await status_of(pool, job) == "running"


async def test_an_attempt_that_no_longer_counts_does_not_say_that_it_waits(
    pool: asyncpg.Pool, settings: Settings, job: Job
) -> None:
    await set_training_status(settings.database_url, job, "preparing")
    former = msgspec.structs.replace(job, attempt=job.attempt - 1)
    await tell_that_training_waits(settings.database_url, former)
    assert await status_of(pool, job) == "preparing"


async def test_it_waits_on_while_postgres_is_away(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.to_thread(training._tell_that_it_waits, "postgresql://localhost:1/nowhere", job)
    assert "the training waits, untold" in caplog.text

"""Two workers of Ray Train, on a Ray of their own: each reads its documents, and they train one tagger."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.administration import create_database, drop_database
from db.pool import create_pool
from pagemill.extraction.preparation import TrainingOptions, prepare
from pagemill.extraction.tagger_training import TaggerTrainer
from pagemill.jobs.job import Job
from pagemill.jobs.queue import enqueue
from pagemill.objects import open_objects
from pagemill.settings import Settings, to_environment
from pagemill.stack.postgres import EmbeddedPostgres
from pagemill.work.trainings import TRAINING
from tests.conftest import TEMPLATE
from tests.support.ray_cluster import local_ray
from tests.support.seeds import claim_job, seed_data_bundle, seed_model, seed_training
from tests.support.tenants import create_tenant
from tests.unit.extraction.printed import INVOICES, invoices
from train_jobs import gather
from train_jobs.train import train

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]

DOCUMENTS = 30
BUNDLE = "organizations/o/data-bundles/1/a/"
SEEN = "seen/"
EPOCHS = 6


@pytest.fixture(scope="module")
def settings(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings with two workers, which the workers of a local Ray have in their environment."""
    name = f"two_workers_{uuid.uuid4().hex[:8]}"
    asyncio.run(create_database(postgres.url("postgres"), name, template=TEMPLATE))
    settings = Settings(
        database_url=postgres.url(name),
        objects_url=tmp_path_factory.mktemp("objects").as_uri(),
        training_workers=2,
        training_threads=1,
        training_checkpoint_interval=2.0,
    )
    with local_ray(to_environment(settings)):
        yield settings
    asyncio.run(drop_database(postgres.url("postgres"), name))


async def store(settings: Settings, pool: asyncpg.Pool) -> Job:
    """Store a bundle of invoices and a training on it; return its job as a dispatcher claims it."""
    objects = open_objects(settings)
    gather_size, gather.DOCUMENTS_PER_FILE = gather.DOCUMENTS_PER_FILE, 10
    await gather.write_dataset(objects, BUNDLE, invoices(DOCUMENTS))
    gather.DOCUMENTS_PER_FILE = gather_size
    async with pool.acquire() as connection:
        own = (await create_tenant(connection)).organization_id
    model_id = await seed_model(pool, own)
    await pool.execute("UPDATE model SET field_config = $1 WHERE id = $2", INVOICES, model_id)
    bundle_id = await seed_data_bundle(pool, own, model_id)
    await pool.execute("UPDATE data_bundle SET object_key = $1 WHERE id = $2", BUNDLE, bundle_id)
    training_id = await seed_training(pool, own, model_id, status="pending")
    await pool.execute("UPDATE training SET data_bundle_ids = $1 WHERE id = $2", [bundle_id], training_id)
    async with pool.acquire() as connection:
        await enqueue(connection, TRAINING, organization_id=own, subject_id=training_id)
    return await claim_job(pool, TRAINING)


def watched_worker(config: dict[str, Any]) -> None:
    """Train as the product does, in few epochs, and store which documents the worker was given."""
    import os

    import ray.train

    from pagemill.settings import load_settings
    from train_jobs import worker

    seen: list[str] = []
    shard, options = worker.shard_of_worker, worker.TrainingOptions

    def watched_shard() -> Iterator[Any]:
        for example in shard():
            seen.append(example.document_id)
            yield example

    worker.shard_of_worker = watched_shard
    worker.TrainingOptions = lambda **more: options(
        **more,
        hidden=24,
        layers=2,
        tokens_per_batch=400,
        learning_rate=1e-2,
        maximum_epochs=EPOCHS,
        minimum_steps=60,
    )
    worker.train_worker(config)
    rank = ray.train.get_context().get_world_rank()
    objects = open_objects(load_settings(os.environ))
    asyncio.run(objects.put(f"{SEEN}{rank}", "\n".join(seen).encode()))


@pytest.fixture(scope="module")
def evaluation(settings: Settings) -> dict[str, Any]:
    """The evaluation of a training by two workers."""
    return asyncio.run(_train(settings))


async def _train(settings: Settings) -> dict[str, Any]:
    pool = await create_pool(settings.database_url, size=4)
    job = await store(settings, pool)
    result = await asyncio.to_thread(train, settings, job, loop=watched_worker)
    await pool.close()
    return result.evaluation


def test_each_worker_reads_its_documents_and_together_they_read_all(
    settings: Settings, evaluation: dict[str, Any]
) -> None:
    shards = [
        Path(open_objects_directory(settings), SEEN, str(rank)).read_text().split() for rank in range(2)
    ]
    assert sorted(shards[0] + shards[1]) == sorted(one.document_id for one in invoices(DOCUMENTS))
    assert min(map(len, shards)) >= DOCUMENTS // 4


def open_objects_directory(settings: Settings) -> str:
    return settings.objects_url.removeprefix("file://")


def test_two_workers_come_to_the_metric_of_one(evaluation: dict[str, Any]) -> None:
    options = TrainingOptions(
        hidden=24, layers=2, tokens_per_batch=400, learning_rate=1e-2, maximum_epochs=EPOCHS, minimum_steps=60
    )
    trainer = TaggerTrainer(prepare(invoices(DOCUMENTS), INVOICES, options), options)
    epoch = 0
    while trainer.run_epoch(epoch) and not trainer.done(epoch):
        epoch += 1
    alone = trainer.finish().evaluation
    assert evaluation["numberOfDocuments"] == alone["numberOfDocuments"]
    assert evaluation["accuracy"] == pytest.approx(alone["accuracy"], abs=0.1)
    assert alone["accuracy"] > 0.8


def test_the_evaluation_says_what_trained(evaluation: dict[str, Any]) -> None:
    assert evaluation["workers"]["number"] == 2
    assert evaluation["workers"]["device"] == "cpu"
    assert evaluation["workers"]["reason"].startswith("small-gpu asks for 2; on CPUs")

"""A Ray of each module's own, with everything deployed on it, and a database that its workers know."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from db.pool import create_pool
from pagemill.objects import ObjectStore, open_objects
from pagemill.settings import Settings, to_environment
from pagemill.stack.postgres import EmbeddedPostgres
from tests.support.ray_cluster import NAMESPACE, local_ray, run_driver


@pytest.fixture(scope="module")
def training_budget() -> float:
    """Seconds; a module that needs longer trainings has its own."""
    return 8.0


@pytest.fixture(scope="module")
def settings(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, training_budget: float
) -> Iterator[Settings]:
    from db.administration import create_database, drop_database
    from tests.conftest import TEMPLATE

    name = f"test_on_ray_{uuid.uuid4().hex[:8]}"
    asyncio.run(create_database(postgres.url("postgres"), name, template=TEMPLATE))
    yield Settings(
        database_url=postgres.url(name),
        objects_url=tmp_path_factory.mktemp("objects").as_uri(),
        prediction_files_directory=str(tmp_path_factory.mktemp("models")),
        ray_namespace=NAMESPACE,
        training_budget=training_budget,
        training_checkpoint_interval=1.0,
        training_threads=1,
        job_heartbeat=1.0,
        job_lease=5.0,
        reading_replicas_max=1,
    )
    asyncio.run(drop_database(postgres.url("postgres"), name))


@pytest.fixture(scope="module")
def cluster(settings: Settings) -> Iterator[dict[str, str]]:
    """Everything deployed by the driver; yields what another driver needs in its environment."""
    with local_ray(to_environment(settings)) as address:
        environment = {**os.environ, "PAGEMILL_RAY_ADDRESS": address}
        run_driver(environment)
        yield environment


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(settings.database_url, size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def objects(settings: Settings) -> ObjectStore:
    return open_objects(settings)

"""Steps of docker transitions where there is no engine, or it is away."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from pagemill.settings import Settings
from tests.support.container_steps import begin, dispatching, engine_of, job_of, run, step_of
from tests.support.step_dispatcher import container_resources
from tests.support.tenants import Tenant
from tests.support.working import until


async def test_a_step_fails_at_once_where_there_is_no_engine(
    pool: asyncpg.Pool, organization: Tenant, database_url: str, objects_directory: Path
) -> None:
    settings = Settings(database_url=database_url, objects_url=objects_directory.as_uri())
    step = await run(pool, container_resources(settings, pool), await begin(pool, organization, "pass"))

    assert step["status"] == "failed"
    assert "PAGEMILL_CONTAINER_ENGINE_URL" in step["error"]["message"]


async def test_a_step_waits_for_an_engine_that_is_away(
    pool: asyncpg.Pool, organization: Tenant, database_url: str, objects_directory: Path, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=database_url,
        objects_url=objects_directory.as_uri(),
        container_engine_url=f"unix://{tmp_path}/away.sock",
    )
    resources = container_resources(settings, pool)
    execution_id = await begin(pool, organization, "pass")
    job_id = await job_of(pool, execution_id)

    async def tried() -> bool:
        return bool(await pool.fetchval("SELECT error_class = 'Unavailable' FROM job WHERE id = $1", job_id))

    async with dispatching(resources):
        await until(tried)
    await engine_of(resources).close()

    assert (await step_of(pool, execution_id))["status"] == "running"

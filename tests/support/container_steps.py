"""Steps that run in containers: begin one, run it, read what it has printed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from db.transitions import keep_transition
from pagemill.containers.engine import Engine
from pagemill.ids import SecretId, TransitionId, new_id
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.work.containers import ContainerResources
from pagemill.workflows.transition_executions import begin_execution
from tests.support.step_dispatcher import dispatcher_of
from tests.support.step_engine import IMAGE
from tests.support.tenants import Tenant
from tests.support.workflow_seeds import seed_transition
from tests.support.working import until, until_ended

SECONDS = 60.0


def engine_of(resources: ContainerResources) -> Engine:
    assert resources.container_engine is not None
    return resources.container_engine


@asynccontextmanager
async def dispatching(resources: ContainerResources) -> AsyncIterator[Dispatcher]:
    dispatcher = dispatcher_of(resources)
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        dispatcher.stop()
        await task


async def begin(
    pool: asyncpg.Pool, organization: Tenant, program: str = "", *, image: str = IMAGE, **parameters: Any
) -> str:
    """Begin a step that runs a program; return its id."""
    environment = {"PROGRAM": program, **parameters.pop("environment", {})}
    transition_id = await seed_transition(
        pool,
        organization.organization_id,
        {"imageUrl": image, "cpu": 1024, "environment": environment, **parameters},
    )
    async with pool.acquire() as connection, connection.transaction():
        transition = await keep_transition(
            connection,
            organization_id=organization.organization_id,
            transition_id=TransitionId(transition_id),
        )
        assert transition is not None
        row = await begin_execution(connection, organization.organization_id, transition, {"number": 7})
    return row.id


async def step_of(pool: asyncpg.Pool, execution_id: str) -> dict[str, Any]:
    return dict(await pool.fetchrow("SELECT * FROM transition_execution WHERE id = $1", execution_id))


async def log_of(pool: asyncpg.Pool, execution_id: str) -> list[str]:
    rows = await pool.fetch(
        """
        SELECT message FROM log_event JOIN log ON log.id = log_event.log_id
        WHERE transition_execution_id = $1 ORDER BY log_event.id
        """,
        execution_id,
    )
    return [row["message"] for row in rows]


async def printed(pool: asyncpg.Pool, execution_id: str, line: str) -> None:
    """Wait until a line is in the log, while the container may run."""

    async def found() -> bool:
        return line in await log_of(pool, execution_id)

    await until(found, seconds=SECONDS)


async def job_of(pool: asyncpg.Pool, subject_id: str) -> str:
    return str(
        await pool.fetchval(
            "SELECT id FROM job WHERE subject_id = $1 AND kind <> 'workflow-timer'", subject_id
        )
    )


async def run(
    pool: asyncpg.Pool, resources: ContainerResources, execution_id: str, seconds: float = SECONDS
) -> dict[str, Any]:
    """Run a step to the end of its job."""
    async with dispatching(resources):
        await until_ended(pool, await job_of(pool, execution_id), seconds=seconds)
    return await step_of(pool, execution_id)


async def add_secret(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, data: dict[str, Any]
) -> str:
    secret_id = new_id(SecretId)
    assert resources.secret_box is not None
    sealed = resources.secret_box.seal(organization.organization_id, secret_id, data)
    await pool.execute(
        "INSERT INTO secret (organization_id, id, key_id, nonce, ciphertext) VALUES ($1, $2, $3, $4, $5)",
        *(organization.organization_id, secret_id, sealed.key_id, sealed.nonce, sealed.ciphertext),
    )
    return secret_id

"""Start of a step's container: from the step to the time that its program prints, beside the engine alone."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.progress import progress_bar
from benchmarks.servers import DATABASE, durable_postgres
from db.pool import Pool, connect, create_pool
from pagemill.containers.engine import ContainerSpec, Engine
from pagemill.settings import Settings
from tests.support.container_steps import begin, dispatching, engine_of, job_of, log_of, step_of
from tests.support.step_dispatcher import container_resources
from tests.support.step_engine import IMAGE, NETWORK, ULIMITS, missing_engine, step_engine
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import until_ended

BEGUN = "begun "
PROGRAM = f"import time; print('{BEGUN}', time.time())"
MILLISECONDS = 1000.0


def container_start(number: int) -> dict[str, Any]:
    """Return the milliseconds of both, or why they cannot be measured here."""
    if reason := missing_engine() if number else "not asked for":
        return {"skipped": reason}
    with (
        durable_postgres() as postgres,
        step_engine() as podman,
        tempfile.TemporaryDirectory(prefix="pagemill-containers-") as directory,
    ):
        settings = Settings(
            database_url=postgres.url(DATABASE),
            objects_url=Path(directory).as_uri(),
            token_key="unused",  # noqa: S106 - nothing is signed
            container_engine_url=podman.url,
            container_network=NETWORK,
            container_ulimits=ULIMITS,
            container_api_url="https://unused.invalid",
        )
        return asyncio.run(_measure(settings, number))


async def _measure(settings: Settings, number: int) -> dict[str, Any]:
    connection = await connect(settings.database_url)
    tenant = await create_tenant(connection)
    await connection.close()
    pool = await create_pool(settings.database_url, size=6)
    resources = container_resources(settings, pool)
    engine = engine_of(resources)
    bare: list[float] = []
    steps: list[float] = []
    try:
        with progress_bar("starts of containers", number) as advance:
            async with dispatching(resources):
                for _ in range(number):
                    bare.append(await _bare(engine))
                    steps.append(await _step(pool, tenant))
                    advance()
    finally:
        await engine.close()
        await resources.objects.close()
        await pool.close()
    medians = {"step": statistics.median(steps), "bareEngine": statistics.median(bare)}
    return {
        "addedMs": round(medians["step"] - medians["bareEngine"], 1),
        "ms": {name: round(value, 1) for name, value in medians.items()},
        "containers": number,
    }


async def _bare(engine: Engine) -> float:
    """Return the milliseconds from asking the engine to the program, with the same bounds as a step's."""
    name = f"bare-{uuid.uuid4().hex}"
    spec = ContainerSpec(image=IMAGE, environment={"PROGRAM": PROGRAM}, labels={}, cpu=1024, memory=512)
    asked, output = time.time(), b""
    container_id = await engine.create(name, spec)
    await engine.start(container_id)
    async for piece in engine.output(container_id):
        output += piece.data
    await engine.wait(container_id)
    await engine.remove(name)
    return MILLISECONDS * (_begun(output.decode()) - asked)


async def _step(pool: Pool, tenant: Tenant) -> float:
    """Return the milliseconds from a step's row to its program."""
    execution_id = await begin(pool, tenant, PROGRAM)
    assert await until_ended(pool, await job_of(pool, execution_id)) == ["succeeded"]
    step = await step_of(pool, execution_id)
    printed = next(line for line in await log_of(pool, execution_id) if line.startswith(BEGUN))
    return MILLISECONDS * (_begun(printed) - step["created_time"].timestamp())


def _begun(printed: str) -> float:
    """Return the time at which the program was there, as it has printed it."""
    return float(printed.removeprefix(BEGUN))

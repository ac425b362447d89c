"""Jobs that a running dispatcher works on: submit one, wait for its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import psutil

from pagemill.jobs.kind import AnyKind
from pagemill.jobs.queue import enqueue
from pagemill.settings import Settings

FINAL = ("succeeded", "failed", "cancelled")
TRAINING_PROCESSES = ("ray::TrainingActor", "ray::TrainController", "RayTrainWorker")


async def submit(pool: asyncpg.Pool, kind: AnyKind, organization_id: str, subject_id: str) -> str:
    async with pool.acquire() as connection:
        return await enqueue(connection, kind, organization_id=organization_id, subject_id=subject_id)


async def eventually(look: Callable[[], Awaitable[Any]], *, seconds: float) -> Any:
    """What ``look`` finds as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)
    return found


async def ended(pool: asyncpg.Pool, table: str, row_id: str, *, seconds: float) -> dict[str, Any]:
    """The row once its status is final."""

    async def look() -> dict[str, Any] | None:
        row = await pool.fetchrow(f"SELECT * FROM {table} WHERE id = $1", row_id)
        return dict(row) if row["status"] in FINAL else None

    found: dict[str, Any] = await eventually(look, seconds=seconds)
    return found


def ray_processes(settings: Settings, *titles: str) -> list[psutil.Process]:
    """The processes of the Ray that works on this database whose title holds one of ``titles``."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or [])
        if title.startswith("ray::") and any(part in title for part in titles):
            with contextlib.suppress(psutil.Error):
                if process.environ().get("PAGEMILL_DATABASE_URL") == settings.database_url:
                    found.append(process)
    return found

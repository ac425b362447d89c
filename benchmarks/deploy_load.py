"""Steady predictions against a cluster of stubs, and how each of them ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg
import psutil

from benchmarks.cluster_nodes import ClusterNodes
from benchmarks.stub_documents import StubContent, Submitter
from db.pool import create_pool
from pagemill.objects import open_objects
from tests.support.tenants import create_tenant

PAGE_SECONDS = 1.0
"""As a scanned page takes."""
EVERY_SECONDS = 0.6
ENDING_SECONDS = 90.0
POLL_SECONDS = 0.2
PARTS = ("ray::ServeReplica:", "ray::DispatcherActor", "ray::UsageCounterActor")
"""Beginnings of the titles of the processes that a deployment may replace."""
ENDS = "SELECT state, attempt, created_time, ended_time FROM job WHERE organization_id = $1"


@dataclass(frozen=True, slots=True)
class End:
    """End of a prediction; times in seconds since the epoch."""

    state: str
    attempts: int
    begun: float
    seconds: float


@dataclass(slots=True)
class DeployLoad:
    """Predictions of one page each that are queued at a steady pace, whatever the cluster does."""

    submitter: Submitter
    pool: asyncpg.Pool
    submitted: int = 0

    async def keep_on(self) -> None:
        """Queue predictions until it is cancelled."""
        began = time.monotonic()
        while True:
            await self.submit()
            await asyncio.sleep(max(0.0, began + self.submitted * EVERY_SECONDS - time.monotonic()))

    async def submit(self) -> None:
        """Queue one prediction."""
        self.submitted += 1
        await self.submitter.submit([StubContent(f"document-{self.submitted}", 1, PAGE_SECONDS)])

    async def ends(self) -> list[End]:
        """Wait until all have ended and return how. Raises TimeoutError."""
        async with asyncio.timeout(ENDING_SECONDS):
            while await self.submitter.open_jobs():  # noqa: ASYNC110 - what is waited for happens in Postgres
                await asyncio.sleep(POLL_SECONDS)
        rows = await self.pool.fetch(ENDS, self.submitter.organization_id)
        return [
            End(
                row["state"],
                row["attempt"],
                row["created_time"].timestamp(),
                (row["ended_time"] - row["created_time"]).total_seconds(),
            )
            for row in rows
        ]


@contextlib.asynccontextmanager
async def deploy_load(cluster: ClusterNodes) -> AsyncIterator[DeployLoad]:
    """Yield a load of an organization of its own, whose plan limits pages: each is reserved."""
    pool = await create_pool(cluster.settings.database_url, size=2)
    objects = open_objects(cluster.settings)
    try:
        async with pool.acquire() as connection:
            organization_id = (await create_tenant(connection, allowed={"pages": 1e6})).organization_id
        submitter = Submitter(pool, objects, organization_id)
        await submitter.prepare()
        yield DeployLoad(submitter, pool)
    finally:
        await objects.close()
        await pool.close()


def parts_of(cluster: ClusterNodes) -> dict[tuple[int, float], str]:
    """Return the titles of the processes that a deployment may replace, by id and time of start."""
    found = {}
    for process in cluster.processes():
        with contextlib.suppress(psutil.Error, IndexError):
            title = process.cmdline()[0]
            if title.startswith(PARTS):
                found[process.pid, process.create_time()] = title
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that a share of the values does not exceed; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0

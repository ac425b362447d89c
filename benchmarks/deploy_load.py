"""Steady predictions against a cluster of stubs, and how each of them ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import psutil

from benchmarks.cluster_nodes import ClusterNodes
from benchmarks.stub_callers import Submitter, caller
from benchmarks.stub_documents import StubContent

PAGE_SECONDS = 1.0
"""As a scanned page takes."""
EVERY_SECONDS = 0.6
ENDING_SECONDS = 150.0
POLL_SECONDS = 0.2
PARTS = ("ray::ServeReplica:", "ray::DispatcherActor", "ray::UsageCounterActor")
"""Beginnings of the titles of the processes that a deployment may replace."""
SUCCEEDED = (
    "SELECT count(*) FROM job WHERE organization_id = $1 AND state = 'succeeded'"
    " AND created_time > to_timestamp($2)"
)
ENDS = "SELECT created_time, ended_time FROM job WHERE organization_id = $1"


@dataclass(frozen=True, slots=True)
class End:
    """When a prediction was queued, in seconds since the epoch, and after how many seconds it ended."""

    queued: float
    seconds: float


@dataclass(slots=True)
class DeployLoad:
    """Predictions of one page each that are queued at a steady pace, whatever the cluster does."""

    submitter: Submitter
    every: float = EVERY_SECONDS
    submitted: int = 0

    async def keep_on(self) -> None:
        """Queue predictions until it is cancelled."""
        began = time.monotonic()
        while True:
            await self.submit()
            await asyncio.sleep(max(0.0, began + self.submitted * self.every - time.monotonic()))

    async def submit(self) -> None:
        """Queue one prediction."""
        self.submitted += 1
        await self.submitter.submit([StubContent(f"document-{self.submitted}", 1, PAGE_SECONDS)])

    async def succeeded_since(self, since: float) -> int:
        """Return how many of those that were queued after a time, since the epoch, have succeeded."""
        number: int = await self.submitter.pool.fetchval(SUCCEEDED, self.submitter.organization_id, since)
        return number

    async def ends(self) -> list[End]:
        """Wait until all have ended and return how. Raises TimeoutError."""
        async with asyncio.timeout(ENDING_SECONDS):
            while await self.submitter.open_jobs():  # noqa: ASYNC110 - what is waited for happens in Postgres
                await asyncio.sleep(POLL_SECONDS)
        rows = await self.submitter.pool.fetch(ENDS, self.submitter.organization_id)
        return [
            End(
                row["created_time"].timestamp(),
                (row["ended_time"] - row["created_time"]).total_seconds(),
            )
            for row in rows
        ]


@contextlib.asynccontextmanager
async def deploy_load(cluster: ClusterNodes, every: float = EVERY_SECONDS) -> AsyncIterator[DeployLoad]:
    """Yield a load of an organization of its own, whose plan limits pages: each is reserved."""
    async with caller(cluster.settings) as submitter:
        yield DeployLoad(submitter, every)


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

"""Rehearsal 7: the same release deployed again, and a new one, under predictions that keep coming.

Readers sleep; Ray, Serve, dispatchers, usage counters, Postgres and the deployment are real.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.cluster_nodes import ClusterNodes, cluster_nodes
from benchmarks.deploy_load import deploy_load, parts_of, quantile
from benchmarks.rehearsal import Outcome, Rehearsal
from pagemill.concurrency import cancel_and_wait
from pagemill.pools import Pool

CPUS = 2
"""As on a laptop: the new replicas have to fit beside the old ones."""
QUIET_SECONDS = 30.0
SETTLING_SECONDS = 5.0
"""Replicas that were replaced end shortly after the deployment says that it has ended."""
CHANGED = {
    "PAGEMILL_READING_REPLICAS_MIN": "2",
    "PAGEMILL_READING_REPLICAS_MAX": "2",
    "PAGEMILL_PREDICTION_REPLICAS_MAX": "1",
}
FACTOR = 2.0


def run() -> Outcome:
    """Deploy the same release again, then a new one, and compare the latency with that before."""
    with cluster_nodes(CHANGED) as cluster:
        cluster.start_head()
        cluster.add_node(Pool.READING, cpus=CPUS)
        cluster.deploy(release="1")
        seen = asyncio.run(_deploy_under_load(cluster))
    return Outcome(seen, holds_bounds(seen))


async def _deploy_under_load(cluster: ClusterNodes) -> dict[str, Any]:
    async with deploy_load(cluster) as load:
        coming = asyncio.create_task(load.keep_on())
        quiet = await _phase(lambda: time.sleep(QUIET_SECONDS))
        before = parts_of(cluster)
        again = await _phase(lambda: cluster.deploy(release="1"))
        after = parts_of(cluster)
        new = await _phase(lambda: cluster.deploy(release="2"))
        await asyncio.sleep(SETTLING_SECONDS)
        rolled = parts_of(cluster)
        await cancel_and_wait([coming])
        ends = await load.ends()
        results = await load.submitter.results()
    latencies = {
        name: [end.seconds for end in ends if begun <= end.queued < ended]
        for name, (begun, ended) in {"quiet": quiet, "again": again, "new": new}.items()
    }
    return {
        "predictions": len(ends),
        "failed": results.failed,
        "begunAgain": results.repeated,
        "countedOnce": results.is_counted_exactly(),
        "parts": len(before),
        "restartsBySameRelease": len(before.keys() - after.keys()) + len(after.keys() - before.keys()),
        "keptByNewRelease": len(after.keys() & rolled.keys()),
        "secondsOfNewRelease": round(new[1] - new[0], 1),
        **{f"{name}P99Seconds": round(quantile(seconds, 0.99), 2) for name, seconds in latencies.items()},
        "ratio": round(quantile(latencies["new"], 0.99) / quantile(latencies["quiet"], 0.99), 2),
    }


async def _phase(work: Callable[[], object]) -> tuple[float, float]:
    """Do some work while predictions keep coming; return when it began and ended, since the epoch."""
    began = time.time()
    await asyncio.to_thread(work)
    return began, time.time()


def holds_bounds(seen: Mapping[str, Any]) -> bool:
    """Return whether no prediction was lost, nothing restarted in vain, and nobody waited long."""
    return bool(
        seen["failed"] == 0
        and seen["countedOnce"]
        and seen["restartsBySameRelease"] == 0
        and seen["keptByNewRelease"] == 0
        and seen["ratio"] <= FACTOR
    )


RELEASE = Rehearsal(
    number=7,
    name="release",
    bound=(
        "the same release again restarts no replica, dispatcher or usage counter; a new one under load "
        f"replaces all, no prediction fails, each page is counted once, p99 <= {FACTOR:g} x that without it"
    ),
    run=run,
)

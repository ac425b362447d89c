"""Rehearsal 4: Ray's autoscaler with cluster.yaml's node types, which a fake provider starts as processes.

Pages that wait in Postgres order replicas by the scaling policy, and replicas that wait order nodes. With a
minimum of one replica one node would always stay: it is 0 here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.cluster_nodes import ClusterNodes, cluster_nodes
from benchmarks.node_watch import Look
from benchmarks.pretended_nodes import HEAD_ENVIRONMENT, pretended
from benchmarks.progress import console
from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.stub_callers import Submitter, caller
from benchmarks.stub_documents import StubContent
from pagemill.pools import POOL_LABEL, Pool

ROUNDS, NODES = 5, 3
CPUS_DIVIDED_BY = 4
"""Two readers fill a reading node then, in place of eight."""
SETTINGS = {
    "PAGEMILL_READING_CPUS": "1",
    "PAGEMILL_PREDICTION_CPUS": "1",
    "PAGEMILL_READING_REPLICAS_MIN": "0",
    "PAGEMILL_PREDICTION_REPLICAS_MIN": "0",
    "PAGEMILL_READING_REPLICAS_MAX": str(2 * NODES - 1),
    "PAGEMILL_PREDICTION_REPLICAS_MAX": "1",
    "PAGEMILL_REPLICAS_DOWN_DELAY": "3",
}
DOCUMENTS, SECONDS_PER_PAGE = 60, 1.5
IDLE_SECONDS = 10.0
"""In place of five minutes."""
FIRST_NODE_SECONDS, GONE_SECONDS = 10.0, IDLE_SECONDS + 30.0
ROUND_SECONDS = 240.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Round:
    """Course of one burst: seconds from it to the first node, and from its last page to none; most nodes."""

    first_node: float
    most_nodes: int
    gone: float

    @property
    def holds(self) -> bool:
        """Return whether nodes came, and went, in time."""
        return (
            self.first_node <= FIRST_NODE_SECONDS and self.most_nodes == NODES and self.gone <= GONE_SECONDS
        )


def judge(looks: Sequence[Look], pool: Pool, asked: float, ended: float) -> Round:
    """Return what was seen of a pool from when nodes were asked for until none was left."""
    counts = [(look.at, look.count(POOL_LABEL, pool)) for look in looks if look.at >= asked]
    came = [at for at, count in counts if count]
    first, last = min(came, default=float("inf")), max(came, default=float("inf"))
    # With the last look that has one, it is there still.
    is_gone = any(at > last for at, _ in counts)
    return Round(
        round(first - asked, 1),
        max((count for _, count in counts), default=0),
        round(max(last - ended, 0.0), 1) if is_gone else float("inf"),
    )


async def burst(cluster: ClusterNodes, submitter: Submitter, number: int) -> Round:
    """Queue more pages than one node reads, and watch until the last node has gone. Raises TimeoutError."""
    assert cluster.watch is not None
    asked = time.time()
    await submitter.submit(
        [StubContent(f"burst-{number}-{page}", 1, SECONDS_PER_PAGE) for page in range(DOCUMENTS)]
    )
    async with asyncio.timeout(ROUND_SECONDS):
        while await submitter.open_jobs():  # noqa: ASYNC110 - what is waited for happens in Postgres
            await asyncio.sleep(POLL_SECONDS)
    ended = time.time()
    await asyncio.to_thread(
        cluster.watch.until, has_no_workers, seconds=ROUND_SECONDS, what="all nodes but the head have gone"
    )
    return judge(cluster.watch.looks, Pool.READING, asked, ended)


def has_no_workers(look: Look) -> bool:
    """Return whether only the head is there."""
    return look.count(POOL_LABEL, Pool.HEAD) == len(look.nodes) == 1


async def bursts(cluster: ClusterNodes) -> tuple[list[Round], int]:
    """Return what was seen of each burst, and how many jobs failed."""
    rounds = []
    async with caller(cluster.settings) as submitter:
        for number in range(ROUNDS):
            rounds.append(await burst(cluster, submitter, number))
            console.print(f"burst {number + 1} of {ROUNDS}: {rounds[-1]}")
        return rounds, (await submitter.results()).failed


def run() -> Outcome:
    """Have the autoscaler follow bursts of pages."""
    with cluster_nodes(SETTINGS) as cluster:
        configuration = pretended(cluster.address, idle_seconds=IDLE_SECONDS, cpus_divided_by=CPUS_DIVIDED_BY)
        cluster.start_head(configuration, environment=HEAD_ENVIRONMENT)
        cluster.deploy()
        rounds, failed = asyncio.run(bursts(cluster))
    seen = {
        "rounds": [asdict(one) for one in rounds],
        "idleSeconds": IDLE_SECONDS,
        "failedJobs": failed,
    }
    return Outcome(seen, all(one.holds for one in rounds) and not failed)


AUTOSCALER = Rehearsal(
    4,
    "autoscaler",
    f"Ray's autoscaler with cluster.yaml's node types: a burst takes it from 0 to {NODES} worker nodes and "
    f"back, the first <= {FIRST_NODE_SECONDS:g} s after the burst, all gone <= idle time + 30 s, "
    f"{ROUNDS} of {ROUNDS} times",
    run,
)

"""Rehearsal 4: Ray's autoscaler with cluster.yaml's node types, which a fake provider starts as processes.

Pages that wait in Postgres order replicas by the scaling policy, and replicas that wait order nodes. With a
minimum of one replica one node would always stay: it is 0 here. When the pages of a burst are read, a
training asks for a node with a GPU; ``benchmarks.pretended_gpu`` says what is not real of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import msgspec

from benchmarks.cluster_nodes import ClusterNodes, cluster_nodes
from benchmarks.node_watch import Look
from benchmarks.pretended_nodes import HEAD_ENVIRONMENT, pretended
from benchmarks.progress import console
from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.rehearsal_trainings import dispatching
from benchmarks.stub_callers import Submitter, caller
from benchmarks.stub_documents import StubContent
from benchmarks.stub_trainings import Bundle, make_bundle, queue_training, training_end
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
    "PAGEMILL_TRAINING_GPU": "true",
    "PAGEMILL_TRAINING_CONCURRENCY": "0",
    "PAGEMILL_TRAINING_BUDGET": "5",
}
DOCUMENTS, SECONDS_PER_PAGE = 60, 1.5
LEARNT_FROM = [StubContent(f"learnt-{number}", 1, 0.05) for number in range(24)]
IDLE_SECONDS = 10.0
"""In place of five minutes."""
FIRST_NODE_SECONDS, GONE_SECONDS = 10.0, IDLE_SECONDS + 30.0
ROUND_SECONDS = 240.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Course:
    """Nodes of a pool: seconds until the first came, the most at a time, and seconds until the last had gone.

    These count from the moment the nodes were asked for, and from the end of what they were needed for.
    """

    first_node: float
    most_nodes: int
    gone: float

    def holds(self, nodes: int) -> bool:
        """Return whether as many nodes came as were needed, and all of them came and went in time."""
        return (
            self.first_node <= FIRST_NODE_SECONDS and self.most_nodes == nodes and self.gone <= GONE_SECONDS
        )


def judge(looks: Sequence[Look], pool: Pool, asked: float, ended: float) -> Course:
    """Return what was seen of a pool from when nodes were asked for until none was left."""
    counts = [(look.at, look.count(POOL_LABEL, pool)) for look in looks if look.at >= asked]
    came = [at for at, count in counts if count]
    first, last = min(came, default=float("inf")), max(came, default=float("inf"))
    # With the last look that has one, it is there still.
    is_gone = any(at > last for at, _ in counts)
    return Course(
        round(first - asked, 1),
        max((count for _, count in counts), default=0),
        round(max(last - ended, 0.0), 1) if is_gone else float("inf"),
    )


async def rehearse_round(
    cluster: ClusterNodes, submitter: Submitter, bundle: Bundle, number: int
) -> list[Course]:
    """Queue more pages than one node reads, then a training, and watch until the last node has gone.

    Raises TimeoutError.
    """
    asked = time.time()
    await submitter.submit(
        [StubContent(f"burst-{number}-{page}", 1, SECONDS_PER_PAGE) for page in range(DOCUMENTS)]
    )
    async with asyncio.timeout(ROUND_SECONDS):
        while await submitter.open_jobs():  # noqa: ASYNC110 - what is waited for happens in Postgres
            await asyncio.sleep(POLL_SECONDS)
    read = time.time()
    training_id = await queue_training(submitter, bundle)
    end = await training_end(submitter.pool, training_id, seconds=ROUND_SECONDS)
    if end.status != "succeeded":
        raise RuntimeError(f"the training did not succeed: {end}")
    trained = time.time()
    looks = await wait_until_all_have_gone(cluster)
    wanted = [look.at for look in looks if look.at >= read and look.wanted_gpus]
    return [
        judge(looks, Pool.READING, asked, read),
        # Importing Ray Train takes the training seconds before it asks.
        judge(looks, Pool.TRAINING, min(wanted, default=read), trained),
    ]


async def wait_until_all_have_gone(cluster: ClusterNodes) -> Sequence[Look]:
    """Wait until only the head is left; return all looks so far. Raises TimeoutError."""
    assert cluster.watch is not None
    await asyncio.to_thread(
        cluster.watch.until, has_no_workers, seconds=ROUND_SECONDS, what="all nodes but the head have gone"
    )
    return cluster.watch.looks


def has_no_workers(look: Look) -> bool:
    """Return whether only the head is there."""
    return look.count(POOL_LABEL, Pool.HEAD) == len(look.nodes) == 1


async def rehearse(cluster: ClusterNodes) -> Outcome:
    """Have the autoscaler follow bursts of pages, and trainings."""
    readers, trainers = [], []
    async with caller(cluster.settings) as submitter:
        bundle = await make_bundle(submitter, LEARNT_FROM)
        await wait_until_all_have_gone(cluster)
        console.print("a data bundle was made, and its node has gone")
        for number in range(ROUNDS):
            reading, training = await rehearse_round(cluster, submitter, bundle, number)
            console.print(f"round {number + 1} of {ROUNDS}: {reading}, {training}")
            readers.append(reading)
            trainers.append(training)
        failed = (await submitter.results()).failed
    seen = {
        "reading": [asdict(one) for one in readers],
        "training": [asdict(one) for one in trainers],
        "idleSeconds": IDLE_SECONDS,
        "failedJobs": failed,
    }
    holds = all(one.holds(NODES) for one in readers) and all(one.holds(1) for one in trainers)
    return Outcome(seen, holds and not failed)


def run() -> Outcome:
    """Start a head whose autoscaler pretends, and rehearse."""
    with cluster_nodes(SETTINGS) as cluster:
        configuration = pretended(cluster.address, idle_seconds=IDLE_SECONDS, cpus_divided_by=CPUS_DIVIDED_BY)
        cluster.start_head(configuration, environment=HEAD_ENVIRONMENT)
        cluster.deploy()
        # Trainings are dispatched by the program that pretends the GPU, not by the cluster's dispatchers.
        with dispatching(cluster, msgspec.structs.replace(cluster.settings, training_concurrency=1)):
            return asyncio.run(rehearse(cluster))


AUTOSCALER = Rehearsal(
    4,
    "autoscaler",
    f"Ray's autoscaler with cluster.yaml's node types: a burst takes it from 0 to {NODES} worker nodes and "
    f"back, the first <= {FIRST_NODE_SECONDS:g} s after the burst, all gone <= idle time + 30 s, and "
    f"likewise one GPU node for a training, {ROUNDS} of {ROUNDS} times",
    run,
)

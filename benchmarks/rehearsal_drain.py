"""Rehearsal 6: nodes that are drained under load, with a training on them.

The first is drained as an operator does it, and taken away when no replica is left there. The second gets
SIGTERM, as from a machine that is shut down or that a cloud takes back. One node at a time has everything but
the part of the head: the readers, the replica that predicts and the worker of the training.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import asdict

from benchmarks.cluster_nodes import ClusterNodes, Node, cluster_nodes
from benchmarks.progress import console
from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.stub_callers import Results, Submitter, caller
from benchmarks.stub_documents import StubContent, pages_read, read_twice
from benchmarks.stub_trainings import (
    EpochWatch,
    TrainingEnd,
    goes_on,
    make_bundle,
    queue_training,
    training_end,
)
from pagemill.pools import Pool

SETTINGS = {
    # All of these fit on one node, with room for nothing else.
    "PAGEMILL_READING_CPUS": "0.8",
    "PAGEMILL_PREDICTION_CPUS": "0.2",
    "PAGEMILL_TRAINING_CPUS": "1",
    "PAGEMILL_READING_REPLICAS_MIN": "2",
    "PAGEMILL_READING_REPLICAS_MAX": "2",
    "PAGEMILL_PREDICTION_REPLICAS_MAX": "1",
    "PAGEMILL_TRAINING_THREADS": "1",
    "PAGEMILL_TRAINING_CHECKPOINT_INTERVAL": "1",
}
CPUS = 3
NOTICE_SECONDS = 25
"""A cloud gives two minutes; what has to go needs less here."""
NODE = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(NOTICE_SECONDS)}
PAGES, SECONDS_PER_PAGE = 3, 0.4
DOCUMENTS_A_SECOND = 2
"""A little more than half of what the readers can do."""
# So few that none is held out, which could end the training early; so long that an epoch takes seconds.
LEARNT_FROM = [StubContent(f"learnt-{number}", 1, 0.02, more_words=7000) for number in range(4)]
START_SECONDS, MOVE_SECONDS, END_SECONDS = 240.0, 240.0, 240.0
POLL_SECONDS = 0.2


class Load:
    """Documents that come all the time, until ``end``."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._ending = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> Results:
        """Send no more, and return the results of all that was sent. Raises TimeoutError."""
        self._ending.set()
        await self._task
        async with asyncio.timeout(END_SECONDS):
            while await self._submitter.open_jobs():  # noqa: ASYNC110 - jobs end in Postgres
                await asyncio.sleep(POLL_SECONDS)
        return await self._submitter.results()

    async def _run(self) -> None:
        number = 0
        while not self._ending.is_set():
            names = [f"document-{number + place}" for place in range(DOCUMENTS_A_SECOND)]
            await self._submitter.submit([StubContent(name, PAGES, SECONDS_PER_PAGE) for name in names])
            number += len(names)
            await asyncio.sleep(1.0)


def strangers(titles: Iterable[str]) -> list[str]:
    """Return what runs on a node beside replicas, a training's worker and Ray's own agents.

    It would keep the node from going, and be lost with it.
    """
    known = ("Replica", "RayTrainWorker", "Agent", "IDLE")
    return sorted(
        title for title in titles if title.startswith("ray::") and not any(name in title for name in known)
    )


def wait_for_replicas_to_leave(node: Node) -> None:
    """Return when no replica runs on a node. Raises TimeoutError."""
    deadline = time.monotonic() + MOVE_SECONDS
    while any("Replica" in title for title in node.titles()):
        if time.monotonic() > deadline:
            raise TimeoutError("a replica stays on a node that is drained")
        time.sleep(POLL_SECONDS)


def wait_for_exit(cluster: ClusterNodes, node: Node, seconds: float) -> None:
    """Return when the head has forgotten a node. Raises TimeoutError."""
    assert cluster.watch is not None
    cluster.watch.until(
        lambda look: all(seen.node_id != node.node_id for seen in look.nodes),
        seconds=seconds,
        what="the node has gone",
    )


def drain_twice(cluster: ClusterNodes, first: Node, epochs: EpochWatch) -> list[float]:
    """Drain the node with everything, then the one that took it over; return when each was lost."""
    second = cluster.add_node(Pool.READING, cpus=CPUS, environment=NODE)
    console.print(f"the training is in epoch {epochs.seen[-1].epoch}; its node is drained")
    cluster.drain(first.node_id)
    wait_for_replicas_to_leave(first)
    first.kill()
    lost = [time.time()]
    epochs.until_more(seconds=START_SECONDS)
    cluster.add_node(Pool.READING, cpus=CPUS, environment=NODE)
    console.print(f"the training is in epoch {epochs.seen[-1].epoch}; its node gets SIGTERM")
    second.terminate()
    wait_for_exit(cluster, second, NOTICE_SECONDS + MOVE_SECONDS)
    return [*lost, time.time()]


async def rehearse(cluster: ClusterNodes, first: Node) -> Outcome:
    """Drain nodes while documents come and a training runs."""
    async with caller(cluster.settings) as submitter:
        epochs = EpochWatch(cluster.directory / "objects")
        try:
            training_id = await queue_training(submitter, await make_bundle(submitter, LEARNT_FROM))
            console.print("the training is queued")
            load = Load(submitter)
            await asyncio.to_thread(epochs.until_more, seconds=START_SECONDS)
            others = strangers(first.titles())
            lost = await asyncio.to_thread(drain_twice, cluster, first, epochs)
            results = await load.end()
            end = await training_end(submitter.pool, training_id, seconds=END_SECONDS)
        finally:
            epochs.close()
    twice = read_twice(pages_read(cluster.reads))
    seen = {
        "jobs": len(results.ended),
        "failedJobs": results.failed,
        "jobsTriedAgain": results.repeated,
        "pagesReadTwice": len(twice),
        "longestPauseSeconds": {
            "drained": round(results.longest_pause(until=lost[0]), 1),
            "ended by SIGTERM": round(results.longest_pause(since=lost[0]), 1),
        },
        "alsoOnTheNode": others,
        "training": asdict(end),
        "epochsOfCheckpoints": [one.epoch for one in epochs.seen],
        "epochsAfterEachLoss": [sum(one.at > at for one in epochs.seen) for at in lost],
    }
    holds = (
        not results.failed
        and not twice
        and not others
        and results.is_counted_exactly()
        and end == TrainingEnd("succeeded", 1)
        and goes_on(epochs.seen, lost[0])
    )
    return Outcome(seen, holds)


def run() -> Outcome:
    """Start a node that takes everything, and drain it, and the one that comes in its place."""
    with cluster_nodes(SETTINGS) as cluster:
        cluster.start_head()
        first = cluster.add_node(Pool.READING, cpus=CPUS, environment=NODE)
        cluster.deploy()
        console.print("a node works")
        return asyncio.run(rehearse(cluster, first))


DRAIN = Rehearsal(
    6,
    "drain",
    "nodes drained under load, one by command and one by SIGTERM: 0 failed jobs, 0 pages read twice, "
    "a training goes on from its last checkpoint, and nothing but replicas and its worker was on its node",
    run,
)

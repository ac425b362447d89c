"""Rehearsal 11: several Ray nodes as processes, one of them killed under load, beside one node alone.

The node that is killed is the one that read and predicted alone before: everything has to go on elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from benchmarks.cluster_nodes import ClusterNodes, Node, cluster_nodes
from benchmarks.progress import console
from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.stub_callers import Results, caller
from benchmarks.stub_documents import ReadPage, StubContent, pages_read, read_twice
from pagemill.pools import Pool

DOCUMENTS, PAGES, SECONDS_PER_PAGE = 60, 3, 0.4
MORE_NODES = 2
SETTINGS = {
    # Two readers and a replica that predicts fill a node.
    "PAGEMILL_READING_CPUS": "0.8",
    "PAGEMILL_PREDICTION_CPUS": "0.2",
    "PAGEMILL_READING_REPLICAS_MIN": "2",
    "PAGEMILL_READING_REPLICAS_MAX": "6",
}
CPUS = 2
DRAINED_SECONDS = 240.0
POLL_SECONDS = 0.1


def contents() -> list[StubContent]:
    """Return the documents, the same ones each time."""
    return [StubContent(f"document-{number}", PAGES, SECONDS_PER_PAGE) for number in range(DOCUMENTS)]


async def work_off(cluster: ClusterNodes, during: Callable[[], None] = lambda: None) -> Results:
    """Have all documents predicted; meanwhile, do something that blocks. Raises TimeoutError."""
    async with caller(cluster.settings) as submitter:
        await submitter.submit(contents())
        doing = asyncio.create_task(asyncio.to_thread(during))
        async with asyncio.timeout(DRAINED_SECONDS):
            await doing
            while await submitter.open_jobs():  # noqa: ASYNC110 - what is waited for happens in Postgres
                await asyncio.sleep(POLL_SECONDS)
        return await submitter.results()


def kill_while_it_reads(cluster: ClusterNodes, node: Node) -> None:
    """Kill a node in the middle of a page, while others read too. Raises TimeoutError."""
    deadline = time.monotonic() + DRAINED_SECONDS
    before = len(pages_read(cluster.reads))
    while time.monotonic() < deadline:
        processes = {process.pid for process in node.processes()}
        reads = pages_read(cluster.reads)[before:]
        if pages_in_progress(reads, processes) and pages_elsewhere(reads, processes):
            node.kill()
            return
        time.sleep(POLL_SECONDS)
    raise TimeoutError("the node to be killed has read nothing beside the others")


def pages_in_progress(reads: Sequence[ReadPage], processes: set[int]) -> int:
    """Return how many pages some processes have begun and not ended."""
    events = [read.event for read in reads if read.process in processes]
    return events.count("begun") - events.count("ended")


def pages_elsewhere(reads: Sequence[ReadPage], processes: set[int]) -> int:
    """Return how many pages have been begun by other processes."""
    return sum(read.event == "begun" and read.process not in processes for read in reads)


def judge(alone: Results, several: Results) -> bool:
    """Return whether several nodes gave what one gave: each job once, the same fields, the same usage."""
    return (
        alone.failed == several.failed == 0
        and len(alone.predictions) == len(several.predictions) == DOCUMENTS
        and alone.predictions == several.predictions
        and alone.is_counted_exactly()
        and several.is_counted_exactly()
    )


def run() -> Outcome:
    """Have documents predicted on one node, then on several of which one is killed."""
    with cluster_nodes(SETTINGS) as cluster:
        cluster.start_head()
        first = cluster.add_node(Pool.READING, cpus=CPUS)
        cluster.deploy()
        console.print("one node works")
        begun = time.time()
        alone = asyncio.run(work_off(cluster))
        took_alone = time.time() - begun
        for _ in range(MORE_NODES):
            cluster.add_node(Pool.READING, cpus=CPUS)
        console.print(f"{took_alone:.0f} s; now there are {1 + MORE_NODES} nodes, of which one is killed")
        begun, before = time.time(), len(pages_read(cluster.reads))
        several = asyncio.run(work_off(cluster, lambda: kill_while_it_reads(cluster, first)))
        seen = {
            "nodes": 1 + MORE_NODES,
            "jobs": len(several.ended),
            "pages": DOCUMENTS * PAGES,
            "failedJobs": several.failed,
            "jobsTriedAgain": several.repeated,
            "pagesReadTwice": len(read_twice(pages_read(cluster.reads)[before:])),
            "sameFields": alone.predictions == several.predictions,
            "used": {name: several.used.get(name) for name in ("predictions", "pages", "fields")},
            "secondsOnOneNode": round(took_alone, 1),
            "seconds": round(time.time() - begun, 1),
            "longestPauseSeconds": round(several.longest_pause(), 1),
        }
        return Outcome(seen, judge(alone, several))


NODES = Rehearsal(
    11,
    "nodes",
    f"{1 + MORE_NODES} Ray nodes as processes, one killed under load: the same fields as on one node, "
    "no failed job, usage exact",
    run,
)

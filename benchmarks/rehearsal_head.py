"""Rehearsal 8: the head killed under predictions that keep coming, and brought back without its memory.

What an operator's machines do is done here: Ray is started again, on the head and on the reading node. All
else is left to the deployer that watches.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.cluster_nodes import ClusterNodes, cluster_nodes
from benchmarks.deploy_load import DeployLoad, deploy_load
from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.stub_callers import Ended
from pagemill.concurrency import cancel_and_wait
from pagemill.pools import Pool

CPUS = 2
QUIET_SECONDS = 10.0
EVERY_SECONDS = 1.5
"""Slow enough that the work which gathers while the head is away is done soon afterwards."""
BACK_SECONDS = 180.0
AFTERWARDS = 5
"""Predictions that were asked for after the head was killed, and have to end before the load does."""
POLL_SECONDS = 0.2
CHANGED = {
    "PAGEMILL_READING_REPLICAS_MAX": "1",
    "PAGEMILL_PREDICTION_REPLICAS_MAX": "1",
    "PAGEMILL_JOB_LEASE": "10",
    "PAGEMILL_JOB_HEARTBEAT": "2",
}
WATCHER = """
import asyncio, sys
from pagemill.stack.deploying import keep_deployed
program = (sys.executable, "-m", "benchmarks.stub_applications", "--stay")
asyncio.run(keep_deployed(lambda line: print(line, flush=True), program=program))
"""
DEPLOYED = " runs after "
"""Part of what the deployer says of each deployment."""


def run() -> Outcome:
    """Kill the head while predictions come; look at how each of them ended."""
    with cluster_nodes(CHANGED) as cluster:
        cluster.start_head()
        cluster.add_node(Pool.READING, cpus=CPUS)
        with _watcher(cluster) as (log, process):
            _wait_for(lambda: _deployments(log) >= 1, "the first deployment")
            seen = asyncio.run(_kill_the_head(cluster, log))
            process.terminate()
            seen["exitStatusOfDeployer"] = process.wait(30.0)
            seen["deployments"] = _deployments(log)
    return Outcome(seen, holds_bounds(seen))


@contextlib.contextmanager
def _watcher(cluster: ClusterNodes) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Run the deployer that stays; yield its log and its process."""
    path = cluster.directory / "deployer.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCHER],
            env=cluster.environment(cluster.settings),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield path, process
    finally:
        process.kill()
        process.wait()


async def _kill_the_head(cluster: ClusterNodes, log: Path) -> dict[str, Any]:
    async with deploy_load(cluster, EVERY_SECONDS) as load:
        coming = asyncio.create_task(load.keep_on())
        await asyncio.sleep(QUIET_SECONDS)
        killed = time.time()
        await asyncio.to_thread(_replace_nodes, cluster)
        back = time.time()
        await asyncio.to_thread(_wait_for, lambda: _deployments(log) >= 2, "the second deployment")
        deployed = time.time()
        await _until_succeeded(load, killed, AFTERWARDS)
        await cancel_and_wait([coming])
        ends = await load.ends()
        results = await load.submitter.results()
    return {
        "predictions": len(ends),
        "failed": results.failed,
        "begunAgain": results.repeated,
        "wrongAnswers": sum(not _is_right(answer) for answer in results.ended),
        "countedOnce": results.is_counted_exactly(),
        "secondsUntilRayIsBack": round(back - killed, 1),
        "secondsUntilDeployed": round(deployed - killed, 1),
    }


def _replace_nodes(cluster: ClusterNodes) -> None:
    """Kill the head; start another one, and Ray on the reading node anew, as cluster.yaml's commands do.

    A Ray that still names the address of the head keeps another one from starting on the same machine.
    """
    head, reading = cluster.nodes
    head.kill()
    reading.kill()
    cluster.start_head()
    cluster.add_node(Pool.READING, cpus=CPUS)


async def _until_succeeded(load: DeployLoad, since: float, number: int) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        while await load.succeeded_since(since) < number:  # noqa: ASYNC110 - it happens in Postgres
            await asyncio.sleep(POLL_SECONDS)


def _is_right(answer: Ended) -> bool:
    """Return whether a prediction has exactly the words of its document."""
    return bool(answer.predictions) and [one["value"] for one in answer.predictions] == [
        f"{answer.content.name} page-0"
    ]


def _deployments(log: Path) -> int:
    return log.read_text().count(DEPLOYED)


def _wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {BACK_SECONDS:g} s for {what}")
        time.sleep(POLL_SECONDS)


def holds_bounds(seen: Mapping[str, Any]) -> bool:
    """Return whether each prediction ended once, rightly, and the deployer did its work and ended."""
    return bool(
        seen["failed"] == 0
        and seen["wrongAnswers"] == 0
        and seen["countedOnce"]
        and seen["begunAgain"] > 0
        and seen["deployments"] == 2
        and seen["exitStatusOfDeployer"] == 0
    )


HEAD = Rehearsal(
    number=8,
    name="head",
    bound=(
        "the head killed under load, and Ray started again: deployed without a person, all predictions "
        "succeed, those that were being made too, and each page is counted once"
    ),
    run=run,
)

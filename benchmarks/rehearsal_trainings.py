"""Rehearsal 5: two trainings, one GPU, and a node that takes two minutes to come.

python -m benchmarks.rehearsal_trainings [--quick]   runs it alone; --quick waits 25 seconds for the node

Postgres, the dispatcher's engine, Ray Train and the trainings are real; ``benchmarks.pretended_gpu`` says
what is not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from benchmarks.cluster_nodes import ClusterNodes, cluster_nodes
from benchmarks.rehearsal import Outcome, Rehearsal
from db.pool import create_pool
from pagemill.extraction.types import Example, Page, Word
from pagemill.ids import DataBundleId, ModelId, OrganizationId, TrainingId, new_id
from pagemill.jobs.queue import enqueue
from pagemill.objects import ObjectStore, open_objects
from pagemill.objects.keys import new_data_bundle_key
from pagemill.pools import Pool
from pagemill.settings import Settings
from pagemill.usage.organization_usage import usage_of
from pagemill.work.trainings import TRAINING
from train_jobs import gather

TRAININGS = 2
DOCUMENTS = 24
NODE_SECONDS, QUICK_SECONDS = 120.0, 25.0
DEADLINE_SECONDS = 150.0
"""Longest time from the moment the node is there until both trainings have ended."""
LOOK_SECONDS = 0.2
CLOCK_SECONDS = 2.0
"""A status is told after it has begun, and seen after it was told."""
ORGANIZATION = OrganizationId("las:organization:rehearsal")
FIELDS = {"total": {"type": "amount"}}
CHANGED = {
    "PAGEMILL_TRAINING_GPU": "true",
    "PAGEMILL_TRAINING_CONCURRENCY": str(TRAININGS),
    "PAGEMILL_TRAINING_BUDGET": "12",
    "PAGEMILL_TRAINING_THREADS": "1",
    "PAGEMILL_TRAINING_CHECKPOINT_INTERVAL": "2",
}
FINAL = ("succeeded", "failed", "cancelled")


@dataclass(slots=True)
class Story:
    """Statuses of a training with the second in which each was first seen, and its end."""

    statuses: list[tuple[float, str]] = field(default_factory=list)
    attempts: int = 0
    gpu_seconds: float = 0.0

    @property
    def status(self) -> str:
        """Return the last status."""
        return self.statuses[-1][1]

    def see(self, second: float, status: str) -> None:
        """Note a status."""
        if not self.statuses or self.status != status:
            self.statuses.append((second, status))

    @property
    def waited(self) -> bool:
        """Return whether it was prepared, and pending again before its workers began."""
        names = [status for _, status in self.statuses]
        return "preparing" in names and names[names.index("preparing") + 1 :][:2] == ["pending", "running"]

    @property
    def running_seconds(self) -> float:
        """Return the time from its workers' beginning to its end; 0 when they never began."""
        begun = [since for since, status in self.statuses if status.startswith("running")]
        return self.statuses[-1][0] - begun[0] if begun else 0.0


def judge(stories: Sequence[Story], node_second: float, metered_seconds: float) -> Outcome:
    """Return what was seen: both end well at the first attempt, and only time on the GPU is billed."""
    billed = sum(story.gpu_seconds for story in stories)
    with_node = max(story.statuses[-1][0] for story in stories) - node_second
    seen = {
        "nodeSeconds": round(node_second, 1),
        "secondsWithNode": round(with_node, 1),
        "statuses": [[[round(since, 1), status] for since, status in story.statuses] for story in stories],
        "attempts": [story.attempts for story in stories],
        "runningSeconds": [round(story.running_seconds, 1) for story in stories],
        "gpuSeconds": [round(story.gpu_seconds, 1) for story in stories],
        "meteredGpuSeconds": round(metered_seconds, 1),
    }
    holds = (
        all(story.status == "succeeded" and story.attempts == 1 for story in stories)
        and all(story.waited for story in stories)
        and all(0 < story.gpu_seconds <= story.running_seconds + CLOCK_SECONDS for story in stories)
        and billed <= with_node
        and abs(metered_seconds - billed) < CLOCK_SECONDS
    )
    return Outcome(seen, holds)


def examples(count: int = DOCUMENTS) -> list[Example]:
    """Return labelled documents of a page each, the same ones each time."""
    chance = random.Random(5)
    found = []
    for number in range(count):
        total = f"{chance.randrange(10, 900)}.{chance.randrange(10, 99)}"
        texts = ["Order", f"{chance.randrange(1000, 9999)}", "paid", "Total", total]
        words = [
            Word(text, 0.1, 0.1 + 0.05 * line, 0.4, 0.13 + 0.05 * line) for line, text in enumerate(texts)
        ]
        found.append(
            Example(f"document-{number}", [Page(0, 0.7, "text", words)], [{"label": "total", "value": total}])
        )
    return found


class Trainings:
    """Trainings of one organization on one data bundle, as the API leaves them."""

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore) -> None:
        self._pool, self._objects = pool, objects
        self._stories: dict[str, Story] = {}
        self._begun = time.monotonic()

    @property
    def stories(self) -> list[Story]:
        """Return what has been seen of each."""
        return list(self._stories.values())

    @property
    def second(self) -> float:
        """Return the seconds since the trainings were queued."""
        return time.monotonic() - self._begun

    async def queue(self) -> None:
        """Store organization, model, bundle and trainings, and queue the jobs."""
        model_id, bundle_id = new_id(ModelId), new_id(DataBundleId)
        key = new_data_bundle_key(ORGANIZATION, bundle_id)
        await gather.write_dataset(self._objects, key, examples())
        insert = self._pool.execute
        await insert("INSERT INTO plan (id, slug, version) VALUES ('plan', 'plan', 1)")
        await insert("INSERT INTO organization (id, plan_id) VALUES ($1, 'plan')", ORGANIZATION)
        await insert(
            "INSERT INTO model (organization_id, id, field_config) VALUES ($1, $2, $3)",
            ORGANIZATION,
            model_id,
            FIELDS,
        )
        await insert(
            "INSERT INTO data_bundle (organization_id, id, model_id, status, datasets, object_key)"
            " VALUES ($1, $2, $3, 'succeeded', '[]', $4)",
            ORGANIZATION,
            bundle_id,
            model_id,
            key,
        )
        for _ in range(TRAININGS):
            await self._queue_training(model_id, bundle_id)
        self._begun = time.monotonic()

    async def _queue_training(self, model_id: ModelId, bundle_id: DataBundleId) -> None:
        training_id = new_id(TrainingId)
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO training (organization_id, id, model_id, data_bundle_ids)"
                " VALUES ($1, $2, $3, $4)",
                ORGANIZATION,
                training_id,
                model_id,
                [bundle_id],
            )
            await enqueue(connection, TRAINING, organization_id=ORGANIZATION, subject_id=training_id)
        self._stories[training_id] = Story()

    async def watch(self, seconds: float) -> None:
        """Note the statuses for some seconds, or until all have ended."""
        end = self.second + seconds
        while self.second < end:
            await self._look()
            if all(story.status in FINAL for story in self.stories):
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        rows = await self._pool.fetch(
            "SELECT training.id, training.status, training.gpu_hours, job.attempt FROM training"
            " JOIN job ON job.subject_id = training.id WHERE training.organization_id = $1",
            ORGANIZATION,
        )
        for row in rows:
            story = self._stories[row["id"]]
            story.see(self.second, row["status"])
            story.attempts, story.gpu_seconds = row["attempt"], 3600 * (row["gpu_hours"] or 0.0)

    async def metered_seconds(self) -> float:
        """Return the GPU time that the organization was counted."""
        async with self._pool.acquire() as connection:
            usage = await usage_of(connection, ORGANIZATION)
        return 3600 * float(usage.used["gpu-hours"])


@contextlib.contextmanager
def dispatching(cluster: ClusterNodes, settings: Settings | None = None) -> Iterator[None]:
    """Have trainings dispatched, by a program that belongs to the cluster, with its settings or others."""
    environment = cluster.environment(settings or cluster.settings)
    program = subprocess.Popen([sys.executable, "-m", "benchmarks.pretended_gpu"], env=environment)
    try:
        yield
    finally:
        program.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(timeout=20.0)
        program.kill()


async def rehearse(cluster: ClusterNodes, node_seconds: float) -> Outcome:
    """Queue the trainings, have the node come, and watch them to their end."""
    settings = cluster.settings
    pool, objects = await create_pool(settings.database_url, size=2), open_objects(settings)
    try:
        trainings = Trainings(pool, objects)
        await trainings.queue()
        with dispatching(cluster):
            await trainings.watch(node_seconds)
            adding = asyncio.create_task(asyncio.to_thread(cluster.add_node, Pool.TRAINING, gpus=1))
            node_second = trainings.second
            await trainings.watch(DEADLINE_SECONDS)
            await adding
        return judge(trainings.stories, node_second, await trainings.metered_seconds())
    finally:
        await objects.close()
        await pool.close()


def run(node_seconds: float = NODE_SECONDS) -> Outcome:
    """Rehearse on a cluster whose head alone is there at first."""
    with cluster_nodes(CHANGED) as cluster:
        cluster.start_head()
        return asyncio.run(rehearse(cluster, node_seconds))


TRAININGS_WAIT = Rehearsal(
    5,
    "trainings",
    f"{TRAININGS} trainings, one GPU, a node that takes {NODE_SECONDS:g} s: both succeed at the first "
    "attempt, are pending until the node comes, and are billed the time of their workers on the GPU alone",
    run,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it alone and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    outcome = run(QUICK_SECONDS if parser.parse_args(arguments).quick else NODE_SECONDS)
    figures: dict[str, Any] = {"seen": outcome.seen, "holds": outcome.holds}
    print(json.dumps(figures, indent=2))
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())

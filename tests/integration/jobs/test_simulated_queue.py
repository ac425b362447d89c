"""The model of the claiming statement, with which rehearsals are played, claims what the statement claims."""

from __future__ import annotations

import datetime
import random

import asyncpg
import pytest

from benchmarks.simulated_queue import QueuedJob, SimulatedQueue
from pagemill.jobs import leases
from pagemill.work.predictions import PREDICTION

BEGUN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


async def add(pool: asyncpg.Pool, jobs: list[QueuedJob]) -> None:
    await pool.executemany(
        """
        INSERT INTO job (id, kind, organization_id, subject_id, payload, priority, created_time)
        VALUES ($1, 'prediction', $2, 'subject', '{}', $3, $4)
        """,
        [
            (job.id, job.organization, job.priority, BEGUN + datetime.timedelta(seconds=job.created))
            for job in jobs
        ],
    )


@pytest.mark.parametrize("seed", range(12))
async def test_the_model_claims_what_the_statement_claims(pool: asyncpg.Pool, seed: int) -> None:
    chance = random.Random(seed)
    owners = [f"organization-{number}" for number in range(chance.randint(1, 12))]
    weights = [chance.random() ** 3 for _ in owners]
    queue, running = SimulatedQueue(), list[QueuedJob]()
    for turn in range(15):
        jobs = [
            QueuedJob(
                priority=chance.choice([0, 0, 0, 10]),
                created=float(chance.randrange(1000)),
                id=f"{turn}-{chance.getrandbits(64):016x}",
                organization=chance.choices(owners, weights)[0],
            )
            for _ in range(chance.choice([0, 3, 60]))
        ]
        await add(pool, jobs)
        for job in jobs:
            queue.add(job)
        limit = chance.choice([1, 2, 7, 32])
        async with pool.acquire() as connection:
            rows = await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=limit)
        claimed = queue.claim(limit)
        assert {row.id for row in rows} == {job.id for job in claimed}
        running += claimed
        ended = [running.pop(chance.randrange(len(running))) for _ in range(len(running) // 3)]
        for job in ended:
            queue.end(job)
        await pool.execute(
            "UPDATE job SET state = 'succeeded', ended_time = now() WHERE id = ANY($1)",
            [job.id for job in ended],
        )

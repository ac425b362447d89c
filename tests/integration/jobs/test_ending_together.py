"""Jobs that succeed at the same time: one commit for all, an outcome for each."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections import Counter

import asyncpg
import msgspec
import pytest

from db.jobs import JobState
from pagemill.errors import BadRequest
from pagemill.jobs import leases, outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.kind import AnyKind, Finished
from pagemill.jobs.outcome_writer import OutcomeWriter
from pagemill.jobs.outcomes import FinishedOfKind
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.jobs.waiting import JobListener
from pagemill.usage.reservations import reserve
from pagemill.work.mail import MAIL
from pagemill.work.predictions import PREDICTION
from tests.support.queries import statements_run
from tests.support.tenants import Tenant
from tests.support.working import RESULT, job_row, prediction_row, submit, until, used

COUNT = 100
"""More than one notification speaks of."""


def finished_of(kind: AnyKind, job: Job, result: object) -> FinishedOfKind:
    return FinishedOfKind(kind, Finished(job, result))


async def claimed(pool: asyncpg.Pool, organization_id: str, count: int) -> list[Job]:
    for _ in range(count):
        await submit(pool, organization_id)
    async with pool.acquire() as connection:
        return await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=count)


async def test_jobs_share_a_commit_and_each_end_is_heard(pool: asyncpg.Pool, organization: Tenant) -> None:
    jobs = await claimed(pool, organization.organization_id, COUNT)
    listener = JobListener(pool)
    await listener.start()

    async def listens() -> bool:
        return listener.is_listening

    await until(listens)
    waiting = [listener.register(job.id) for job in jobs]
    writer = OutcomeWriter(pool)
    await asyncio.gather(*(writer.finish(PREDICTION, job, RESULT) for job in jobs))

    assert all(await asyncio.gather(*(listener.wait(one, 60.0) for one in waiting)))
    await listener.close()
    commits = await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM job")
    assert commits == 1
    assert await used(pool, organization.organization_id, "pages") == COUNT * RESULT.pages
    assert await used(pool, organization.organization_id, "active-models") == 1
    assert await pool.fetchval("SELECT count(*) FROM usage_reservation") == 0


async def test_a_refused_result_fails_its_own_job_only(pool: asyncpg.Pool, organization: Tenant) -> None:
    jobs = await claimed(pool, organization.organization_id, 9)
    bad = msgspec.structs.replace(RESULT, predictions=[{"label": "\0"}])
    writer = OutcomeWriter(pool)
    answers = await asyncio.gather(
        *(writer.finish(PREDICTION, job, bad if number == 4 else RESULT) for number, job in enumerate(jobs)),
        return_exceptions=True,
    )
    assert [number for number, answer in enumerate(answers) if answer != "succeeded"] == [4]
    assert isinstance(answers[4], asyncpg.PostgresError)
    states = [(await job_row(pool, job.id))["state"] for job in jobs]
    assert Counter(states) == {"succeeded": 8, "running": 1}
    assert await used(pool, organization.organization_id, "pages") == 8 * RESULT.pages


async def test_late_foreign_and_cancelled_jobs_are_told_apart(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    jobs = await claimed(pool, organization.organization_id, 5)
    late, foreign, cancelled, ended, good = jobs
    late = msgspec.structs.replace(late, attempt=late.attempt + 1)
    foreign = msgspec.structs.replace(foreign, organization_id=other_organization.organization_id)
    async with pool.acquire() as connection:
        for job in (cancelled, good):
            await reserve(connection, job.organization_id, job.id, {"pages": RESULT.pages})
        await request_cancel(
            connection, PREDICTION, organization_id=cancelled.organization_id, subject_id=cancelled.subject_id
        )
        assert await outcomes.fail(connection, PREDICTION, ended, BadRequest("no"))
        finished = [finished_of(PREDICTION, job, RESULT) for job in (late, foreign, cancelled, ended, good)]
        ended_as = await outcomes.finish_together(connection, finished)
    assert ended_as == [None, None, "cancelled", None, "succeeded"]
    states = [(await job_row(pool, job.id))["state"] for job in jobs]
    assert states == ["running", "running", "cancelled", "failed", "succeeded"]
    statuses = [(await prediction_row(pool, job.subject_id))["status"] for job in jobs]
    assert statuses == ["pending", "pending", "failed", "failed", "succeeded"]
    assert await used(pool, organization.organization_id, "pages") == RESULT.pages
    assert await used(pool, organization.organization_id, "predictions") == 3


@pytest.mark.parametrize("seed", range(3))
async def test_jobs_that_are_ended_concurrently_end_once(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, seed: int
) -> None:
    chance = random.Random(seed)
    jobs = await claimed(pool, organization.organization_id, 20)
    jobs += await claimed(pool, other_organization.organization_id, 20)

    async def end_all() -> list[JobState | None]:
        order = chance.sample(jobs, len(jobs))
        results: list[JobState | None] = []
        for begin in range(0, len(order), 10):
            finished = [finished_of(PREDICTION, job, RESULT) for job in order[begin : begin + 10]]
            async with pool.acquire() as connection:
                results += await outcomes.finish_together(connection, finished)
        return results

    wins = [win for wins in await asyncio.gather(*(end_all() for _ in range(3))) for win in wins]
    assert wins.count("succeeded") == len(jobs)
    for tenant in (organization, other_organization):
        assert await used(pool, tenant.organization_id, "pages") == 20 * RESULT.pages


async def test_jobs_that_reserve_without_a_resource_settle_what_they_reserved(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    kind = dataclasses.replace(PREDICTION, succeed=None, end_at_once=None)
    (job,) = await claimed(pool, organization.organization_id, 1)
    async with pool.acquire() as connection:
        assert await outcomes.finish(connection, kind, job, RESULT)
    assert (await job_row(pool, job.id))["state"] == "succeeded"
    assert (await prediction_row(pool, job.subject_id))["status"] == "pending"
    assert await used(pool, organization.organization_id, "pages") == RESULT.pages
    assert await pool.fetchval("SELECT count(*) FROM usage_reservation") == 0


async def test_jobs_without_a_resource_end_with_one_statement(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        for number in range(4):
            await enqueue(
                connection,
                MAIL,
                organization_id=organization.organization_id,
                subject_id=f"mail {number}",
            )
        jobs = await leases.claim(connection, MAIL, owner="one", lease=60.0, limit=4)
        cancelled, late = jobs[0], msgspec.structs.replace(jobs[1], attempt=jobs[1].attempt + 1)
        await request_cancel(
            connection,
            MAIL,
            organization_id=organization.organization_id,
            subject_id=cancelled.subject_id,
        )
        with statements_run() as run:
            taken = await outcomes.finish_together(
                connection, [finished_of(MAIL, job, None) for job in (cancelled, late, *jobs[2:])]
            )
    assert run == ["job_outcomes.end_succeeded_jobs"]
    assert taken == ["cancelled", None, "succeeded", "succeeded"]
    states = [(await job_row(pool, job.id))["state"] for job in jobs]
    assert states == ["cancelled", "running", "succeeded", "succeeded"]

"""A kind that is declared only in this test is queued, run, ended and shown like any other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest
from click.testing import CliRunner, Result

from db.statements import Connection
from pagemill.cli import main
from pagemill.errors import BadRequest, LimitExceeded
from pagemill.ids import OrganizationId
from pagemill.jobs import backoff, leases, outcomes, upkeep
from pagemill.jobs.job import BATCH, Job, KindName
from pagemill.jobs.job_administration import cancel_job, find_job, retry_job
from pagemill.jobs.kind import AnyKind, Finished, JobKind, JobKinds, Recurrence
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.work import kinds
from pagemill.work.metering import MeteredUsage
from tests.support.seeds import claim_job
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import dispatching, job_row, until, until_ended, used

NOTE = "INSERT INTO note (id, said) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET said = $2"
RESULT = "a poem"


@pytest.fixture
async def notes(pool: asyncpg.Pool) -> None:
    """The table of the kind's resources."""
    await pool.execute("CREATE TABLE note (id text PRIMARY KEY, said text)")


async def write_poems(connection: Connection, finished: Sequence[Finished[str]]) -> None:
    """One statement for all poems that are ready at the same time."""
    ids = [job.subject_id for job, _ in finished]
    poems = [result for _, result in finished]
    await connection.execute(
        "INSERT INTO note (id, said) SELECT * FROM unnest($1::text[], $2::text[]) "
        "ON CONFLICT (id) DO UPDATE SET said = excluded.said",
        ids,
        poems,
    )


async def write_failure(connection: Connection, _organization_id: str, note_id: str, message: str) -> None:
    await connection.execute(NOTE, note_id, f"failed: {message}")


async def write_cancelled(connection: Connection, _organization_id: str, note_id: str) -> None:
    await connection.execute(NOTE, note_id, "cancelled")


async def reopen(connection: Connection, _organization_id: str, note_id: str) -> bool:
    reopened = "UPDATE note SET said = 'reopened' WHERE id = $1 RETURNING id"
    return await connection.fetchval(reopened, note_id) is not None


async def all_organizations(connection: Connection, *, after: str, limit: int) -> list[OrganizationId]:
    rows = await connection.fetch(
        "SELECT id FROM organization WHERE id > $1 ORDER BY id LIMIT $2", after, limit
    )
    return [row["id"] for row in rows]


async def compose(job: Job) -> str:
    """The runner."""
    return f"{RESULT} for {job.subject_id}"


POEM: JobKind[None, str] = JobKind(
    name=KindName("poem"),
    description="Write a poem",
    runner=lambda _resources: compose,
    concurrency=lambda _settings: 4,
    priority=BATCH,
    maximum_attempts=3,
    succeed=write_poems,
    fail=write_failure,
    cancel=write_cancelled,
    reopen=reopen,
    usage=MeteredUsage(reserved={"transformations": 1}, used=lambda poem: {"fields": len(poem.split())}),
)
POEMS = JobKinds([POEM])


async def submit(pool: asyncpg.Pool, tenant: Tenant, note_id: str, kind: AnyKind = POEM) -> str:
    async with pool.acquire() as connection, connection.transaction():
        return await enqueue(
            connection, kind, organization_id=tenant.organization_id, subject_id=note_id, payload={"n": 1}
        )


async def said(pool: asyncpg.Pool, note_id: str) -> str | None:
    found: str | None = await pool.fetchval("SELECT said FROM note WHERE id = $1", note_id)
    return found


async def reserved(pool: asyncpg.Pool, tenant: Tenant) -> float:
    return await used(pool, tenant.organization_id, "transformations")


@pytest.mark.usefixtures("notes")
async def test_a_new_kind_writes_its_result_and_its_usage(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with dispatching(pool, compose, kinds=[POEM]):
        job_ids = [await submit(pool, organization, f"note {number}") for number in range(6)]
        assert await until_ended(pool, *job_ids) == ["succeeded"] * 6
    assert [await said(pool, f"note {number}") for number in range(6)] == [
        f"{RESULT} for note {number}" for number in range(6)
    ]
    assert await used(pool, organization.organization_id, "fields") == 6 * 5
    assert await pool.fetchval("SELECT count(*) FROM usage_reservation") == 0
    assert (await job_row(pool, job_ids[0]))["priority"] == BATCH


@pytest.mark.usefixtures("notes")
async def test_a_new_kind_is_retried_and_refunded_when_it_fails(
    pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.02)
    attempts: list[int] = []

    async def runner(job: Job) -> str:
        attempts.append(job.attempt)
        if job.subject_id == "bad" or job.attempt < 3:
            raise RuntimeError("no rhyme")
        return RESULT

    async with dispatching(pool, runner, kinds=[POEM]):
        assert await until_ended(pool, await submit(pool, organization, "slow")) == ["succeeded"]
        assert attempts == [1, 2, 3]
        assert await until_ended(pool, await submit(pool, organization, "bad")) == ["failed"]
    assert attempts == [1, 2, 3, 1, 2, 3]
    assert await said(pool, "slow") == RESULT
    assert await said(pool, "bad") == "failed: Internal Server Error"
    assert await reserved(pool, organization) == 1  # the one that succeeded


@pytest.mark.usefixtures("notes")
async def test_a_new_kind_is_refused_beyond_the_plan(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        tenant = await create_tenant(connection, allowed={"transformations": 1})
    await submit(pool, tenant, "one")
    with pytest.raises(LimitExceeded):
        await submit(pool, tenant, "two")
    assert await pool.fetchval("SELECT count(*) FROM job") == 1


@pytest.mark.usefixtures("notes")
async def test_a_new_kind_is_cancelled_while_it_waits_and_while_it_runs(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    started = asyncio.Event()

    async def runner(_job: Job) -> str:
        started.set()
        await asyncio.Event().wait()
        return RESULT

    owner = organization.organization_id
    waiting = await submit(pool, organization, "waiting")
    async with pool.acquire() as connection:
        assert await request_cancel(connection, POEM, organization_id=owner, subject_id="waiting")
    async with dispatching(pool, runner, kinds=[POEM]):
        running = await submit(pool, organization, "running")
        await asyncio.wait_for(started.wait(), 60)
        async with pool.acquire() as connection:
            assert (await cancel_job(connection, POEMS, "running")).cancel_requested
        assert await said(pool, "running") == "cancelled"
        assert await until_ended(pool, waiting, running) == ["cancelled"] * 2
    assert await said(pool, "waiting") == "cancelled"
    assert await reserved(pool, organization) == 0


@pytest.mark.usefixtures("notes")
async def test_a_new_kind_is_taken_over_from_a_lost_worker(pool: asyncpg.Pool, organization: Tenant) -> None:
    await submit(pool, organization, "lost")
    late = await claim_job(pool, POEM)
    await pool.execute("UPDATE job SET lease_expires = now() - interval '1 s'")
    async with dispatching(pool, compose, kinds=[POEM], heartbeat=0.05):
        assert await until_ended(pool, late.id) == ["succeeded"]
    assert (await job_row(pool, late.id))["lost_workers"] == 1
    async with pool.acquire() as connection:
        assert not await outcomes.finish(connection, POEM, late, "a late poem")
    assert await said(pool, "lost") == f"{RESULT} for lost"


@pytest.mark.usefixtures("notes")
async def test_dispatchers_ignore_kinds_that_they_do_not_know(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    await submit(pool, organization, "lost")
    job = await claim_job(pool, POEM)
    await pool.execute("UPDATE job SET lease_expires = now() - interval '1 s'")
    async with pool.acquire() as connection:
        assert await leases.reap(connection, kinds.KINDS) == []
        assert [one.job_id for one in await leases.reap(connection, POEMS)] == [job.id]


@pytest.mark.usefixtures("notes")
async def test_a_failed_job_is_reopened_while_its_resource_exists(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    for note_id in ("kept", "gone"):
        await submit(pool, organization, note_id)
        job = await claim_job(pool, POEM)
        async with pool.acquire() as connection:
            assert await outcomes.fail(connection, POEM, job, BadRequest("no rhyme"))
    assert await said(pool, "kept") == "failed: no rhyme"
    assert await reserved(pool, organization) == 0
    await pool.execute("DELETE FROM note WHERE id = 'gone'")
    async with pool.acquire() as connection:
        assert (await retry_job(connection, POEMS, "kept")).state == "queued"
        with pytest.raises(BadRequest, match="gone is gone"):
            await retry_job(connection, POEMS, "gone")
        assert (await find_job(connection, "gone")).state == "failed"
    assert await said(pool, "kept") == "reopened"
    assert await reserved(pool, organization) == 1
    async with dispatching(pool, compose, kinds=[POEM]):
        await until_ended(pool, (await job_of(pool, "kept")))
    assert await said(pool, "kept") == f"{RESULT} for kept"


async def job_of(pool: asyncpg.Pool, note_id: str) -> str:
    return str(await pool.fetchval("SELECT id FROM job WHERE subject_id = $1", note_id))


@pytest.mark.usefixtures("notes")
async def test_a_new_kind_is_scheduled(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SCHEDULE_SECONDS", 0.05)
    daily = replace(
        POEM, recurrence=Recurrence(interval=lambda _settings: 86400.0, organizations=all_organizations)
    )

    async def both() -> bool:
        return await pool.fetchval("SELECT count(*) FROM job WHERE state = 'succeeded'") == 2

    async with dispatching(pool, compose, kinds=[daily], interval=86400.0):
        await until(both)
    rows = await pool.fetch("SELECT id, organization_id, subject_id FROM job")
    assert all(row["id"].startswith("poem/") and row["id"] == row["subject_id"] for row in rows)
    assert {row["organization_id"] for row in rows} == {
        organization.organization_id,
        other_organization.organization_id,
    }


@pytest.mark.usefixtures("notes")
async def test_the_operator_sees_a_new_kind(
    pool: asyncpg.Pool, organization: Tenant, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "KINDS", JobKinds([*kinds.KINDS, POEM]))
    job_id = await submit(pool, organization, "shown")

    async def run(*arguments: str) -> Result:
        environment = {"PAGEMILL_DATABASE_URL": database_url}
        return await asyncio.to_thread(CliRunner().invoke, main, ["jobs", *arguments], env=environment)

    assert "Write a poem" in (await run("kinds")).output
    listed = json.loads((await run("list", "--kind", "poem", "--json")).output)
    assert [(job["id"], job["kind"], job["state"]) for job in listed] == [(job_id, "poem", "queued")]
    assert json.loads((await run("list", "--kind", "prediction", "--json")).output) == []
    assert "poem" in (await run("show", "shown")).output
    assert "cancelled" in (await run("cancel", "shown")).output
    refused = await run("list", "--kind", "novel")
    assert refused.exit_code == 2
    assert ", poem" in refused.output

"""Claims are fair and exclusive, attempts fence, and frequent queries use their indexes."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest

from db import job_leases, job_outcomes, prediction_jobs
from db import usage as usage_statements
from db.jobs import lock_open_jobs_of_many
from db.pool import PLANNED_ONCE
from pagemill.errors import BadRequest, Unavailable
from pagemill.jobs import job_administration, leases, outcomes
from pagemill.jobs.attempt_endings import Stopped
from pagemill.jobs.job import BATCH, INTERACTIVE, Job
from pagemill.work.kinds import KINDS
from pagemill.work.predictions import PREDICTION
from tests.support.tenants import Tenant
from tests.support.working import RESULT, job_row, prediction_row, submit, used


async def claim(pool: asyncpg.Pool, limit: int = 1, *, lease: float = 60.0, owner: str = "one") -> list[Job]:
    async with pool.acquire() as connection:
        return await leases.claim(connection, PREDICTION, owner=owner, lease=lease, limit=limit)


async def expire(pool: asyncpg.Pool) -> None:
    await pool.execute("UPDATE job SET lease_expires = now() - interval '1 s' WHERE state = 'running'")


async def make_ready(pool: asyncpg.Pool) -> None:
    await pool.execute("UPDATE job SET run_after = now()")


async def test_a_claimed_job_is_the_job_that_was_queued(pool: asyncpg.Pool, organization: Tenant) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    [job] = await claim(pool)
    assert 0.0 < job.waited < 60.0
    assert msgspec.structs.replace(job, waited=0.0) == Job(
        job_id, "prediction", organization.organization_id, prediction_id, {}, 1, 5
    )
    assert await claim(pool) == []


async def test_concurrent_claims_share_no_job(pool: asyncpg.Pool, organization: Tenant) -> None:
    submitted = {(await submit(pool, organization.organization_id))[0] for _ in range(40)}
    claims = await asyncio.gather(*(claim(pool, 10, owner=str(number)) for number in range(6)))
    claimed = [job.id for jobs in claims for job in jobs]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= submitted
    assert len(claimed) >= 20


async def test_organizations_take_turns(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    for _ in range(20):
        await submit(pool, organization.organization_id)
    for _ in range(3):
        await submit(pool, other_organization.organization_id)
    first = Counter(job.organization_id for job in await claim(pool, 4))
    assert first == {organization.organization_id: 2, other_organization.organization_id: 2}
    second = Counter(job.organization_id for job in await claim(pool, 4))
    assert second == {organization.organization_id: 3, other_organization.organization_id: 1}


async def test_the_organization_with_fewer_running_jobs_is_first(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    for _ in range(3):
        await submit(pool, organization.organization_id)
    await claim(pool, 2)
    await submit(pool, other_organization.organization_id)
    (job,) = await claim(pool, 1)
    assert job.organization_id == other_organization.organization_id


async def test_priority_goes_before_age_within_an_organization(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    batch = [(await submit(pool, organization.organization_id, priority=BATCH))[0] for _ in range(2)]
    urgent = [(await submit(pool, organization.organization_id, priority=INTERACTIVE))[0] for _ in range(2)]
    order = [(await claim(pool))[0].id for _ in range(4)]
    assert order == urgent + batch


async def test_a_job_waits_out_its_delay(pool: asyncpg.Pool, organization: Tenant) -> None:
    await submit(pool, organization.organization_id)
    (job,) = await claim(pool)
    async with pool.acquire() as connection:
        assert await outcomes.retry(connection, job, RuntimeError("odd"), delay=3600.0)
    assert await claim(pool) == []
    await make_ready(pool)
    assert [again.attempt for again in await claim(pool)] == [2]


async def test_a_renewal_tells_kept_lost_and_cancelled_jobs_apart(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    for _ in range(3):
        await submit(pool, organization.organization_id)
    kept, lost, asked = await claim(pool, 3, lease=1.0)
    await pool.execute("UPDATE job SET attempt = 2 WHERE id = $1", lost.id)
    await pool.execute("UPDATE job SET cancel_requested = true WHERE id = $1", asked.id)
    async with pool.acquire() as connection:
        renewed = await leases.renew(connection, [kept, lost, asked], lease=3600.0)
    assert {lease.id: lease.cancel_requested for lease in renewed} == {kept.id: False, asked.id: True}
    left = await pool.fetchval(
        "SELECT lease_expires > now() + interval '59 min' FROM job WHERE id = $1", kept.id
    )
    assert left is True


async def test_reaping_takes_expired_leases_only(pool: asyncpg.Pool, organization: Tenant) -> None:
    await submit(pool, organization.organization_id)
    await claim(pool)
    async with pool.acquire() as connection:
        assert await leases.reap(connection, KINDS) == []
        await expire(pool)
        (requeued,) = await leases.reap(connection, KINDS)
        assert await leases.reap(connection, KINDS) == []
    row = await job_row(pool, requeued.job_id)
    assert (row["state"], row["error_class"], row["lease_owner"]) == ("queued", "WorkerLost", None)


async def lose(pool: asyncpg.Pool) -> None:
    """Claim a job, and let its worker die."""
    await make_ready(pool)
    assert await claim(pool)
    await expire(pool)
    async with pool.acquire() as connection:
        await leases.reap(connection, KINDS)


async def test_a_job_that_loses_its_worker_twice_fails_and_is_refunded(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id, maximum_attempts=5)
    await lose(pool)
    assert (await job_row(pool, job_id))["state"] == "queued"
    await lose(pool)
    row = await job_row(pool, job_id)
    assert (row["state"], row["attempt"], row["error_class"], row["retryable"]) == (
        "failed",
        2,
        "WorkerLost",
        True,
    )
    assert row["error_message"] == "The job lost its worker 2 times"
    assert (await prediction_row(pool, prediction_id))["status"] == "failed"
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_a_job_given_back_in_good_order_has_lost_no_worker(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    for error in (Stopped(), Unavailable("away"), RuntimeError("odd")):
        await make_ready(pool)
        (job,) = await claim(pool)
        assert job.lost_workers == 0
        async with pool.acquire() as connection:
            assert await outcomes.retry(connection, job, error, delay=0.0, counts=False)
    await lose(pool)
    row = await job_row(pool, job_id)
    assert (row["state"], row["lost_workers"]) == ("queued", 1)


async def test_a_job_that_the_operator_tries_again_has_lost_no_worker_yet(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_id, _ = await submit(pool, organization.organization_id)
    await lose(pool)
    await lose(pool)
    async with pool.acquire() as connection:
        assert (await job_administration.retry_job(connection, KINDS, job_id)).lost_workers == 0
    await lose(pool)
    assert (await job_row(pool, job_id))["state"] == "queued"


@pytest.mark.parametrize("late", ["finish", "fail", "retry", "cancel"])
async def test_a_late_write_of_an_earlier_attempt_changes_nothing(
    pool: asyncpg.Pool, organization: Tenant, late: str
) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    (old,) = await claim(pool)
    await expire(pool)
    async with pool.acquire() as connection:
        await leases.reap(connection, KINDS)
        await make_ready(pool)
        (new,) = await claim(pool, owner="two")
        before = (await job_row(pool, job_id), await prediction_row(pool, prediction_id))
        write = {
            "finish": lambda: outcomes.finish(connection, PREDICTION, old, RESULT),
            "fail": lambda: outcomes.fail(connection, PREDICTION, old, BadRequest("no")),
            "retry": lambda: outcomes.retry(connection, old, RuntimeError(), delay=0.0),
            "cancel": lambda: outcomes.cancel(connection, PREDICTION, old),
        }[late]
        assert await write() is False
        assert (await job_row(pool, job_id), await prediction_row(pool, prediction_id)) == before
        assert await used(pool, organization.organization_id, "predictions") == 1
        assert await outcomes.finish(connection, PREDICTION, new, RESULT) is True
        assert await write() is False
    assert (await prediction_row(pool, prediction_id))["status"] == "succeeded"
    assert await used(pool, organization.organization_id, "pages") == 2


async def test_an_attempt_that_does_not_count_keeps_the_fence(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_id, _ = await submit(pool, organization.organization_id, maximum_attempts=2)
    (job,) = await claim(pool)
    async with pool.acquire() as connection:
        await outcomes.retry(connection, job, RuntimeError(), delay=0.0, counts=False)
    row = await job_row(pool, job_id)
    assert (row["attempt"], row["maximum_attempts"]) == (1, 3)


async def test_old_jobs_are_forgotten_and_open_ones_are_not(pool: asyncpg.Pool, organization: Tenant) -> None:
    old, _ = await submit(pool, organization.organization_id)
    (job,) = await claim(pool)
    open_job, _ = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        await outcomes.finish(connection, PREDICTION, job, RESULT)
        assert await leases.purge(connection, retention=3600.0) == 0
        await pool.execute("UPDATE job SET ended_time = now() - interval '2 h' WHERE id = $1", old)
        assert await leases.purge(connection, retention=3600.0) == 1
    assert [row["id"] for row in await pool.fetch("SELECT id FROM job")] == [open_job]


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


async def explained(pool: asyncpg.Pool, sql: str, *arguments: Any) -> list[dict[str, Any]]:
    async with pool.acquire() as connection:
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *arguments)
    return nodes(plan[0]["Plan"])


async def fill(pool: asyncpg.Pool, count: int, organizations: int, *, analyzed: bool = True) -> None:
    await pool.execute(
        """
        INSERT INTO job (id, kind, organization_id, subject_id, payload, state, ended_time, lease_expires)
        SELECT 'job' || n, 'prediction', 'organization' || n % $2, 'subject' || n, '{}',
               CASE WHEN n % 4 = 0 THEN 'queued' WHEN n % 997 = 0 THEN 'running' ELSE 'succeeded' END,
               CASE WHEN n % 4 <> 0 AND n % 997 <> 0 THEN now() END,
               CASE WHEN n % 4 <> 0 AND n % 997 = 0 THEN now() + interval '1 h' END
        FROM generate_series(1, $1) AS n
        """,
        count,
        organizations,
    )
    if analyzed:
        await pool.execute("VACUUM ANALYZE job")


@pytest.mark.parametrize("analyzed", [True, False])
async def test_claiming_looks_at_few_rows_of_a_long_queue(pool: asyncpg.Pool, analyzed: bool) -> None:
    await fill(pool, 20_000, organizations=7)
    if not analyzed:
        await pool.execute("DELETE FROM pg_statistic WHERE starelid = 'job'::regclass")
    plan = await explained(pool, job_leases.claim_jobs.sql, "prediction", "owner", 60.0, 8)
    scans = [node for node in plan if node.get("Relation Name") == "job"]
    assert scans
    assert "Seq Scan" not in {node["Node Type"] for node in scans}
    looked_at = sum(node["Actual Rows"] * node["Actual Loops"] for node in scans)
    assert looked_at < 500


async def planned_early(
    pool: asyncpg.Pool, sql: str, types: str, arguments: str, *, organizations: int
) -> list[dict[str, Any]]:
    """How jobs are looked for in a long queue by what was planned, once, for an empty one."""
    execute = f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE planned ({arguments})"
    async with pool.acquire() as connection:
        for name, value in PLANNED_ONCE.items():
            await connection.execute(f"SET {name} = {value}")
        await connection.execute(f"PREPARE planned ({types}) AS {sql}")
        await connection.fetchval(execute)
        await fill(pool, 20_000, organizations=organizations, analyzed=False)
        plan = nodes((await connection.fetchval(execute))[0]["Plan"])
        await connection.close()
    return [node for node in plan if node.get("Relation Name") == "job"]


async def test_a_claim_that_was_planned_for_an_empty_queue_looks_at_few_rows_of_a_long_one(
    pool: asyncpg.Pool,
) -> None:
    scans = await planned_early(
        pool,
        job_leases.claim_jobs.sql,
        "text, text, float8, integer",
        "'prediction', 'owner', 60.0, 8",
        organizations=7,
    )
    assert scans
    assert "Seq Scan" not in {node["Node Type"] for node in scans}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) < 500


async def test_claiming_many_of_a_short_queue_looks_at_no_ended_jobs(pool: asyncpg.Pool) -> None:
    await fill(pool, 4_000, organizations=7)
    plan = await explained(pool, job_leases.claim_jobs.sql, "prediction", "owner", 60.0, 64)
    scans = [node for node in plan if node.get("Relation Name") == "job"]
    assert scans
    assert "Seq Scan" not in {node["Node Type"] for node in scans}


@pytest.mark.parametrize("busy", [0, 3])
async def test_concurrency_that_others_leave_goes_to_an_organization_with_jobs(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, busy: int
) -> None:
    many, few = organization.organization_id, other_organization.organization_id
    for _ in range(busy):
        await submit(pool, few)
    async with pool.acquire() as connection:
        assert len(await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=8)) == busy
    for _ in range(20):
        await submit(pool, many)
    await submit(pool, few)
    async with pool.acquire() as connection:
        claimed = await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=8)
    assert Counter(job.organization_id for job in claimed) == {many: 7, few: 1}


async def test_the_organization_that_has_less_running_catches_up(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    ahead, behind = organization.organization_id, other_organization.organization_id
    for _ in range(12):
        await submit(pool, ahead)
    async with pool.acquire() as connection:
        assert len(await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=6)) == 6
    for _ in range(12):
        await submit(pool, behind)
    async with pool.acquire() as connection:
        claimed = await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=8)
    assert Counter(job.organization_id for job in claimed) == {behind: 7, ahead: 1}


async def test_jobs_of_another_dispatcher_are_skipped_and_replaced(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_ids = [(await submit(pool, organization.organization_id))[0] for _ in range(4)]
    async with pool.acquire() as one, pool.acquire() as other, one.transaction():
        first = await leases.claim(one, PREDICTION, owner="one", lease=60.0, limit=2)
        second = await leases.claim(other, PREDICTION, owner="other", lease=60.0, limit=2)
    assert {job.id for job in first} == set(job_ids[:2])
    assert {job.id for job in second} == set(job_ids[2:])


async def test_reaping_and_purging_use_their_indexes(pool: asyncpg.Pool) -> None:
    await fill(pool, 20_000, organizations=7)
    await pool.execute(
        "UPDATE job SET ended_time = now() - interval '9 d' WHERE id IN (SELECT id FROM job "
        "WHERE ended_time IS NOT NULL LIMIT 10)"
    )
    for sql, arguments in (
        (job_leases.lock_expired_jobs.sql, (50, KINDS.names)),
        (job_leases.delete_old_jobs.sql, (7 * 86400.0, 1000)),
    ):
        scans = [node for node in await explained(pool, sql, *arguments) if "Scan" in node["Node Type"]]
        assert all("Seq" not in node["Node Type"] for node in scans)


@pytest.mark.parametrize("analyzed", [True, False])
@pytest.mark.parametrize("count", [500, 10_000])
async def test_ending_and_reserving_together_look_at_their_own_jobs_only(
    pool: asyncpg.Pool, analyzed: bool, count: int
) -> None:
    await fill(pool, 2 * count, organizations=7)
    if not analyzed:
        await pool.execute("DELETE FROM pg_statistic WHERE starelid = 'job'::regclass")
    jobs = await pool.fetch("SELECT organization_id, id, attempt FROM job WHERE state = 'queued' LIMIT 40")
    organizations, ids, attempts = ([row[column] for row in jobs] for column in range(3))
    results = (organizations, ids, attempts, ids, ["[]"] * 40, [0.1] * 40, [None] * 40, ["{}"] * 40)
    units = (ids, ["2026-11"] * 40, ["pages"] * 40, [Decimal(1)] * 40)
    for sql, arguments in (
        (job_outcomes.end_succeeded_jobs.sql, (organizations, ids, attempts)),
        (prediction_jobs.end_succeeded_predictions.sql, (*results, "2026-11", *units)),
        (lock_open_jobs_of_many.sql, (organizations, ids, attempts)),
        (
            usage_statements.count_reservations.sql,
            (organizations, ids, attempts, ["2026-11"] * 40, ["pages"] * 40, ["1"] * 40),
        ),
    ):
        plan = await explained(pool, sql, *arguments)
        scans = [node for node in plan if node.get("Relation Name") == "job" and "Scan" in node["Node Type"]]
        assert scans
        assert all("Seq" not in node["Node Type"] for node in scans)


@pytest.mark.parametrize(
    "statement", ["END_TOGETHER", "END_PREDICTIONS", "LOCK_OPEN_AMONG", "RESERVE_TOGETHER"]
)
async def test_a_plan_for_an_empty_queue_reads_its_own_jobs_only(pool: asyncpg.Pool, statement: str) -> None:
    texts = "text[], text[]"
    own = [f"job{4 * number}" for number in range(1, 41)]
    sql, types, *more = {
        "END_TOGETHER": (job_outcomes.end_succeeded_jobs.sql, f"{texts}, integer[]", ["0"] * 40),
        "END_PREDICTIONS": (
            prediction_jobs.end_succeeded_predictions.sql,
            f"{texts}, integer[], {texts}, float8[], integer[], text[], text, {texts}, text[], numeric[]",
            *(["0"] * 40, ["none"] * 40, ["1"] * 40, ["0.1"] * 40, ["0"] * 40, ["1"] * 40, ["2026-11"]),
            *(own, ["2026-11"] * 40, ["pages"] * 40, ["1"] * 40),
        ),
        "LOCK_OPEN_AMONG": (lock_open_jobs_of_many.sql, f"{texts}, integer[]", ["0"] * 40),
        "RESERVE_TOGETHER": (
            usage_statements.count_reservations.sql,
            f"{texts}, integer[], text[], text[], text[]",
            *(["0"] * 40, ["2026-11"] * 40, ["pages"] * 40, ["1"] * 40),
        ),
    }[statement]
    columns = (["organization0"] * 40, own, *more)
    arrays = ", ".join(f"'{{{','.join(column)}}}'" for column in columns)
    found = await planned_early(pool, sql, types, arrays, organizations=1)
    scans = [node for node in found if "Scan" in node["Node Type"]]
    seen = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans
    )
    assert scans
    assert seen <= 80

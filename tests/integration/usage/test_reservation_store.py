"""The combiner on Postgres, alone and against another one."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest

from pagemill.errors import BadRequest
from pagemill.ids import JobId
from pagemill.jobs import leases, outcomes
from pagemill.usage.combiner import Combiner, Reservation, Verdict
from pagemill.usage.reservation_store import PostgresReservationStore
from pagemill.work.predictions import PREDICTION
from tests.support.tenants import Tenant, create_tenant
from tests.support.working import RESULT, submit, used


async def limited(pool: asyncpg.Pool, pages: int) -> str:
    async with pool.acquire() as connection:
        return (await create_tenant(connection, allowed={"pages": pages})).organization_id


async def queued(pool: asyncpg.Pool, organization_id: str, count: int) -> list[str]:
    return [(await submit(pool, organization_id))[0] for _ in range(count)]


async def test_two_combiners_grant_exactly_the_limit(pool: asyncpg.Pool) -> None:
    organization_id = await limited(pool, 25)
    job_ids = await queued(pool, organization_id, 64)
    combiners = [Combiner(PostgresReservationStore(pool)) for _ in range(2)]
    verdicts: list[Verdict] = await asyncio.gather(
        *(
            combiners[number % 2].reserve(Reservation(organization_id, job_id, {"pages": 1, "fields": 3}))
            for number, job_id in enumerate(job_ids)
        )
    )
    assert Counter(verdicts) == {"granted": 25, "limit-exceeded": 39}
    assert await used(pool, organization_id, "pages") == 25
    assert await used(pool, organization_id, "fields") == 75
    assert await pool.fetchval("SELECT count(*) FROM usage_reservation WHERE meter = 'pages'") == 25


async def test_organizations_are_committed_together_and_kept_apart(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    tight = await limited(pool, 1)
    tenants = [organization.organization_id, other_organization.organization_id, tight]
    combiner = Combiner(PostgresReservationStore(pool))
    wanted = [
        Reservation(tenant, job_id, {"pages": 2})
        for tenant in tenants
        for job_id in await queued(pool, tenant, 3)
    ]
    verdicts = await asyncio.gather(*(combiner.reserve(one) for one in wanted))
    assert verdicts == ["granted"] * 6 + ["limit-exceeded"] * 3
    assert [await used(pool, tenant, "pages") for tenant in tenants] == [6, 6, 0]


async def test_asking_again_counts_nothing_and_ended_jobs_get_nothing(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    organization_id = organization.organization_id
    combiner = Combiner(PostgresReservationStore(pool))
    (job_id,) = await queued(pool, organization_id, 1)
    for _ in range(3):
        assert await combiner.reserve(Reservation(organization_id, job_id, {"pages": 2})) == "granted"
    async with pool.acquire() as connection:
        (job,) = await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=1)
        assert await outcomes.fail(connection, PREDICTION, job, BadRequest("no"))
    assert await combiner.reserve(Reservation(organization_id, job_id, {"pages": 2})) == "job-ended"
    assert await used(pool, organization_id, "pages") == 0


@pytest.mark.parametrize("allowed", [None, 3])
async def test_a_late_attempt_is_granted_nothing(pool: asyncpg.Pool, allowed: int | None) -> None:
    """A batch that fits, or does not: its statement may come when a later attempt ends the job already."""
    async with pool.acquire() as connection:
        tenant = await create_tenant(connection, allowed={} if allowed is None else {"pages": allowed})
    organization_id = tenant.organization_id
    combiner = Combiner(PostgresReservationStore(pool))
    late, current, greedy = await queued(pool, organization_id, 3)
    await pool.execute("UPDATE job SET state = 'running', attempt = 2")
    asked = [
        Reservation(organization_id, late, {"pages": 1}, 1),
        Reservation(organization_id, current, {"pages": 2}, 2),
        Reservation(organization_id, greedy, {"pages": 5}, 2),
    ]
    refused = "granted" if allowed is None else "limit-exceeded"
    assert await combiner.reserve_all(asked) == ["job-ended", "granted", refused]
    assert await used(pool, organization_id, "pages") == (7 if allowed is None else 2)


async def test_nothing_is_reserved_for_foreign_unknown_and_ended_jobs(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    organization_id = organization.organization_id
    combiner = Combiner(PostgresReservationStore(pool))
    (job_id,) = await queued(pool, organization_id, 1)
    foreign = Reservation(other_organization.organization_id, job_id, {"pages": 1})
    unknown = Reservation(organization_id, JobId("unknown"), {"pages": 1})
    assert await combiner.reserve_all([foreign, unknown]) == ["job-ended"] * 2
    await pool.execute("UPDATE job SET state = 'failed' WHERE id = $1", job_id)
    assert await combiner.reserve(Reservation(organization_id, job_id, {"pages": 1})) == "job-ended"
    assert await used(pool, organization_id, "pages") == 0
    assert await used(pool, other_organization.organization_id, "pages") == 0


async def test_a_job_cannot_end_during_its_reservation(pool: asyncpg.Pool, organization: Tenant) -> None:
    (job_id,) = await queued(pool, organization.organization_id, 1)
    reservation = Reservation(organization.organization_id, job_id, {"pages": 1})
    async with PostgresReservationStore(pool).transaction() as transaction, pool.acquire() as other:
        assert await transaction.count([reservation]) == frozenset()
        with pytest.raises(TimeoutError):
            await other.execute("UPDATE job SET state = 'failed' WHERE id = $1", job_id, timeout=0.2)


async def test_reservations_and_ends_of_jobs_do_not_deadlock(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    organization_id = organization.organization_id
    await queued(pool, organization_id, 48)
    async with pool.acquire() as connection:
        jobs = await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=48)
    combiner = Combiner(PostgresReservationStore(pool))

    async def work(number: int) -> None:
        job = jobs[number]
        await combiner.reserve(Reservation(organization_id, job.id, {"pages": RESULT.pages}))
        async with pool.acquire() as connection:
            await leases.renew(connection, jobs, lease=60.0)
            if number % 2:
                await outcomes.finish(connection, PREDICTION, job, RESULT)
            else:
                await outcomes.fail(connection, PREDICTION, job, BadRequest("no"))

    await asyncio.gather(*(work(number) for number in range(48)))
    assert await used(pool, organization_id, "pages") == 24 * RESULT.pages
    assert await used(pool, organization_id, "predictions") == 24


async def test_a_job_that_asks_for_nothing_is_granted_it(pool: asyncpg.Pool, organization: Tenant) -> None:
    (job_id,) = await queued(pool, organization.organization_id, 1)
    combiner = Combiner(PostgresReservationStore(pool))
    assert await combiner.reserve(Reservation(organization.organization_id, job_id, {})) == "granted"

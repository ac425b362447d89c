"""Statements that count usage, reserve it, and take tokens of request buckets."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from db.month_statements import (
    get_month_statement,
    insert_month_statement,
    list_organizations_without_statement,
)
from db.plan_limits import UNLIMITED
from db.request_rate import take_requests
from db.statements import Connection
from db.usage import (
    EXCEEDED_SQLSTATE,
    GrantedRow,
    NewReservationRow,
    PlanLimitsRow,
    RemainingRow,
    UsedRow,
    count_freely,
    count_reservations,
    count_within_plan,
    delete_meter,
    insert_reservations,
    list_granted,
    list_plan_limits,
    list_used,
    lock_remaining,
    settle_reservations,
    take_reservations,
    uncount,
)
from db.usage_counts import count_each
from pagemill.ids import JobId, OrganizationId
from tests.support.everything import insert
from tests.support.tenants import Tenant, create_tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

MONTH = "2026-01"
PAGES = {"month": MONTH, "meter": "pages"}


@pytest_asyncio.fixture(loop_scope="module")
async def own(connection: Connection) -> dict[str, Any]:
    """The arguments that name an organization with ten pages a month."""
    tenant = await create_tenant(connection, allowed={"pages": 10})
    return {"organization_id": tenant.organization_id}


async def used(connection: Connection, own: dict[str, Any], meter: str = "pages") -> Decimal | None:
    return await connection.fetchval(
        "SELECT used FROM usage_counter WHERE organization_id = $1 AND month = $2 AND meter = $3",
        own["organization_id"],
        MONTH,
        meter,
    )


@pytest.mark.parametrize(
    ("before", "amount", "after"),
    [
        (None, "10", "10"),
        (None, "10.5", None),
        (None, "0", "0"),
        ("9", "1", "10"),
        ("9", "1.001", None),
        ("9.25", "0.75", "10"),
        ("10", "0", "10"),
        ("11", "0", None),
    ],
)
async def test_what_fits_is_counted_and_the_rest_counts_nothing(
    connection: Connection,
    own: dict[str, Any],
    before: str | None,
    amount: str,
    after: str | None,
) -> None:
    if before is not None:
        await count_freely(connection, **own, **PAGES, amount=Decimal(before))
    arguments = {**own, **PAGES, "amount": Decimal(amount)}
    result = await count_within_plan(connection, **arguments)
    assert result == (None if after is None else Decimal(after))
    stored = before if after is None else after
    assert await used(connection, own) == (None if stored is None else Decimal(stored))


async def test_each_meter_is_counted_or_not_by_itself(connection: Connection, own: dict[str, Any]) -> None:
    owner = own["organization_id"]
    other = (await create_tenant(connection, allowed={"pages": 1})).organization_id

    async def count(*wanted: tuple[str, str, str, str | None]) -> set[tuple[str, str]]:
        rows = await count_each(
            connection,
            organization_ids=[OrganizationId(one[0]) for one in wanted],
            months=[MONTH] * len(wanted),
            meters=[one[1] for one in wanted],
            amounts=[Decimal(one[2]) for one in wanted],
            allowances=[None if one[3] is None else Decimal(one[3]) for one in wanted],
        )
        return {(row.organization_id, row.meter) for row in rows}

    first = [(owner, "pages", "9.5", None), (other, "pages", "2", None), (owner, "unnamed", "7", None)]
    assert await count(*first) == {(owner, "pages"), (owner, "unnamed")}
    second = [(owner, "pages", "0.5", None), (other, "pages", "1", None), (owner, "unnamed", "1", "7.5")]
    assert await count(*second) == {(owner, "pages"), (other, "pages")}
    third = [(owner, "pages", "0.1", None), (other, "pages", "1", "2"), (owner, "unnamed", "0.5", "7.5")]
    assert await count(*third) == {(other, "pages"), (owner, "unnamed")}
    assert await used(connection, own) == Decimal(10)
    assert await used(connection, own, "unnamed") == Decimal("7.5")
    assert await used(connection, {"organization_id": other}) == Decimal(2)


@pytest.mark.parametrize(
    ("limited_by", "meter", "limited"),
    [
        ("pages", "pages", True),
        ("pages", "fields", False),
        ("fields", "pages", False),
        ("fields", "gpu", False),
    ],
)
async def test_a_plan_limits_pages_or_fields_and_what_it_names(
    connection: Connection, limited_by: str, meter: str, limited: bool
) -> None:
    tenant = await create_tenant(connection, allowed={"pages": 10, "fields": 10}, limited_by=limited_by)
    own = {"organization_id": tenant.organization_id}
    arguments = {**own, "month": MONTH, "meter": meter}
    counted = await count_within_plan(connection, **arguments, amount=Decimal(11))
    assert (counted is None) == limited
    beyond = await count_within_plan(connection, **arguments, amount=Decimal(UNLIMITED))
    # The other of pages and fields has no limit at all; a meter that the plan does not name has a large one.
    assert (beyond is not None) == (not limited and meter in ("pages", "fields"))


@pytest.mark.parametrize(("amount", "after"), [("3", "2"), ("5", "0"), ("6", "0")])
async def test_a_counter_does_not_fall_below_zero(
    connection: Connection, own: dict[str, Any], amount: str, after: str
) -> None:
    await uncount(connection, **own, **PAGES, amount=Decimal(1))
    assert await used(connection, own) is None
    await count_freely(connection, **own, **PAGES, amount=Decimal(5))
    await uncount(connection, **own, **PAGES, amount=Decimal(amount))
    assert await used(connection, own) == Decimal(after)


async def test_counters_are_apart_by_organization_month_and_meter(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    for owner, month, meter, amount in (
        (own, MONTH, "pages", 1),
        (own, "2026-02", "pages", 2),
        (own, "total", "models", 3),
        (foreign, MONTH, "pages", 4),
        (own, MONTH, "unasked", 5),
    ):
        await count_freely(connection, **owner, month=month, meter=meter, amount=Decimal(amount))
    rows = await list_used(
        connection,
        organization_ids=[own["organization_id"], theirs.organization_id],
        month=MONTH,
        meters=["pages", "models"],
    )
    assert sorted(rows, key=lambda row: row.used) == [
        UsedRow(own["organization_id"], "pages", Decimal(1)),
        UsedRow(own["organization_id"], "models", Decimal(3)),
        UsedRow(theirs.organization_id, "pages", Decimal(4)),
    ]
    await delete_meter(connection, **own, meter="pages")
    assert await used(connection, own) is None
    assert await used(connection, foreign) == 4
    left = "SELECT count(*) FROM usage_counter WHERE meter = 'pages' AND organization_id = $1"
    assert await connection.fetchval(left, own["organization_id"]) == 0


async def test_limits_are_those_of_the_plan_or_none(connection: Connection, own: dict[str, Any]) -> None:
    await insert(connection, "organization", id="without a plan")
    rows = await list_plan_limits(
        connection, organization_ids=[own["organization_id"], "without a plan", "unknown"]
    )
    assert sorted(rows, key=lambda row: row.allowed is None) == [
        PlanLimitsRow(own["organization_id"], {"pages": 10}, "pages"),
        PlanLimitsRow("without a plan", None, None),
    ]


async def test_what_is_left_can_be_less_than_nothing(connection: Connection, own: dict[str, Any]) -> None:
    await count_freely(connection, **own, **PAGES, amount=Decimal("12.5"))
    rows = await lock_remaining(
        connection,
        organization_ids=[own["organization_id"]] * 3,
        months=[MONTH, MONTH, "total"],
        meters=["pages", "fields", "models"],
    )
    assert {row.meter: row for row in rows} == {
        "pages": RemainingRow(own["organization_id"], "pages", Decimal("-2.5")),
        "fields": RemainingRow(own["organization_id"], "fields", Decimal("Infinity")),
        "models": RemainingRow(own["organization_id"], "models", Decimal(UNLIMITED)),
    }


async def test_a_job_reserves_each_meter_once_and_gives_all_of_it_back(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    two = {"months": [MONTH] * 2, "meters": ["pages", "fields"], "amounts": [Decimal(1), Decimal(2)]}
    rows = await insert_reservations(connection, **own, job_id=JobId("a"), **two)
    assert rows == [
        NewReservationRow(MONTH, "pages", Decimal(1)),
        NewReservationRow(MONTH, "fields", Decimal(2)),
    ]
    assert await insert_reservations(connection, **own, job_id=JobId("a"), **two) == []
    one = {"months": [MONTH], "meters": ["pages"], "amounts": [Decimal("0.5")]}
    assert len(await insert_reservations(connection, **own, job_id=JobId("b"), **one)) == 1
    granted = await list_granted(connection, job_ids=[JobId("a"), JobId("unknown")])
    assert sorted(granted, key=lambda row: row.meter) == [GrantedRow("a", "fields"), GrantedRow("a", "pages")]

    foreign = {"organization_id": theirs.organization_id, "job_id": JobId("a")}
    assert await take_reservations(connection, **foreign) == []
    taken = await take_reservations(connection, **own, job_id=JobId("a"))
    assert sorted((row.meter, row.amount) for row in taken) == [("fields", 2), ("pages", 1)]
    assert await take_reservations(connection, **own, job_id=JobId("a")) == []


async def reserve(connection: Connection, own: dict[str, Any], job_id: str, **amounts: str) -> None:
    """Reserve units of meters for a job, and count them."""
    for meter, amount in amounts.items():
        reserved = {"months": [MONTH], "meters": [meter], "amounts": [Decimal(amount)]}
        await insert_reservations(connection, **own, job_id=JobId(job_id), **reserved)
        await count_freely(connection, **own, month=MONTH, meter=meter, amount=Decimal(amount))


def settlement(
    jobs: list[tuple[dict[str, Any], str]], *used_units: tuple[str, str, str, str]
) -> dict[str, Any]:
    """Return the arguments of jobs and of what they used: job, month, meter and amount of each."""
    job_ids, months, meters, amounts = ([one[index] for one in used_units] for index in range(4))
    return {
        "organization_ids": [own["organization_id"] for own, _ in jobs],
        "job_ids": [job_id for _, job_id in jobs],
        "used_job_ids": job_ids,
        "months": months,
        "meters": meters,
        "amounts": [Decimal(amount) for amount in amounts],
    }


@pytest.mark.parametrize("really", ["0", "2", "4", "7.5"])
async def test_what_was_used_is_counted_in_place_of_what_was_reserved(
    connection: Connection, own: dict[str, Any], theirs: Tenant, really: str
) -> None:
    """In the month of the reservation; what was not said to be used stays counted."""
    foreign = {"organization_id": theirs.organization_id}
    await count_freely(connection, **own, **PAGES, amount=Decimal(1))
    await reserve(connection, own, "a", pages="4", predictions="1")
    await reserve(connection, foreign, "b", pages="3")
    await reserve(connection, own, "open", pages="5")
    await settle_reservations(
        connection,
        **settlement(
            [(own, "a"), (foreign, "b"), (own, "c")],
            ("a", "2026-02", "pages", really),
            ("a", MONTH, "fields", "6"),
            ("b", MONTH, "pages", "2"),
            ("c", MONTH, "pages", "0.5"),
            ("unknown", MONTH, "pages", "50"),
        ),
    )
    assert await used(connection, own) == 1 + 5 + Decimal(really) + Decimal("0.5")
    assert (await used(connection, own, "fields"), await used(connection, own, "predictions")) == (6, 1)
    assert await used(connection, foreign) == 2
    jobs = [JobId(name) for name in ("a", "b", "open")]
    assert [row.job_id for row in await list_granted(connection, job_ids=jobs)] == ["open"]
    assert await connection.fetchval("SELECT count(*) FROM usage_counter WHERE month = '2026-02'") == 0


async def test_settling_leaves_the_reservations_of_another_organization(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    await reserve(connection, {"organization_id": theirs.organization_id}, "theirs", pages="3")
    await settle_reservations(connection, **settlement([(own, "theirs")], ("theirs", MONTH, "pages", "1")))
    assert await used(connection, {"organization_id": theirs.organization_id}) == 3
    assert len(await list_granted(connection, job_ids=[JobId("theirs")])) == 1


async def test_settling_leaves_no_counter_below_zero(connection: Connection, own: dict[str, Any]) -> None:
    """Whoever counts down elsewhere may have been faster."""
    await reserve(connection, own, "a", pages="4", fields="4")
    await uncount(connection, **own, **PAGES, amount=Decimal(3))
    await delete_meter(connection, **own, meter="fields")
    await settle_reservations(
        connection, **settlement([(own, "a")], ("a", MONTH, "pages", "1"), ("a", MONTH, "fields", "1"))
    )
    assert (await used(connection, own), await used(connection, own, "fields")) == (0, 0)


def batch(*wanted: tuple[str, str, str]) -> dict[str, Any]:
    """Return the arguments of reservations of pages: organization, job and amount of each."""
    organization_ids, job_ids, amounts = ([one[index] for one in wanted] for index in range(3))
    return {
        "organization_ids": organization_ids,
        "job_ids": job_ids,
        "attempts": [None] * len(wanted),
        "amounts": amounts,
        "months": [MONTH] * len(wanted),
        "meters": ["pages"] * len(wanted),
    }


async def test_a_batch_counts_once_for_each_open_job(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    owner = own["organization_id"]
    foreign = {"organization_id": theirs.organization_id}
    for name, organization, state in (
        ("queued", own, "queued"),
        ("running", own, "running"),
        ("ended", own, "succeeded"),
        ("theirs", foreign, "queued"),
    ):
        await insert(connection, "job", **organization, id=name, state=state)
    wanted = [(owner, name, "2") for name in ("queued", "running", "ended", "theirs", "unknown")]
    result = await count_reservations(connection, **batch(*wanted, (theirs.organization_id, "theirs", "3")))
    # "theirs" is open for its own organization, and nothing was counted for the one that does not have it.
    assert sorted(result.ended_jobs) == ["ended", "unknown"]
    assert (await used(connection, own), await used(connection, foreign)) == (4, 3)
    await count_reservations(connection, **batch((owner, "queued", "2")))
    assert await used(connection, own) == 4


@pytest.mark.parametrize(("attempt", "counted"), [(1, None), (2, 5), (3, None), (None, 5)])
async def test_a_late_attempt_reserves_nothing(
    connection: Connection, own: dict[str, Any], attempt: int | None, counted: int | None
) -> None:
    await insert(connection, "job", **own, id="job", state="running", attempt=2)
    wanted = {**batch((own["organization_id"], "job", "5")), "attempts": [attempt]}
    result = await count_reservations(connection, **wanted)
    assert (result.ended_jobs, await used(connection, own)) == ([] if counted else ["job"], counted)


async def test_a_batch_that_exceeds_one_plan_counts_nothing_for_anybody(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    await insert(connection, "job", **own, id="mine")
    await insert(connection, "job", **foreign, id="theirs")
    wanted = batch((theirs.organization_id, "theirs", "1"), (own["organization_id"], "mine", "10.01"))
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with connection.transaction():
            await count_reservations(connection, **wanted)
    assert refused.value.sqlstate == EXCEEDED_SQLSTATE
    assert (await used(connection, own), await used(connection, foreign)) == (None, None)
    assert await list_granted(connection, job_ids=[JobId("mine"), JobId("theirs")]) == []


@pytest.mark.parametrize(
    ("before", "idle_for", "wanted", "granted"),
    [(None, 0, 3, 3), (None, 0, 9, 5), (2.0, 0, 9, 2), (0.0, 60, 9, 5), (5.0, 60, 9, 5), (0.5, 0, 1, 0)],
)
async def test_a_bucket_grants_what_it_holds(
    connection: Connection,
    own: dict[str, Any],
    before: float | None,
    idle_for: int,
    wanted: int,
    granted: int,
) -> None:
    if before is not None:
        # A little in the future: no token comes in while the test itself runs.
        now = await connection.fetchval("SELECT clock_timestamp()") + timedelta(seconds=5)
        refilled = now - timedelta(seconds=2 * idle_for)
        await connection.execute(
            "INSERT INTO request_allowance (organization_id, tokens, refilled_time) VALUES ($1, $2, $3)",
            own["organization_id"],
            before,
            refilled,
        )
    row = await take_requests(connection, **own, rate=1.0, burst=5.0, wanted=wanted)
    assert row.granted == granted
    assert row.tokens == pytest.approx(min(5.0, (5.0 if before is None else before) + 2 * idle_for) - granted)


async def test_a_month_has_one_statement(connection: Connection, own: dict[str, Any], theirs: Tenant) -> None:
    for content in ({"total": "1"}, {"total": "2"}):
        await insert_month_statement(connection, **own, month=MONTH, content=content)
    assert await get_month_statement(connection, **own, month=MONTH) == {"total": "1"}
    foreign = {"organization_id": theirs.organization_id}
    assert await get_month_statement(connection, **foreign, month=MONTH) is None
    assert await get_month_statement(connection, **own, month="2026-02") is None


async def test_a_month_without_a_statement_is_found_once_the_month_has_ended_for_good(
    connection: Connection,
) -> None:
    """The last month is that of a day ago: then its reservations are settled."""
    last_month, ended = await connection.fetchrow(
        """
        SELECT to_char(ended - interval '1 month', 'YYYY-MM'), ended AT TIME ZONE 'UTC'
        FROM (SELECT date_trunc('month', (now() - interval '1 day') AT TIME ZONE 'UTC') AS ended) AS one
        """
    )
    microsecond = timedelta(microseconds=1)
    for name, created_time in (
        ("a old", ended - microsecond),
        ("b new", ended),
        ("c told", ended - microsecond),
    ):
        await insert(connection, "organization", id=name, created_time=created_time)
    await insert_month_statement(connection, organization_id="c told", month=last_month, content={})
    await insert_month_statement(connection, organization_id="a old", month="2000-01", content={})
    assert await list_organizations_without_statement(connection, after="", limit=9) == ["a old"]
    assert await list_organizations_without_statement(connection, after="a old", limit=9) == []

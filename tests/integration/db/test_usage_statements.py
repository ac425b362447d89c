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
from db.statements import Connection
from db.usage import (
    EXCEEDED_SQLSTATE,
    GrantedRow,
    LimitedMeterRow,
    NewReservationRow,
    PlanLimitsRow,
    RemainingRow,
    UsedRow,
    count_active_model,
    count_freely,
    count_reservations,
    count_within,
    count_within_plan,
    delete_meter,
    get_limited_meter,
    insert_reservations,
    list_granted,
    list_plan_limits,
    list_used,
    lock_remaining,
    take_requests,
    take_reservations,
    take_reservations_of_many,
    uncount,
)
from pagemill.ids import JobId, ModelId
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


@pytest.mark.parametrize("by_plan", [True, False])
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
    by_plan: bool,
) -> None:
    if before is not None:
        await count_freely(connection, **own, **PAGES, amount=Decimal(before))
    arguments = {**own, **PAGES, "amount": Decimal(amount)}
    if by_plan:
        result = await count_within_plan(connection, **arguments)
    else:
        result = await count_within(connection, **arguments, allowed=Decimal(10))
    assert result == (None if after is None else Decimal(after))
    stored = before if after is None else after
    assert await used(connection, own) == (None if stored is None else Decimal(stored))


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


async def test_a_model_is_active_once_a_month(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    for owner, model_id, month in (
        (own, "a", MONTH),
        (own, "a", MONTH),
        (own, "b", MONTH),
        (own, "a", "2026-02"),
        (foreign, "a", MONTH),
    ):
        await count_active_model(connection, **owner, month=month, model_id=ModelId(model_id))
    assert await used(connection, own, "active-models") == 2
    assert await used(connection, foreign, "active-models") == 1


@pytest.mark.parametrize(
    ("amount", "limited_by", "expected"),
    [
        ("9", "pages", LimitedMeterRow("pages", False)),
        ("10", "pages", LimitedMeterRow("pages", True)),
        ("10", "fields", LimitedMeterRow("fields", False)),
    ],
)
async def test_the_limited_meter_tells_whether_it_is_used_up(
    connection: Connection, theirs: Tenant, amount: str, limited_by: Any, expected: LimitedMeterRow
) -> None:
    allowed = {"pages": 10, "fields": 10}
    tenant = await create_tenant(connection, allowed=allowed, limited_by=limited_by)
    own = {"organization_id": tenant.organization_id}
    foreign = {"organization_id": theirs.organization_id}
    for owner, month, used_there in ((own, MONTH, amount), (own, "2026-02", 99), (foreign, MONTH, 99)):
        arguments = {**owner, "month": month, "meter": "pages"}
        await count_freely(connection, **arguments, amount=Decimal(used_there))
    assert await get_limited_meter(connection, **own, month=MONTH) == expected


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
    many = {"organization_ids": [theirs.organization_id, own["organization_id"]], "job_ids": ["b", "b"]}
    (row,) = await take_reservations_of_many(connection, **many)
    assert (row.organization_id, row.job_id, row.amount) == (own["organization_id"], "b", Decimal("0.5"))


def batch(*wanted: tuple[str, str, str]) -> dict[str, Any]:
    """Return the arguments of reservations of pages: organization, job and amount of each."""
    organization_ids, job_ids, amounts = ([one[index] for one in wanted] for index in range(3))
    return {
        "organization_ids": organization_ids,
        "job_ids": job_ids,
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

"""Leases of jobs: whose turn it is, who keeps a job, and who has lost it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from db.job_leases import (
    ClaimedJobRow,
    LeaseRow,
    claim_jobs,
    delete_old_jobs,
    lock_expired_jobs,
    renew_leases,
)
from db.job_outcomes import end_succeeded_jobs
from db.statements import Connection
from pagemill.ids import JobId
from tests.support.everything import insert

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def add(connection: Connection, name: str, **values: Any) -> str:
    """Add a job of the organization that its name begins with."""
    values = {"organization_id": name[0], "kind": "prediction", "subject_id": f"of {name}", **values}
    return await insert(connection, "job", id=name, **values)


async def claim(connection: Connection, limit: int, kind: str = "prediction") -> list[str]:
    rows = await claim_jobs(connection, kind=kind, owner="worker", lease=60.0, limit=limit)
    return sorted(row.id for row in rows)


async def test_a_claimed_job_runs_under_a_lease(connection: Connection, now: datetime) -> None:
    due = now - timedelta(seconds=5)
    await add(
        connection, "a1", payload={"a": 1}, attempt=1, maximum_attempts=5, run_after=due, trace_context="t"
    )
    rows = await claim_jobs(connection, kind="prediction", owner="worker", lease=60.0, limit=10)
    assert rows == [ClaimedJobRow(JobId("a1"), "prediction", "a", "of a1", {"a": 1}, 2, 5, 0, "t", due, now)]
    row = await connection.fetchrow("SELECT * FROM job")
    assert (row["state"], row["lease_owner"], row["started_time"]) == ("running", "worker", now)
    assert row["lease_expires"] == now + timedelta(seconds=60)
    assert await claim(connection, 10) == []


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "training"},
        {"run_after": timedelta(microseconds=1)},
        *({"state": state} for state in ("running", "succeeded", "failed", "cancelled")),
    ],
)
async def test_only_queued_jobs_of_the_kind_that_are_due_are_claimed(
    connection: Connection, now: datetime, values: dict[str, Any]
) -> None:
    if "run_after" in values:
        values = {"run_after": now + values["run_after"]}
    await add(connection, "a1", **values)
    await add(connection, "a2", run_after=now)
    assert await claim(connection, 10) == ["a2"]


@pytest.mark.parametrize(
    ("running", "limit", "expected"),
    [
        # Organizations take turns, however many jobs one of them has.
        ([], 1, ["a1"]),
        ([], 2, ["a1", "b1"]),
        ([], 4, ["a1", "a2", "b1", "b2"]),
        ([], 6, ["a1", "a2", "a3", "a4", "b1", "b2"]),
        # Those that run count as turns taken.
        (["a"], 1, ["b1"]),
        (["a", "a"], 2, ["b1", "b2"]),
        (["a", "a"], 3, ["a1", "b1", "b2"]),
    ],
)
async def test_organizations_take_turns(
    connection: Connection, now: datetime, running: Sequence[str], limit: int, expected: list[str]
) -> None:
    for number in range(1, 9):
        age = timedelta(seconds=100 - number)
        await add(connection, f"a{number}", created_time=now - age)
    for number in (1, 2):
        await add(connection, f"b{number}", created_time=now - timedelta(seconds=10 - number))
    for number, organization in enumerate(running):
        await add(connection, f"{organization} runs {number}", state="running")
    assert await claim(connection, limit) == expected


async def test_of_one_organization_priority_goes_before_age(connection: Connection, now: datetime) -> None:
    for name, priority, age in (("a1", 10, 9), ("a2", 0, 1), ("a3", 0, 5)):
        await add(connection, name, priority=priority, created_time=now - timedelta(seconds=age))
    assert [await claim(connection, 1) for _ in range(4)] == [["a3"], ["a2"], ["a1"], []]


async def test_only_the_current_attempt_renews_its_lease(connection: Connection, now: datetime) -> None:
    await add(connection, "a1", state="running", attempt=2)
    await add(connection, "a2", state="running", attempt=1, cancel_requested=True)
    await add(connection, "a3", state="running", attempt=2)
    await add(connection, "a4", state="succeeded", attempt=1)
    rows = await renew_leases(
        connection,
        job_ids=[JobId(name) for name in ("a1", "a2", "a3", "a4")],
        attempts=[2, 1, 1, 1],
        lease=30.0,
    )
    assert sorted(rows, key=lambda row: row.id) == [LeaseRow("a1", False), LeaseRow("a2", True)]
    renewed = await connection.fetch(
        "SELECT id FROM job WHERE lease_expires = $1", now + timedelta(seconds=30)
    )
    assert sorted(row["id"] for row in renewed) == ["a1", "a2"]


async def test_expired_leases_are_found_first_expired_first(connection: Connection, now: datetime) -> None:
    second = timedelta(seconds=1)
    for name, values in (
        ("a1", {"lease_expires": now - second}),
        ("b2", {"lease_expires": now - 2 * second, "cancel_requested": True}),
        ("a3", {"lease_expires": now}),
        ("a4", {"lease_expires": now - second, "state": "failed"}),
        ("a5", {"lease_expires": now - second, "kind": "unknown"}),
    ):
        await add(connection, name, **{"state": "running", **values})
    rows = await lock_expired_jobs(connection, limit=10, kinds=["prediction", "training"])
    assert [(row.id, row.cancel_requested) for row in rows] == [("b2", True), ("a1", False)]
    rows = await lock_expired_jobs(connection, limit=1, kinds=["prediction"])
    assert [row.id for row in rows] == ["b2"]


async def test_jobs_of_several_organizations_succeed_together(connection: Connection, now: datetime) -> None:
    for name, values in (
        ("a1", {}),
        ("b2", {"cancel_requested": True}),
        ("a3", {"attempt": 2}),
        ("a4", {"state": "queued"}),
        ("a5", {}),
    ):
        await add(connection, name, **{"state": "running", "attempt": 1, **values})
    rows = await end_succeeded_jobs(
        connection,
        organization_ids=["a", "b", "a", "a", "b"],
        job_ids=[JobId(name) for name in ("a1", "b2", "a3", "a4", "a5")],
        attempts=[1] * 5,
    )
    assert {row.id: row.state for row in rows} == {"a1": "succeeded", "b2": "cancelled"}
    ended = await connection.fetch("SELECT id FROM job WHERE ended_time = $1 AND lease_owner IS NULL", now)
    assert sorted(row["id"] for row in ended) == ["a1", "b2"]


async def test_jobs_that_ended_long_ago_are_deleted_oldest_first(
    connection: Connection, now: datetime
) -> None:
    for name, age in (("a1", 61), ("a2", 62), ("a3", 63), ("a4", 60)):
        await add(connection, name, state="failed", ended_time=now - timedelta(seconds=age))
    await add(connection, "a5", state="running", created_time=now - timedelta(days=9))
    assert await delete_old_jobs(connection, retention=60.0, limit=2) == 2
    left = "SELECT array_agg(id ORDER BY id) FROM job"
    assert await connection.fetchval(left) == ["a1", "a4", "a5"]
    assert await delete_old_jobs(connection, retention=60.0, limit=2) == 1

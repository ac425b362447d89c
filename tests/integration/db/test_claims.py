"""Claims of people: who gets which execution, what ends a claim, and what is kept of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from db.claims import (
    KEPT_CLAIMS,
    claim_execution,
    claim_next_execution,
    give_execution_back,
    record_heartbeat,
)
from db.statements import Connection
from db.transition_executions import lock_transition_execution
from pagemill.ids import PrincipalId
from pagemill.workflows.claims import EndedClaim
from tests.integration.db.test_transition_executions import ADA, EXECUTION, add, now, transition
from tests.support.everything import insert
from tests.support.tenants import Tenant

__all__ = ["transition"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOB = PrincipalId("las:user:bob")


async def test_the_execution_that_waits_longest_is_claimed_first(
    connection: Connection, transition: dict[str, Any]
) -> None:
    time = await now(connection)
    for name, age in (("young", 1), ("b, old", 9), ("a, old", 9)):
        await add(connection, transition, name, created_time=time - timedelta(seconds=age))
    await add(connection, transition, "ended", status="succeeded", created_time=time - timedelta(days=1))
    claimed = [await claim_next_execution(connection, **transition, claimed_by=ADA) for _ in range(4)]
    assert [row.id if row else None for row in claimed] == ["a, old", "b, old", "young", None]
    rows = await connection.fetch("SELECT * FROM transition_execution WHERE id <> 'ended'")
    for row in rows:
        assert (row["claimed_by"], row["claimed_time"], row["start_time"]) == (ADA, time, time)
        assert (row["heartbeat_time"], row["expires"]) == (time, time + timedelta(seconds=600))


@pytest.mark.parametrize(
    ("silent_for", "expires_in", "is_claimed"),
    [
        (61, 500, True),
        (60, 500, False),
        (0, 500, False),
        # The claim lapsed at the time at which it timed out, or after it.
        (100, -40, True),
        (100, -41, False),
        (700, -641, False),
    ],
)
async def test_a_claim_lapses_a_minute_after_the_last_heartbeat_unless_it_had_timed_out(
    connection: Connection, transition: dict[str, Any], silent_for: int, expires_in: int, is_claimed: bool
) -> None:
    time = await now(connection)
    await add(
        connection,
        transition,
        claimed_by="las:user:gone",
        heartbeat_time=time - timedelta(seconds=silent_for),
        expires=time + timedelta(seconds=expires_in),
    )
    row = await claim_next_execution(connection, **transition, claimed_by=ADA)
    assert (row is not None) == is_claimed
    owner = await connection.fetchval("SELECT claimed_by FROM transition_execution")
    assert owner == (ADA if is_claimed else "las:user:gone")


async def test_an_execution_without_heartbeats_is_not_claimed_again(
    connection: Connection, transition: dict[str, Any]
) -> None:
    await add(connection, transition, claimed_by=ADA, heartbeat_time=None, expires=None)
    assert await claim_next_execution(connection, **transition, claimed_by=ADA) is None


@pytest.mark.parametrize(
    ("own_seconds", "of_step", "seconds"), [(None, None, 600), (45, None, 45), (45, 90, 90)]
)
async def test_the_state_of_the_workflow_may_shorten_the_time_of_a_step(
    connection: Connection,
    mine: Tenant,
    transition: dict[str, Any],
    own_seconds: int | None,
    of_step: int | None,
    seconds: int,
) -> None:
    """An earlier release has not kept it with the step."""
    own = {"organization_id": mine.organization_id}
    review = {} if own_seconds is None else {"TimeoutSeconds": own_seconds}
    for name, of_state in (("other", {"TimeoutSeconds": 5}), ("own", review)):
        definition = {"States": {"Review": of_state, "Export": {"TimeoutSeconds": 7}}}
        await insert(connection, "workflow", **own, id=f"{name} workflow", definition=definition)
        run = {"id": f"{name} run", "workflow_id": f"{name} workflow"}
        await insert(connection, "workflow_execution", **own, **run)
    await add(
        connection, transition, workflow_execution_id="own run", state="Review", timeout_in_seconds=of_step
    )
    assert await claim_next_execution(connection, **transition, claimed_by=ADA)
    expires = await connection.fetchval("SELECT expires FROM transition_execution")
    assert expires == await now(connection) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("values", "is_recorded"),
    [
        ({"expires": None}, True),
        ({"expires": timedelta(seconds=0)}, True),
        ({"expires": timedelta(seconds=-1)}, False),
        ({"status": "succeeded"}, False),
    ],
)
async def test_a_heartbeat_counts_while_the_execution_runs(
    connection: Connection, transition: dict[str, Any], values: dict[str, Any], is_recorded: bool
) -> None:
    time = await now(connection)
    if isinstance(values.get("expires"), timedelta):
        values = {"expires": time + values["expires"]}
    before = time - timedelta(seconds=50)
    await add(connection, transition, heartbeat_time=before, **values)
    assert (
        await record_heartbeat(connection, **transition, execution_id=EXECUTION, claimed_by=ADA)
        == is_recorded
    )
    assert await connection.fetchval("SELECT heartbeat_time FROM transition_execution") == (
        time if is_recorded else before
    )


async def test_a_heartbeat_does_not_make_an_execution_expect_heartbeats(
    connection: Connection, transition: dict[str, Any]
) -> None:
    await add(connection, transition, heartbeat_time=None)
    assert await record_heartbeat(connection, **transition, execution_id=EXECUTION, claimed_by=ADA) == 1
    assert await connection.fetchval("SELECT heartbeat_time FROM transition_execution") is None


@pytest.mark.parametrize(
    ("values", "by", "is_recorded"),
    [
        ({"claimed_by": ADA}, ADA, True),
        ({"claimed_by": ADA}, BOB, False),
        ({"claimed_by": None}, BOB, True),
        ({"claimed_by": None, "former_claims": [{"claimedBy": BOB}]}, BOB, False),
        ({"claimed_by": None, "former_claims": [{"claimedBy": BOB}]}, ADA, True),
        ({"claimed_by": BOB, "former_claims": [{"claimedBy": BOB}, {"claimedBy": ADA}]}, BOB, True),
    ],
)
async def test_who_has_lost_a_claim_cannot_keep_it(
    connection: Connection,
    transition: dict[str, Any],
    values: dict[str, Any],
    by: PrincipalId,
    is_recorded: bool,
) -> None:
    await add(connection, transition, **values)
    kept = await record_heartbeat(connection, **transition, execution_id=EXECUTION, claimed_by=by)
    assert kept == is_recorded


async def test_deferred_executions_come_when_their_time_has_come(
    connection: Connection, transition: dict[str, Any]
) -> None:
    time = await now(connection)
    for name, age, due in (("a", 90, 20), ("b", 30, None), ("c", 10, None), ("d", 60, -1), ("e", 50, 0)):
        await add(
            connection,
            transition,
            name,
            created_time=time - timedelta(seconds=age),
            deferred_until=None if due is None else time - timedelta(seconds=due),
        )
    claimed = [await claim_next_execution(connection, **transition, claimed_by=ADA) for _ in range(5)]
    assert [row.id if row else None for row in claimed] == ["b", "a", "c", "e", None]
    row = await claim_execution(connection, **transition, execution_id="d", claimed_by=ADA)
    assert row is not None
    assert row.start_time == time


@pytest.mark.parametrize(
    ("ending", "until", "deferred_until"),
    [("released", None, None), ("deferred", None, 0), ("deferred", 300, 300), ("deferred", -300, 0)],
)
async def test_a_claim_that_is_given_back_is_kept_and_the_execution_waits(
    connection: Connection,
    transition: dict[str, Any],
    ending: Any,
    until: int | None,
    deferred_until: int | None,
) -> None:
    time = await now(connection)
    claimed_time = time - timedelta(seconds=40)
    await add(
        connection,
        transition,
        claimed_by=ADA,
        claimed_time=claimed_time,
        start_time=claimed_time,
        heartbeat_time=claimed_time,
        expires=time,
    )
    given = {"ending": ending, "reason": "no page 2", "execution_id": EXECUTION}
    given["deferred_until"] = None if until is None else time + timedelta(seconds=until)
    assert await give_execution_back(connection, **transition, **given, claimed_by=BOB) is None
    row = await give_execution_back(connection, **transition, **given, claimed_by=ADA)
    assert row is not None
    assert row.start_time is None
    ended = EndedClaim(ADA, claimed_time, time, ending, "no page 2")
    assert msgspec.convert(row.ended_claim, EndedClaim) == ended
    stored = await connection.fetchrow(
        "SELECT claimed_by, claimed_time, heartbeat_time, expires, deferred_until FROM transition_execution"
    )
    expected = None if deferred_until is None else time + timedelta(seconds=deferred_until)
    assert tuple(stored) == (None, None, None, None, expected)
    locked = await lock_transition_execution(
        connection, organization_id=transition["organization_id"], execution_id=EXECUTION
    )
    assert locked is not None
    assert (locked.former_holders, locked.claim_lapsed) == ([ADA], False)
    again = await claim_execution(connection, **transition, execution_id=EXECUTION, claimed_by=BOB)
    assert again is not None
    assert again.ended_claim is None


@pytest.mark.parametrize(
    "values",
    [{"status": "failed"}, {"claimed_by": None}, {"expires": timedelta(seconds=-1)}],
)
async def test_only_a_claim_that_is_held_is_given_back(
    connection: Connection, transition: dict[str, Any], values: dict[str, Any]
) -> None:
    if "expires" in values:
        values = {"expires": await now(connection) + values["expires"]}
    await add(connection, transition, **{"claimed_by": ADA, **values})
    given = {"ending": "released", "reason": None, "deferred_until": None, "execution_id": EXECUTION}
    assert await give_execution_back(connection, **transition, **given, claimed_by=ADA) is None


async def test_a_claim_that_has_lapsed_ended_with_its_last_heartbeat(
    connection: Connection, transition: dict[str, Any]
) -> None:
    time = await now(connection)
    times = {"claimed_time": time - timedelta(seconds=200), "heartbeat_time": time - timedelta(seconds=90)}
    await add(connection, transition, claimed_by=BOB, expires=time, **times)
    row = await claim_execution(connection, **transition, execution_id=EXECUTION, claimed_by=ADA)
    assert row is not None
    ended = EndedClaim(BOB, times["claimed_time"], times["heartbeat_time"], "lapsed")
    assert msgspec.convert(row.ended_claim, EndedClaim) == ended
    assert await claim_execution(connection, **transition, execution_id=EXECUTION, claimed_by=BOB) is None


@pytest.mark.parametrize("before", [KEPT_CLAIMS - 1, KEPT_CLAIMS])
async def test_the_newest_claims_are_kept(
    connection: Connection, transition: dict[str, Any], before: int
) -> None:
    former = [{"claimedBy": str(number)} for number in range(before)]
    await add(
        connection, transition, claimed_by=ADA, claimed_time=await now(connection), former_claims=former
    )
    await give_execution_back(
        connection,
        **transition,
        execution_id=EXECUTION,
        claimed_by=ADA,
        ending="released",
        reason=None,
        deferred_until=None,
    )
    kept = await connection.fetchval("SELECT former_claims FROM transition_execution")
    assert [one["claimedBy"] for one in kept] == [*(one["claimedBy"] for one in former), ADA][-KEPT_CLAIMS:]

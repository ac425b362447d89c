"""Claims of people through HTTP: by id, given back, put off, lost; and the minutes that they take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.seeded_roles import VALIDATOR
from pagemill.ids import TransitionExecutionId, new_id
from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.flows import (
    again,
    claim,
    create_transition,
    create_workflow,
    lines,
    ok,
    patch,
    start,
    succeed,
    task,
)
from tests.support.people import add_principal
from tests.support.seeds import used
from tests.support.tenants import Tenant


class Validator(NamedTuple):
    """A user who may do nothing but check, and the client that calls as this user."""

    user_id: str
    api: httpx.AsyncClient


@contextlib.asynccontextmanager
async def validator_of(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> AsyncIterator[Validator]:
    user_id = await add_principal(pool, organization.organization_id, "user", [VALIDATOR])
    async with client_of(app, settings, organization, user_id) as client:
        yield Validator(user_id, client)


@pytest.fixture
async def ada(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> AsyncIterator[Validator]:
    async with validator_of(app, settings, organization, pool) as validator:
        yield validator


@pytest.fixture
async def bob(
    app: Litestar, settings: Settings, organization: Tenant, pool: asyncpg.Pool
) -> AsyncIterator[Validator]:
    async with validator_of(app, settings, organization, pool) as validator:
        yield validator


async def waiting(api: httpx.AsyncClient, count: int = 1) -> tuple[str, list[dict[str, Any]]]:
    """Create a manual transition with steps of workflows that wait, oldest first."""
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    started = [await start(api, workflow_id, {"n": number}) for number in range(count)]
    ids = [execution["transitionExecutions"][transition_id][0] for execution in started]
    return transition_id, [{"transitionId": transition_id, "executionId": step_id} for step_id in ids]


async def do(api: httpx.AsyncClient, step: dict[str, Any], verb: str, **body: Any) -> httpx.Response:
    path = f"/v1/transitions/{step['transitionId']}/executions/{step['executionId']}/{verb}"
    return await api.post(path, json=body)


async def refused(answer: httpx.Response, because: str) -> None:
    assert answer.status_code == 400, answer.text
    assert because in answer.json()["message"]


async def worked(pool: asyncpg.Pool, step: dict[str, Any], seconds: float, *, silent: float = 0.0) -> None:
    """Let the claim have lasted longer, and its last heartbeat be some seconds ago."""
    await pool.execute(
        """
        UPDATE transition_execution SET claimed_time = claimed_time - make_interval(secs => $2),
            heartbeat_time = now() - make_interval(secs => $3)
        WHERE id = $1
        """,
        step["executionId"],
        seconds,
        silent,
    )


async def test_a_person_chooses_an_execution(api: httpx.AsyncClient, ada: Validator, bob: Validator) -> None:
    transition_id, (first, second) = await waiting(api, 2)
    claimed = await ok(await do(ada.api, second, "claim"))
    assert (claimed["input"], claimed["status"]) == ({"n": 1}, "running")
    assert claimed["startTime"] is not None
    assert await ok(await do(ada.api, second, "claim")) == claimed
    await refused(await do(bob.api, second, "claim"), f"is claimed by {ada.user_id}")
    # An app client is somebody else, too.
    await refused(await patch(api, second, status="succeeded", output={}), f"is claimed by {ada.user_id}")
    assert (await claim(bob.api, transition_id))["executionId"] == first["executionId"]
    ended = await succeed(ada.api, second, checked=True)
    assert (ended["completedBy"], ended["output"]) == (ada.user_id, {"checked": True})
    for person in (ada, bob):
        await refused(await do(person.api, second, "claim"), "has ended")


async def test_two_people_never_hold_the_same_one(
    api: httpx.AsyncClient, ada: Validator, bob: Validator, pool: asyncpg.Pool
) -> None:
    transition_id, steps = await waiting(api, 6)

    async def take_all(person: Validator) -> set[str]:
        """Claim in both ways, whatever comes."""
        path = f"/v1/transitions/{transition_id}/executions"
        by_id = [do(person.api, step, "claim") for step in steps]
        answers = await asyncio.gather(*by_id, *(person.api.post(path, json={}) for _ in range(4)))
        assert {answer.status_code for answer in answers} <= {200, 400, 404}
        return {answer.json()["executionId"] for answer in answers if answer.is_success}

    held = dict(zip((ada, bob), await asyncio.gather(take_all(ada), take_all(bob)), strict=True))
    assert held[ada] & held[bob] == set()
    assert held[ada] | held[bob] == {step["executionId"] for step in steps}
    rows = await pool.fetch("SELECT id, claimed_by, former_claims FROM transition_execution")
    for row in rows:
        assert row["id"] in held[ada if row["claimed_by"] == ada.user_id else bob]
        assert row["former_claims"] == []

    async def end(person: Validator, step: dict[str, Any]) -> tuple[str, int]:
        return person.user_id, (await patch(person.api, step, status="succeeded", output={})).status_code

    endings = await asyncio.gather(*(end(person, step) for step in steps for person in (ada, bob)))
    assert sorted(code for _, code in endings) == [200] * 6 + [400] * 6
    assert sum(code == 200 for user_id, code in endings if user_id == ada.user_id) == len(held[ada])


async def test_a_released_execution_keeps_its_place(
    api: httpx.AsyncClient, ada: Validator, bob: Validator, organization: Tenant
) -> None:
    transition_id, (first, second) = await waiting(api, 2)
    await claim(ada.api, transition_id)
    await refused(await do(bob.api, first, "release"), f"is claimed by {ada.user_id}")
    await refused(await do(bob.api, second, "release"), f"is not claimed by {bob.user_id}")
    released = await ok(await do(ada.api, first, "release", reason="Not my customer"))
    assert (released["status"], released["startTime"]) == ("running", None)
    assert (await lines(api, released["logId"]))[-1] == f"Released by {ada.user_id}: Not my customer"
    for answer in (
        await patch(ada.api, first, status="succeeded", output={}),
        await patch(ada.api, first),
        await do(ada.api, first, "heartbeats"),
        await do(ada.api, first, "release"),
    ):
        await refused(answer, f"is not claimed by {ada.user_id} any more")
    assert (await claim(bob.api, transition_id))["executionId"] == first["executionId"]
    assert (await succeed(bob.api, first, n=1))["completedBy"] == bob.user_id
    # Who has never held it reports without a claim, as clients of the reference do.
    assert (await succeed(api, second, n=2))["completedBy"] == organization.app_client_id


async def test_a_deferred_execution_waits_for_its_time(
    api: httpx.AsyncClient, ada: Validator, bob: Validator, pool: asyncpg.Pool
) -> None:
    transition_id, (first, second, third) = await waiting(api, 3)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    for step, body in ((first, {}), (second, {"until": until.isoformat(), "reason": "Page 2 comes"})):
        assert (await claim(ada.api, transition_id))["executionId"] == step["executionId"]
        deferred = await ok(await do(ada.api, step, "defer", **body))
        assert deferred["startTime"] is None
    line = f"Deferred by {ada.user_id} until {until.isoformat()}: Page 2 comes"
    assert (await lines(api, deferred["logId"]))[-1] == line
    await refused(await do(ada.api, second, "heartbeats"), "any more")
    claimed = [await claim(bob.api, transition_id) for _ in range(2)]
    assert [step["executionId"] for step in claimed] == [third["executionId"], first["executionId"]]
    path = f"/v1/transitions/{transition_id}/executions"
    assert (await bob.api.post(path, json={})).status_code == 404
    await pool.execute("UPDATE transition_execution SET deferred_until = deferred_until - interval '2 days'")
    assert (await claim(bob.api, transition_id))["executionId"] == second["executionId"]
    await ok(await do(bob.api, second, "defer", until=until.isoformat()))
    assert (await ok(await do(ada.api, second, "claim")))["executionId"] == second["executionId"]


@pytest.mark.parametrize(
    ("verb", "body", "named"),
    [
        ("claim", {"reason": "x"}, "reason"),
        ("release", {"reason": "x" * 4097}, "reason"),
        ("release", {"until": "2026-01-01"}, "until"),
        ("defer", {"until": "tomorrow"}, "until: is not a time"),
        ("defer", {"until": "9999-01-01"}, "until: must be within 366 days"),
        ("defer", {"until": 5}, "until"),
    ],
)
async def test_bad_bodies_are_refused(
    api: httpx.AsyncClient, verb: str, body: dict[str, Any], named: str
) -> None:
    transition_id, (step,) = await waiting(api)
    held = await claim(api, transition_id)
    await refused(await do(api, step, verb, **body), named)
    assert await ok(await do(api, step, "claim")) == held


@pytest.mark.parametrize("verb", ["claim", "release", "defer"])
async def test_only_executions_of_manual_transitions_are_claimed(api: httpx.AsyncClient, verb: str) -> None:
    step = await claim(api, await create_transition(api, "docker"))
    await refused(await do(api, step, verb), "is not manual")


@pytest.mark.parametrize("verb", ["claim", "release", "defer"])
async def test_foreign_executions_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, verb: str
) -> None:
    _, (theirs,) = await waiting(other_api)
    own_transition, _ = await waiting(api)
    foreign, unknown = theirs["executionId"], new_id(TransitionExecutionId)
    for transition_id in (theirs["transitionId"], own_transition):
        answers = [
            await do(api, {"transitionId": transition_id, "executionId": one}, verb)
            for one in (foreign, unknown)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content.replace(foreign.encode(), unknown.encode()) == answers[1].content


async def test_who_loses_a_claim_learns_it(
    api: httpx.AsyncClient, ada: Validator, bob: Validator, pool: asyncpg.Pool
) -> None:
    transition_id, (step,) = await waiting(api)
    await claim(ada.api, transition_id)
    await refused(await do(bob.api, step, "heartbeats"), f"is claimed by {ada.user_id}")
    await worked(pool, step, 300, silent=61)
    assert (await claim(bob.api, transition_id))["executionId"] == step["executionId"]
    for answer in (
        await do(ada.api, step, "heartbeats"),
        await patch(ada.api, step, status="succeeded", output={}),
        await patch(ada.api, step, startTime="2024-01-01"),
    ):
        await refused(answer, f"is claimed by {bob.user_id}")
    await ok(await do(bob.api, step, "release"))
    await refused(await patch(ada.api, step, status="failed"), "any more")


async def test_minutes_of_a_user_are_counted_over_all_claims_of_an_execution(
    api: httpx.AsyncClient, ada: Validator, bob: Validator, pool: asyncpg.Pool, organization: Tenant
) -> None:
    async def minutes() -> float:
        return float(await used(pool, organization.organization_id, "user-minutes"))

    transition_id, (step,) = await waiting(api)
    await claim(ada.api, transition_id)
    await worked(pool, step, 120)
    await ok(await do(ada.api, step, "defer"))
    assert 2.0 <= await minutes() < 2.1
    # An app client's time is not a user's.
    await claim(api, transition_id)
    await worked(pool, step, 6000)
    await ok(await do(api, step, "release"))
    assert 2.0 <= await minutes() < 2.1
    # A lapsed claim has lasted until its last heartbeat, 70 of 300 seconds ago.
    await claim(bob.api, transition_id)
    await worked(pool, step, 300, silent=70)
    await claim(ada.api, transition_id)
    assert 2.0 + 230 / 60 <= await minutes() < 2.1 + 230 / 60
    await worked(pool, step, 60)
    # What a client reports as its start costs nothing.
    await ok(await patch(ada.api, step, status="succeeded", output={}, startTime="2024-01-01"))
    assert 3.0 + 230 / 60 <= await minutes() < 3.1 + 230 / 60
    former = await pool.fetchval("SELECT former_claims FROM transition_execution")
    assert [(one["claimedBy"], one["ending"]) for one in former] == [
        (ada.user_id, "deferred"),
        (organization.app_client_id, "released"),
        (bob.user_id, "lapsed"),
    ]


async def test_production_minutes_are_those_of_all_claims(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)}, status="production")
    await start(api, workflow_id)
    step = await claim(api, transition_id)
    await worked(pool, step, 120)
    await ok(await do(api, step, "release"))
    await pool.execute("UPDATE transition_execution SET created_time = created_time - interval '5 hours'")
    assert (await claim(api, transition_id))["executionId"] == step["executionId"]
    await worked(pool, step, 60)
    await succeed(api, step)
    assert 3.0 <= await used(pool, organization.organization_id, "production-workflow-minutes") < 3.1
    assert await used(pool, organization.organization_id, "user-minutes") == 0


async def test_a_claim_that_has_lapsed_costs_no_more_when_the_workflow_goes_on(
    api: httpx.AsyncClient, ada: Validator, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    execution = await start(api, workflow_id)
    step = await claim(ada.api, transition_id)
    await worked(pool, step, 600, silent=480)
    path = f"/v1/workflows/{workflow_id}/executions/{execution['executionId']}"
    await ok(await api.patch(path, json={"nextTransitionId": "las:transition:commons-failed"}))
    assert (await again(api, execution))["status"] == "failed"
    assert 2.0 <= await used(pool, organization.organization_id, "user-minutes") < 2.1


async def test_a_repeated_request_does_it_once(api: httpx.AsyncClient, ada: Validator) -> None:
    transition_id, (first, second) = await waiting(api, 2)
    path = f"/v1/transitions/{transition_id}/executions"
    headers = {"Idempotency-Key": "one"}
    claimed = [await ok(await ada.api.post(path, json={}, headers=headers)) for _ in range(2)]
    assert [step["executionId"] for step in claimed] == [first["executionId"]] * 2
    assert (await claim(ada.api, transition_id))["executionId"] == second["executionId"]

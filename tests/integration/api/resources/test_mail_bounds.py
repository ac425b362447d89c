"""Mail cannot be sent through the platform to whom and as often as somebody likes."""

from __future__ import annotations

import asyncpg
import httpx
import pytest

from tests.support.flows import claim, create_transition, create_workflow, ok, patch, start, task
from tests.support.mailed import set_mail
from tests.support.people import add_user
from tests.support.tenants import Tenant

VICTIM = "victim@example.com"
OF_THE_DAY = "the organization has sent as much mail today as it may"
TO_A_STRANGER = "mail was sent to this address just now, and nobody of the organization has it"


async def fail_executions(api: httpx.AsyncClient, address: str, *, times: int) -> None:
    """Let executions fail of a workflow that tells an address."""
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"Check": task(transition_id)}, errorConfig={"email": address})
    for _ in range(times):
        await start(api, workflow_id)
        step = await claim(api, transition_id)
        await ok(await patch(api, step, status="failed", error={"message": "x"}))


async def invite(api: httpx.AsyncClient, address: str) -> httpx.Response:
    return await api.post("/v1/users", json={"email": address})


async def jobs(pool: asyncpg.Pool, state: str) -> list[tuple[str, str | None]]:
    """Mail in a state: to whom, and the error."""
    rows = await pool.fetch(
        """
        SELECT payload ->> 'to' AS address, error_message FROM job WHERE kind = 'mail' AND state = $1
        ORDER BY created_time, id
        """,
        state,
    )
    return [(row["address"], row["error_message"]) for row in rows]


async def test_a_stranger_is_mailed_once_in_a_while(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    await set_mail(pool, stranger_interval=3600)
    await fail_executions(api, VICTIM, times=3)
    await fail_executions(api, VICTIM.upper(), times=1)
    assert await jobs(pool, "queued") == [(VICTIM, None)]
    assert [error for _, error in await jobs(pool, "failed")] == [TO_A_STRANGER] * 3
    await fail_executions(api, "another@example.com", times=1)
    assert len(await jobs(pool, "queued")) == 2
    await pool.execute("UPDATE job SET created_time = created_time - interval '1 hour'")
    await fail_executions(api, VICTIM, times=2)
    assert len(await jobs(pool, "queued")) == 3


@pytest.mark.parametrize(("status", "mails"), [("active", 3), ("invite_pending", 1), ("inactive", 1)])
async def test_people_of_the_organization_are_no_strangers(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, status: str, mails: int
) -> None:
    await set_mail(pool, stranger_interval=3600)
    async with pool.acquire() as connection:
        person = await add_user(connection, organization.organization_id, role_ids=[], status=status)
    await fail_executions(api, person.email, times=3)
    assert len(await jobs(pool, "queued")) == mails


async def test_an_organization_has_a_quota_of_the_day(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    await set_mail(pool, daily_quota=2)
    await fail_executions(api, VICTIM, times=4)
    assert len(await jobs(pool, "queued")) == 2
    assert [error for _, error in await jobs(pool, "failed")] == [OF_THE_DAY] * 2
    refused = await invite(api, "new@example.com")
    assert (refused.status_code, refused.json()) == (429, {"message": f"email: {OF_THE_DAY}"})
    assert (await api.get("/v1/users")).json()["users"] == []
    assert (await invite(other_api, "new@example.com")).status_code == 200
    await pool.execute("UPDATE job SET created_time = created_time - interval '1 day'")
    assert (await invite(api, "new@example.com")).status_code == 200


async def test_an_invitation_cannot_be_repeated_at_will(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    await set_mail(pool, stranger_interval=3600)
    user = await ok(await invite(api, VICTIM))
    await ok(await api.delete(f"/v1/users/{user['userId']}"))
    refused = await invite(api, VICTIM)
    assert (refused.status_code, refused.json()) == (429, {"message": f"email: {TO_A_STRANGER}"})
    assert refused.headers["retry-after"] == "3600"
    assert await jobs(pool, "queued") == [(VICTIM, None)]


async def test_without_a_mail_server_nobody_is_refused(api: httpx.AsyncClient) -> None:
    user = await ok(await invite(api, VICTIM))
    await ok(await api.delete(f"/v1/users/{user['userId']}"))
    assert (await invite(api, VICTIM)).status_code == 200

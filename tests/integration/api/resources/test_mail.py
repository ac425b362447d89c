"""What the API's own changes are mailed about."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.api.auth.seeded_roles import ADMIN
from tests.support.mailed import mailed, set_mail
from tests.support.people import add_user
from tests.support.seeds import seed_model, seed_training
from tests.support.tenants import Tenant


@pytest.fixture
async def available(pool: asyncpg.Pool) -> None:
    await set_mail(pool)


async def invite(api: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await api.post("/v1/users", json={"email": "ada@example.com"} | body)


@pytest.mark.usefixtures("available")
@pytest.mark.parametrize("url", ["https://app.example.com/login", None])
async def test_an_invitation_leads_to_the_app_clients_login(
    api: httpx.AsyncClient, pool: asyncpg.Pool, url: str | None
) -> None:
    addresses = {} if url is None else {"defaultLoginUrl": url, "loginUrls": [url]}
    client = (await api.post("/v1/appClients", json={"generateSecret": False} | addresses)).json()
    assert (await invite(api, appClientId=client["appClientId"])).status_code == 200
    (mail,) = await mailed(pool)
    assert mail == {
        "to": "ada@example.com",
        "organization": "Test organization",
        "notice": "invitation",
        "days": 90,
        "url": url,
        "acceptanceUrl": "https://localhost:8443/sign-in/invitation",
        "codeId": mail["codeId"],
    }
    # The code itself is made when the mail is sent.
    assert await pool.fetchval("SELECT code_hash FROM one_time_code WHERE id = $1", mail["codeId"]) == ""


@pytest.mark.usefixtures("available")
async def test_an_invitation_is_mailed_when_there_is_one(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    user = (await invite(api)).json()
    assert (await invite(api, email="eve@example.com", appClientId="las:app-client:no")).status_code == 400
    assert [mail["to"] for mail in await mailed(pool)] == ["ada@example.com"]
    assert (await invite(api)).json()["userId"] == user["userId"]
    assert [mail["to"] for mail in await mailed(pool)] == ["ada@example.com"] * 2


async def test_without_a_mail_server_nothing_is_queued(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    assert (await invite(api)).status_code == 200
    assert await pool.fetchval("SELECT count(*) FROM job") == 0


@pytest.mark.usefixtures("available")
async def test_a_repeated_request_mails_once(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    for _ in range(2):
        response = await api.post(
            "/v1/users", json={"email": "ada@example.com"}, headers={"Idempotency-Key": "one"}
        )
        assert response.status_code == 200
    assert len(await mailed(pool)) == 1


@pytest.mark.usefixtures("available")
async def test_a_cancelled_training_is_mailed(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        owner = await add_user(connection, organization.organization_id, role_ids=[ADMIN])
    model_id = await seed_model(pool, organization.organization_id)
    training_id = await seed_training(
        pool, organization.organization_id, model_id, status="waiting-for-approval"
    )
    await api.patch(f"/v1/models/{model_id}/trainings/{training_id}", json={"status": "cancelled"})
    assert [(mail["to"], mail["status"]) for mail in await mailed(pool)] == [(owner.email, "cancelled")]


FAILS = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "No.Total", "Cause": "none was found"}}}
# No choice is made: the execution fails without being told to.
CHOICE = {"Type": "Choice", "Choices": [{"Variable": "$.a", "BooleanEquals": True, "Next": "B"}]}
STUCK = {"StartAt": "A", "States": {"A": CHOICE, "B": {"Type": "Succeed"}}}


@pytest.mark.usefixtures("available")
@pytest.mark.parametrize(
    ("definition", "error_config", "waits"),
    [
        (FAILS, {"email": "ops@example.com"}, False),
        (FAILS, {"email": "ops@example.com", "manualRetry": True}, False),
        (STUCK, {"email": "ops@example.com", "manualRetry": True}, True),
    ],
)
async def test_a_failed_execution_is_mailed_to_where_the_workflow_says(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    definition: dict[str, Any],
    error_config: dict[str, Any],
    waits: bool,
) -> None:
    body = {"specification": {"definition": definition}, "errorConfig": error_config, "name": "Approve"}
    workflow_id = (await api.post("/v1/workflows", json=body)).json()["workflowId"]
    execution = (await api.post(f"/v1/workflows/{workflow_id}/executions", json={"input": {}})).json()
    (mail,) = await mailed(pool)
    assert mail == {
        "to": "ops@example.com",
        "organization": "Test organization",
        "notice": "execution",
        "workflow": "Approve",
        "workflowId": workflow_id,
        "executionId": execution["executionId"],
        "state": "A",
        "error": mail["error"],
        "cause": mail["cause"],
        "waits": waits,
    }
    if definition is FAILS:
        assert (mail["error"], mail["cause"]) == ("No.Total", "none was found")


@pytest.mark.usefixtures("available")
async def test_a_workflow_without_an_address_mails_nobody(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    body = {"specification": {"definition": FAILS}}
    workflow_id = (await api.post("/v1/workflows", json=body)).json()["workflowId"]
    await api.post(f"/v1/workflows/{workflow_id}/executions", json={"input": {}})
    assert await mailed(pool) == []

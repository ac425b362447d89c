"""Webhooks through HTTP, and the events of changes that the API makes."""

from __future__ import annotations

import asyncio
import base64
import logging
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from db.webhooks import EVENT_TYPES, MOST_WEBHOOKS
from pagemill.api.auth.seeded_roles import MEMBER, VALIDATOR
from pagemill.ids import WebhookAttemptId, WebhookId, new_id
from pagemill.secret_box import Sealed, open_secret_box
from pagemill.settings import Settings
from tests.support.queries import statements_run
from tests.support.seeds import seed_model, seed_training
from tests.support.tenants import Tenant

PATH = "/v1/webhooks"
URL = "https://hooks.example.com/pagemill?team=1"


async def create(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post(PATH, json={"url": URL, "eventTypes": ["prediction.succeeded"]} | body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_a_created_webhook_and_its_secret(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool, settings: Settings
) -> None:
    webhook = await create(api, name="Ours", eventTypes=["prediction.failed", "prediction.failed"])
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert webhook == {
        "webhookId": webhook["webhookId"],
        "url": URL,
        "eventTypes": ["prediction.failed"],
        "name": "Ours",
        "description": None,
        "status": "enabled",
        "createdTime": webhook["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert (await api.get(f"{PATH}/{webhook['webhookId']}")).json() == webhook
    assert (await api.get(PATH)).json() == {"webhooks": [webhook], "nextToken": None}
    row = await pool.fetchrow("SELECT * FROM webhook")
    sealed = Sealed(row["key_id"], row["nonce"], row["ciphertext"])
    box = open_secret_box(settings)
    assert box.open(organization.organization_id, webhook["webhookId"], sealed) == {"secret": secret}


async def test_the_secret_is_shown_once_and_stored_encrypted_only(
    api: httpx.AsyncClient, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        webhook = await create(api)
        path = f"{PATH}/{webhook['webhookId']}"
        answers = [
            await api.get(path),
            await api.get(PATH),
            await api.patch(path, json={"name": "x"}),
            await api.get(f"{path}/attempts"),
        ]
    row = str(dict(await pool.fetchrow("SELECT * FROM webhook")))
    texts = [caplog.text, row, *(answer.text for answer in answers), (await api.delete(path)).text]
    assert all(webhook["secret"].removeprefix("whsec_") not in text for text in texts)


async def test_change_and_deletion(api: httpx.AsyncClient, organization: Tenant) -> None:
    webhook = await create(api, name="Ours", description="of the shop")
    del webhook["secret"]
    path = f"{PATH}/{webhook['webhookId']}"
    changed = (await api.patch(path, json={"name": None, "status": "disabled"})).json()
    assert changed == {
        **webhook,
        "name": None,
        "status": "disabled",
        "updatedTime": changed["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    moved = {"url": "https://example.com/", "eventTypes": ["training.failed"], "status": "enabled"}
    assert (await api.patch(path, json=moved)).json().items() >= moved.items()
    deleted = await api.delete(path)
    assert (deleted.status_code, deleted.json()["url"]) == (200, "https://example.com/")
    assert (await api.get(path)).status_code == (await api.delete(path)).status_code == 404
    assert (await api.get(f"{path}/attempts")).status_code == 404


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"url": "http://example.com/hook"}, "url"),
        ({"url": "http://localhost/hook"}, "url"),
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://user:password@example.com"}, "url"),
        ({"url": "https://example.com\\@10.0.0.1"}, "url"),
        ({"url": "https://example.com/a b"}, "url"),
        ({"url": "https://example.com/\r\nHost: x"}, "url"),
        ({"url": "https://example.com/#part"}, "url"),
        ({"url": "https://example.com:0/"}, "url"),
        ({"url": "https://" + "x" * 2048}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://[::1]/"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": None}, "url"),
        ({"eventTypes": []}, "eventTypes"),
        ({"eventTypes": ["prediction.*"]}, "eventTypes"),
        ({"eventTypes": ["prediction.failed"] * 100}, "eventTypes"),
        ({"status": "paused"}, "status"),
        ({"name": "x" * 4097}, "name"),
        ({"secret": "whsec_x"}, "secret"),
    ],
)
async def test_bad_members_are_named(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    webhook = await create(api)
    del webhook["secret"]
    whole = {"url": URL, "eventTypes": ["prediction.failed"]} | body
    for response in (
        await api.post(PATH, json=whole),
        await api.patch(f"{PATH}/{webhook['webhookId']}", json=body),
    ):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert (await api.get(PATH)).json()["webhooks"] == [webhook]


async def test_required_members(api: httpx.AsyncClient) -> None:
    path = f"{PATH}/{(await create(api))['webhookId']}"
    for response in (
        await api.patch(path, json={}),
        await api.post(PATH, json={"url": URL}),
        await api.post(PATH, json={"eventTypes": ["prediction.failed"]}),
    ):
        assert response.status_code == 400


async def test_every_event_type_is_accepted(api: httpx.AsyncClient) -> None:
    assert (await create(api, eventTypes=list(EVENT_TYPES)))["eventTypes"] == list(EVENT_TYPES)


class TestWithPrivateTargets:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        import msgspec

        return msgspec.structs.replace(settings, webhook_private_targets=True)

    @pytest.mark.parametrize(
        "url", ["http://localhost:8080/hook", "https://10.0.0.1/hook", "https://[fd00::1]/hook"]
    )
    async def test_private_targets_are_taken(self, api: httpx.AsyncClient, url: str) -> None:
        assert (await create(api, url=url))["url"] == url

    @pytest.mark.parametrize("url", ["http://10.0.0.1/hook", "http://localhost.example.com/"])
    async def test_http_is_for_localhost_alone(self, api: httpx.AsyncClient, url: str) -> None:
        response = await api.post(PATH, json={"url": url, "eventTypes": ["prediction.failed"]})
        assert response.status_code == 400


async def test_paging(api: httpx.AsyncClient) -> None:
    ids = [(await create(api))["webhookId"] for _ in range(3)]
    first = (await api.get(PATH, params={"maxResults": 2})).json()
    rest = (await api.get(PATH, params={"maxResults": 2, "nextToken": first["nextToken"]})).json()
    assert [one["webhookId"] for one in first["webhooks"] + rest["webhooks"]] == ids
    assert rest["nextToken"] is None


async def test_the_number_of_webhooks_is_limited(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    body = {"url": URL, "eventTypes": ["prediction.failed"]}
    answers = await asyncio.gather(*(api.post(PATH, json=body) for _ in range(MOST_WEBHOOKS + 3)))
    assert sorted(answer.status_code for answer in answers) == [200] * MOST_WEBHOOKS + [400] * 3
    await create(other_api)


async def seed_attempts(pool: asyncpg.Pool, organization_id: str, webhook_id: str, count: int) -> None:
    delivery_id = f"las:webhook-delivery:{new_id(WebhookId).rpartition(':')[2]}"
    await pool.execute(
        """
        INSERT INTO webhook_delivery (id, organization_id, webhook_id, event_type, body)
        VALUES ($1, $2, $3, 'prediction.failed', '{}')
        """,
        delivery_id,
        organization_id,
        webhook_id,
    )
    for number in range(count):
        await pool.execute(
            """
            INSERT INTO webhook_attempt (
                id, organization_id, webhook_id, delivery_id, job_id, status_code, error, created_time
            )
            VALUES ($1, $2, $3, $4, 'job', 500, 'answered 500', now() + $5 * interval '1 s')
            """,
            new_id(WebhookAttemptId),
            organization_id,
            webhook_id,
            delivery_id,
            number,
        )


async def test_attempts_newest_first_in_pages(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    webhook_id = (await create(api))["webhookId"]
    path = f"{PATH}/{webhook_id}/attempts"
    await seed_attempts(pool, organization.organization_id, webhook_id, 5)
    whole = (await api.get(path)).json()
    assert whole["nextToken"] is None
    assert whole["attempts"][0] == {
        "attemptId": whole["attempts"][0]["attemptId"],
        "deliveryId": whole["attempts"][0]["deliveryId"],
        "eventType": "prediction.failed",
        "createdTime": whole["attempts"][0]["createdTime"],
        "statusCode": 500,
        "error": "answered 500",
        "nextAttemptTime": None,
    }
    times = [one["createdTime"] for one in whole["attempts"]]
    assert times == sorted(times, reverse=True)
    paged: list[dict[str, Any]] = []
    token = ""
    while token is not None:
        page = (await api.get(path, params={"maxResults": 2, "nextToken": token})).json()
        paged, token = paged + page["attempts"], page["nextToken"]
    assert paged == whole["attempts"]
    unknown = f"las:webhook:{'0' * 32}"
    answers = [await other_api.get(f"{PATH}/{one}/attempts") for one in (webhook_id, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(webhook_id, unknown) == answers[1].text


async def test_lists_run_one_statement(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    webhook_id = (await create(api))["webhookId"]
    await create(api)
    await seed_attempts(pool, organization.organization_id, webhook_id, 3)
    with statements_run() as run:
        await api.get(PATH)
        await api.get(f"{PATH}/{webhook_id}/attempts")
    assert [name for name in run if name.startswith("webhooks.")] == [
        "webhooks.list_webhooks",
        "webhooks.get_webhook",
        "webhooks.list_webhook_attempts",
    ]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("member", marks=pytest.mark.caller("user", MEMBER)),
        pytest.param("validator", marks=pytest.mark.caller("user", VALIDATOR)),
    ],
)
async def test_only_admins_manage_webhooks(api: httpx.AsyncClient, kind: str) -> None:
    body = {"url": URL, "eventTypes": ["prediction.failed"]}
    assert (await api.post(PATH, json=body)).status_code == 403
    assert (await api.get(PATH)).status_code == (200 if kind == "member" else 403)


async def told(pool: asyncpg.Pool) -> list[str]:
    rows = await pool.fetch("SELECT event_type FROM webhook_delivery ORDER BY created_time, id")
    return [row["event_type"] for row in rows]


async def test_the_cancellation_of_a_training_is_an_event(
    api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool
) -> None:
    await create(api, eventTypes=list(EVENT_TYPES))
    model_id = await seed_model(pool, organization.organization_id)
    training_id = await seed_training(
        pool, organization.organization_id, model_id, status="waiting-for-approval"
    )
    path = f"/v1/models/{model_id}/trainings/{training_id}"
    assert (await api.patch(path, json={"status": "cancelled"})).status_code == 200
    assert (await api.patch(path, json={"status": "cancelled"})).status_code == 400
    assert await told(pool) == ["training.cancelled"]


@pytest.mark.parametrize(
    ("states", "event_type"),
    [
        ({"A": {"Type": "Succeed"}}, "workflowExecution.succeeded"),
        ({"A": {"Type": "Fail", "Error": "E", "Cause": "c"}}, "workflowExecution.failed"),
    ],
)
async def test_the_ends_of_executions_are_events(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, states: dict[str, Any], event_type: str
) -> None:
    await create(api, eventTypes=list(EVENT_TYPES))
    definition = {"StartAt": "A", "States": states}
    workflow = (await api.post("/v1/workflows", json={"specification": {"definition": definition}})).json()
    path = f"/v1/workflows/{workflow['workflowId']}/executions"
    execution = (await api.post(path, json={"input": {}})).json()
    assert await told(pool) == [event_type]
    body = await pool.fetchval("SELECT body FROM webhook_delivery")
    assert execution["executionId"] in body
    assert workflow["workflowId"] in body

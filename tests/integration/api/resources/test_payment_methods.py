"""Payment methods through HTTP, without Stripe."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.queries import statements_run
from tests.support.tenants import Tenant


async def create(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post("/v1/paymentMethods", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_created_payment_method(api: httpx.AsyncClient, organization: Tenant) -> None:
    method = await create(api, name="Card", description=None)
    assert method == {
        "paymentMethodId": method["paymentMethodId"],
        "name": "Card",
        "description": None,
        "details": None,
        "stripePublishableKey": "manual",
        "stripeSetupIntentSecret": f"manual_{method['paymentMethodId'].rsplit(':', 1)[1]}",
        "createdTime": method["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    shown = {**method, "stripeSetupIntentSecret": None}
    assert (await api.get(f"/v1/paymentMethods/{method['paymentMethodId']}")).json() == shown
    assert (await api.get("/v1/paymentMethods")).json() == {"paymentMethods": [shown], "nextToken": None}


async def test_the_secret_completes_it(api: httpx.AsyncClient, organization: Tenant) -> None:
    method = await create(api, name="Card", description="of Ann")
    path = f"/v1/paymentMethods/{method['paymentMethodId']}"
    renamed = (await api.patch(path, json={"name": None})).json()
    assert (renamed["name"], renamed["description"], renamed["details"]) == (None, "of Ann", None)
    for _ in range(2):
        completed = (
            await api.patch(path, json={"stripeSetupIntentSecret": method["stripeSetupIntentSecret"]})
        ).json()
        assert completed == {
            **method,
            "name": None,
            "details": {"type": "manual"},
            "stripeSetupIntentSecret": None,
            "updatedTime": completed["updatedTime"],
            "updatedBy": organization.app_client_id,
        }
    assert (await api.get(path)).json() == completed


async def test_another_secret_completes_nothing(api: httpx.AsyncClient) -> None:
    first, second = await create(api), await create(api)
    path = f"/v1/paymentMethods/{first['paymentMethodId']}"
    for secret in (second["stripeSetupIntentSecret"], "manual", "é"):
        refused = await api.patch(path, json={"stripeSetupIntentSecret": secret, "name": "Mine"})
        assert refused.status_code == 400
        assert "stripeSetupIntentSecret" in refused.json()["message"]
        assert secret not in refused.json()["message"].replace("stripeSetupIntentSecret", "")
    assert (await api.get(path)).json() == {**first, "stripeSetupIntentSecret": None}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"name": 1}, "name"),
        ({"name": "x" * 4097}, "name"),
        ({"description": "a\0b"}, "U+0000"),
        ({"details": {}}, "details"),
        ({"stripePublishableKey": "x"}, "stripePublishableKey"),
    ],
)
async def test_bad_members_are_named(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    method = await create(api)
    for response in (
        await api.post("/v1/paymentMethods", json=body),
        await api.patch(f"/v1/paymentMethods/{method['paymentMethodId']}", json=body),
    ):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert len((await api.get("/v1/paymentMethods")).json()["paymentMethods"]) == 1


@pytest.mark.parametrize(
    "body", [{}, {"stripeSetupIntentSecret": ""}, {"stripeSetupIntentSecret": None}], ids=str
)
async def test_changes_that_change_nothing(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    method = await create(api)
    path = f"/v1/paymentMethods/{method['paymentMethodId']}"
    assert (await api.patch(path, json=body)).status_code == 400
    assert (await api.post("/v1/paymentMethods", json={"stripeSetupIntentSecret": "x"})).status_code == 400


async def test_the_organization_pays_with_its_own(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, organization: Tenant
) -> None:
    method_id, theirs = (await create(api))["paymentMethodId"], (await create(other_api))["paymentMethodId"]
    chosen = (await api.patch("/v1/organizations/me", json={"paymentMethodId": method_id})).json()
    assert (chosen["paymentMethodId"], chosen["updatedBy"]) == (method_id, organization.app_client_id)
    for unknown in (theirs, f"las:payment-method:{'0' * 32}", f"{method_id}\n", "x"):
        refused = await api.patch(
            "/v1/organizations/me", json={"paymentMethodId": unknown, "name": "changed"}
        )
        assert refused.status_code == 400
        assert "paymentMethodId" in refused.json()["message"]
    assert (await api.get("/v1/organizations/me")).json() == chosen

    refused = await api.delete(f"/v1/paymentMethods/{method_id}")
    assert refused.status_code == 400
    assert method_id in refused.json()["message"]
    cleared = (await api.patch("/v1/organizations/me", json={"paymentMethodId": None})).json()
    assert cleared["paymentMethodId"] is None
    assert (await api.delete(f"/v1/paymentMethods/{method_id}")).json()["paymentMethodId"] == method_id
    assert (await api.get(f"/v1/paymentMethods/{method_id}")).status_code == 404


async def test_none_is_chosen_while_it_is_deleted(api: httpx.AsyncClient) -> None:
    for _ in range(5):
        method_id = (await create(api))["paymentMethodId"]
        chosen, deleted = await asyncio.gather(
            api.patch("/v1/organizations/me", json={"paymentMethodId": method_id}),
            api.delete(f"/v1/paymentMethods/{method_id}"),
        )
        assert (chosen.status_code, deleted.status_code) in {(200, 400), (400, 200)}


async def test_concurrent_deletes(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    path = f"/v1/paymentMethods/{(await create(api))['paymentMethodId']}"
    answers = await asyncio.gather(*(api.delete(path) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404]
    assert await pool.fetchval("SELECT count(*) FROM payment_method") == 0


async def test_paging(api: httpx.AsyncClient) -> None:
    ids = [(await create(api))["paymentMethodId"] for _ in range(5)]
    first = (await api.get("/v1/paymentMethods", params={"maxResults": "2"})).json()
    assert [method["paymentMethodId"] for method in first["paymentMethods"]] == ids[:2]
    await api.delete(f"/v1/paymentMethods/{ids[1]}")
    rest = (await api.get("/v1/paymentMethods", params={"nextToken": first["nextToken"]})).json()
    assert [method["paymentMethodId"] for method in rest["paymentMethods"]] == ids[2:]
    assert rest["nextToken"] is None
    assert (await api.get("/v1/paymentMethods", params={"nextToken": "foo"})).status_code == 400


async def test_a_list_runs_one_statement(api: httpx.AsyncClient) -> None:
    for _ in range(3):
        await create(api)
    with statements_run() as names:
        await api.get("/v1/paymentMethods")
    assert names == ["principals.find_principal", "payment_methods.list_payment_methods"]

"""Organizations and plans through HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from db.plans import upsert_plan
from pagemill.ids import OrganizationId, PlanId
from tests.support.queries import statements_run
from tests.support.tenants import Tenant

COUNTERS = {
    "monthlyNumberOf{}Created": (
        "Documents",
        "Predictions",
        "DataBundles",
        "Trainings",
        "Transformations",
        "WorkflowExecutions",
        "TransitionExecutions",
    ),
    "numberOf{}Created": (
        "AppClients",
        "Assets",
        "Datasets",
        "Models",
        "Secrets",
        "Transitions",
        "Users",
        "Workflows",
    ),
    "monthlyNumberOf{}Used": (
        "ActiveModels",
        "FieldPredictions",
        "GpuHours",
        "ModelDeploymentUnits",
        "PagePredictions",
        "ProductionWorkflowMinutes",
        "UserMinutes",
    ),
}
LIMITS = {
    *(f"monthlyNumberOf{name}Allowed" for name in COUNTERS["monthlyNumberOf{}Created"]),
    *(f"numberOf{name}Allowed" for name in COUNTERS["numberOf{}Created"]),
    "monthlyNumberOfPagePredictionsAllowed",
    "monthlyNumberOfFieldPredictionsAllowed",
}
KEYS = {
    *(template.format(name) for template, names in COUNTERS.items() for name in names),
    *LIMITS,
    "organizationId",
    "name",
    "description",
    "planId",
    "paymentMethodId",
    "documentRetentionInDays",
    "clientId",
    "createdTime",
    "updatedTime",
    "updatedBy",
    "monthlyUsageSummary",
}


async def add_plan(
    pool: asyncpg.Pool, slug: str, version: int, *, owner: str | None = None, available: bool = True
) -> str:
    plan_id = f"las:plan:{slug}:{version}"
    definition = {"pagePredictions": {"price": 1.5, "included": 1000}}
    async with pool.acquire() as connection:
        await upsert_plan(
            connection,
            plan_id=PlanId(plan_id),
            slug=f"las:plan:{slug}",
            version=version,
            organization_id=None if owner is None else OrganizationId(owner),
            name=slug,
            description=None,
            available=available,
            currency="EUR",
            limited_by="pages",
            definition=definition,
            allowed={"documents": 5},
        )
    return plan_id


async def test_own_organization_with_all_counters(api: httpx.AsyncClient, organization: Tenant) -> None:
    own = (await api.get("/v1/organizations/me")).json()
    assert set(own) == KEYS
    assert own["organizationId"] == organization.organization_id
    assert own["planId"] == organization.plan_id
    assert {own[name] for name in LIMITS} == {2_000_000_000}
    assert own["monthlyUsageSummary"] == {"trainingsCreated": 0}
    assert (await api.get(f"/v1/organizations/{organization.organization_id}")).json() == own
    assert (await api.get("/v1/organizations")).json() == {"organizations": [own], "nextToken": None}


async def test_counters_are_live(limited_api: httpx.AsyncClient) -> None:
    await limited_api.post("/v1/documents", json={})
    await limited_api.post("/v1/datasets", json={})
    own = (await limited_api.get("/v1/organizations/me")).json()
    for name in ("monthlyNumberOfDocuments", "numberOfDatasets"):
        assert (own[f"{name}Created"], own[f"{name}Allowed"]) == (1, 1)
    assert own["numberOfModelsCreated"] == 0


async def test_reading_runs_a_fixed_number_of_statements(api: httpx.AsyncClient) -> None:
    with statements_run() as names:
        await api.get("/v1/organizations/me")
    assert len(names) == 4


async def test_update(api: httpx.AsyncClient, organization: Tenant, pool: asyncpg.Pool) -> None:
    plan_id = await add_plan(pool, "pro", 2)
    body = {"name": "Acme", "description": "Paper", "planId": "las:plan:pro:@latest"}
    updated = (await api.patch("/v1/organizations/me", json=body)).json()
    assert (updated["name"], updated["description"], updated["planId"]) == ("Acme", "Paper", plan_id)
    assert updated["updatedBy"] == organization.app_client_id
    assert updated["monthlyNumberOfDocumentsAllowed"] == 5
    cleared = (await api.patch("/v1/organizations/me", json={"name": None, "paymentMethodId": None})).json()
    assert (cleared["name"], cleared["description"], cleared["planId"]) == (None, "Paper", plan_id)


async def test_bad_updates(api: httpx.AsyncClient, other_organization: Tenant, pool: asyncpg.Pool) -> None:
    before = (await api.get("/v1/organizations/me")).json()
    theirs = await add_plan(pool, "theirs", 1, owner=other_organization.organization_id)
    gone = await add_plan(pool, "gone", 1, available=False)
    bodies: list[dict[str, Any]] = [
        {},
        {"planId": None},
        {"planId": "pro"},
        {"planId": "las:plan:unknown"},
        {"planId": theirs},
        {"planId": gone},
        {"documentRetentionInDays": 5},
        {"numberOfDatasetsAllowed": 5},
        {"paymentMethodId": f"las:payment-method:{'0' * 32}"},
    ]
    for body in bodies:
        response = await api.patch("/v1/organizations/me", json=body)
        assert response.status_code == 400, body
        assert all(name in response.json()["message"] for name in body)
    assert (await api.get("/v1/organizations/me")).json() == before


async def test_plan_by_version(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    await add_plan(pool, "pro", 1)
    newest = await add_plan(pool, "pro", 2)
    first = (await api.get("/v1/plans/las:plan:pro:1")).json()
    assert first == {
        "planId": "las:plan:pro:1",
        "name": "pro",
        "description": None,
        "organizationId": None,
        "available": True,
        "currency": "EUR",
        "latest": 2,
        "activeModels": None,
        "fieldPredictions": None,
        "flows": None,
        "gpuHours": None,
        "license": None,
        "modelDeploymentUnits": None,
        "pagePredictions": {"price": 1.5, "included": 1000},
        "productionWorkflowMinutes": None,
        "userMinutes": None,
        "users": None,
    }
    for identifier in ("las:plan:pro", "las:plan:pro:@latest", "las:plan:pro:2"):
        assert (await api.get(f"/v1/plans/{identifier}")).json()["planId"] == newest
    for identifier in ("las:plan:pro:3", "las:plan:pro:@other", "las:plan:unknown", "pro"):
        response = await api.get(f"/v1/plans/{identifier}")
        assert response.status_code == 404
        assert identifier in response.json()["message"]


async def test_plan_with_its_owner_in_front(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    plan_id = await add_plan(pool, "own", 1, owner=organization.organization_id)
    reference = f"{organization.organization_id}/{plan_id}"
    for path in (plan_id, reference, quote(reference, safe="")):
        assert (await api.get(f"/v1/plans/{path}")).json()["planId"] == plan_id
        assert (await other_api.get(f"/v1/plans/{path}")).status_code == 404
    assert (await api.get(f"/v1/plans/las:organization:other/{plan_id}")).status_code == 404


async def test_list_of_plans(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    await add_plan(pool, "a", 1)
    newest = await add_plan(pool, "a", 2)
    own = await add_plan(pool, "b", 1, owner=organization.organization_id)
    theirs = await add_plan(pool, "c", 1, owner=other_organization.organization_id)
    listed = (await api.get("/v1/plans")).json()
    ids = [plan["planId"] for plan in listed["plans"]]
    assert {newest, own} <= set(ids)
    assert not {"las:plan:a:1", theirs} & set(ids)
    assert listed["nextToken"] is None
    mine = (await api.get("/v1/plans", params={"owner": ["me", other_organization.organization_id]})).json()
    assert [plan["planId"] for plan in mine["plans"]] == [own]
    paged: list[str] = []
    token: str | None = ""
    while token is not None:
        page = (await api.get("/v1/plans", params={"maxResults": "1", "nextToken": token})).json()
        paged += [plan["planId"] for plan in page["plans"]]
        token = page["nextToken"]
    assert paged == ids


@pytest.mark.parametrize("count", ["1", "3"])
async def test_plans_run_one_statement(api: httpx.AsyncClient, pool: asyncpg.Pool, count: str) -> None:
    for number in range(int(count)):
        await add_plan(pool, f"p{number}", 1)
    with statements_run() as names:
        await api.get("/v1/plans")
    assert names == ["principals.find_principal", "plans.list_plans"]


async def test_a_version_that_is_anothers_is_not_the_latest(
    api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant
) -> None:
    plan_id = await add_plan(pool, "pro", 1)
    await add_plan(pool, "pro", 2, owner=other_organization.organization_id)
    assert plan_id in {plan["planId"] for plan in (await api.get("/v1/plans")).json()["plans"]}
    for identifier in ("las:plan:pro", "las:plan:pro:@latest", plan_id):
        plan = (await api.get(f"/v1/plans/{identifier}")).json()
        assert (plan["planId"], plan["latest"]) == (plan_id, 1)
    assert (await api.get("/v1/plans/las:plan:pro:2")).status_code == 404

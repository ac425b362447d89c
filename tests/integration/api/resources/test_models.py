"""Models through HTTP."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.work.data_bundles import DATA_BUNDLE
from tests.support.seeds import claim_job, jobs_of, seed_data_bundle, seed_dataset, seed_training, used
from tests.support.tenants import Tenant

UNKNOWN = "las:model:unknown"
FIELDS = {"total": {"type": "amount"}, "lines": {"type": "lines", "fields": {"qty": {"type": "numeric"}}}}
DEFAULTS = {"imageQuality": "LOW", "autoRotate": False, "maxPages": 1}
KEYS = {
    "createdBy",
    "createdTime",
    "description",
    "fieldConfig",
    "metadata",
    "modelId",
    "name",
    "numberOfDataBundles",
    "numberOfRunningTrainings",
    "organizationId",
    "postprocessConfig",
    "preprocessConfig",
    "statistics",
    "status",
    "trainingId",
    "updatedBy",
    "updatedTime",
    "version",
}


async def create(api: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    response = await api.post("/v1/models", json={"fieldConfig": FIELDS, **members})
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models"),
        ("GET", "/v1/models"),
        ("GET", f"/v1/models/{UNKNOWN}"),
        ("PATCH", f"/v1/models/{UNKNOWN}"),
        ("DELETE", f"/v1/models/{UNKNOWN}"),
    ],
)
async def test_anonymous_is_refused(anonymous: httpx.AsyncClient, method: str, path: str) -> None:
    response = await anonymous.request(method, path, json={} if method in ("POST", "PATCH") else None)
    assert (response.status_code, response.json()) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_foreign_model_is_answered_like_an_unknown_one(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, other_organization: Tenant, method: str
) -> None:
    model_id = (await create(other_api))["modelId"]
    body = {"name": "mine"} if method == "PATCH" else None
    unknown = await api.request(method, f"/v1/models/{UNKNOWN}", json=body)
    for path in (model_id, f"{other_organization.organization_id}/{model_id}"):
        foreign = await api.request(method, f"/v1/models/{path}", json=body)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content.replace(UNKNOWN.encode(), model_id.encode())
    assert (await other_api.get(f"/v1/models/{model_id}")).json()["name"] is None


async def test_new_model_has_the_documented_defaults(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    model = await create(api, name=None, description=None)
    assert set(model) == KEYS
    assert model["fieldConfig"] == FIELDS
    assert model["preprocessConfig"] == DEFAULTS
    assert model["postprocessConfig"] == {"strategy": "BEST_FIRST"}
    assert model["status"] == "inactive"
    assert model["metadata"] == {}
    assert (model["trainingId"], model["statistics"], model["updatedTime"]) == (None, None, None)
    assert (model["version"], model["numberOfDataBundles"], model["numberOfRunningTrainings"]) == (0, 0, 0)
    assert model["organizationId"] == organization.organization_id
    assert model["createdBy"] == organization.app_client_id
    assert (await api.get(f"/v1/models/{model['modelId']}")).json() == model
    assert await used(pool, organization.organization_id, "models") == 1


async def test_configs_are_merged_with_defaults(api: httpx.AsyncClient) -> None:
    postprocess = {"strategy": "BEST_N_PAGES", "parameters": {"n": 3, "collapse": True}, "outputFormat": "v2"}
    model = await create(
        api, preprocessConfig={"maxPages": 5}, postprocessConfig=postprocess, metadata={"a": {"b": None}}
    )
    assert model["preprocessConfig"] == {**DEFAULTS, "maxPages": 5}
    assert model["postprocessConfig"] == postprocess
    assert model["metadata"] == {"a": {"b": None}}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "fieldConfig"),
        ({"fieldConfig": None}, "fieldConfig"),
        ({"fieldConfig": {"total": {"type": "phone"}}}, "fieldConfig.total"),
        ({"fieldConfig": {}, "preprocessConfig": {}}, "preprocessConfig"),
        ({"fieldConfig": {}, "preprocessConfig": None}, "preprocessConfig"),
        ({"fieldConfig": {}, "preprocessConfig": {"width": 1}}, "width"),
        ({"fieldConfig": {}, "postprocessConfig": {"strategy": "BEST"}}, "BEST"),
        ({"fieldConfig": {}, "status": "active"}, "status"),
        ({"fieldConfig": {}, "name": "n" * 4097}, "name"),
        ({"fieldConfig": {}, "preprocessConfig": {"maxPages": "3"}}, "maxPages"),
        ({"fieldConfig": {}, "metadata": {"a": "x" * 5000}}, "metadata"),
    ],
)
async def test_bad_model_is_refused_and_nothing_is_stored(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any], named: str
) -> None:
    response = await api.post("/v1/models", json=body)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert (await api.get("/v1/models")).json() == {"models": [], "nextToken": None}
    assert await used(pool, organization.organization_id, "models") == 0


async def test_the_plan_limits_models(limited_api: httpx.AsyncClient) -> None:
    """The plan of this organization allows one of everything."""
    await create(limited_api)
    response = await limited_api.post("/v1/models", json={"fieldConfig": FIELDS})
    assert response.status_code == 429
    assert response.json()["message"] == "Limit Exceeded"
    assert len((await limited_api.get("/v1/models")).json()["models"]) == 1


async def test_list_pages_survive_inserts_and_deletes(api: httpx.AsyncClient) -> None:
    created = [(await create(api, name=str(index)))["modelId"] for index in range(5)]
    first = (await api.get("/v1/models", params={"maxResults": 2})).json()
    assert [model["modelId"] for model in first["models"]] == created[:2]
    await api.delete(f"/v1/models/{created[1]}")
    rest, token = [], first["nextToken"]
    while token:
        page = (await api.get("/v1/models", params={"maxResults": 2, "nextToken": token})).json()
        rest += [model["modelId"] for model in page["models"]]
        token = page["nextToken"]
    assert rest == created[2:]


async def test_models_are_listed_by_owner(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, organization: Tenant, other_organization: Tenant
) -> None:
    own = (await create(api))["modelId"]
    await create(other_api)

    async def listed(*owners: str) -> list[str]:
        response = await api.get("/v1/models", params=[("owner", owner) for owner in owners])
        return [model["modelId"] for model in response.json()["models"]]

    assert await listed() == [own]
    assert await listed(organization.organization_id) == [own]
    assert await listed(other_organization.organization_id, organization.organization_id) == [own]
    assert await listed(other_organization.organization_id) == []
    assert await listed("las:organization:cradl") == []


@pytest.mark.parametrize("separator", ["/", "%2F"])
async def test_own_model_is_found_by_its_composite_id(
    api: httpx.AsyncClient, organization: Tenant, separator: str
) -> None:
    model_id = (await create(api))["modelId"]
    path = f"/v1/models/{organization.organization_id}{separator}{model_id}"
    assert (await api.get(path)).json()["modelId"] == model_id
    assert (await api.patch(path, json={"name": "new"})).json()["name"] == "new"
    assert (await api.get(f"{path}/trainings")).status_code == 200
    assert (await api.get(f"{path}/dataBundles/")).status_code == 200
    assert (await api.delete(path)).json()["modelId"] == model_id
    assert (await api.get(path)).status_code == 404


async def test_the_order_of_fields_is_kept(api: httpx.AsyncClient) -> None:
    """People see forms made of them: neither shorter labels nor lower letters come first."""
    labels = ["supplier_name", "total", "Date", "a", "line_items", "b-2", "vat"]
    field_config: dict[str, Any] = {
        label: {"strict": True, "type": "string", "description": "d"} for label in labels
    }
    columns = {"quantity": {"type": "numeric"}, "text": {"type": "string"}, "a": {"type": "amount"}}
    field_config["line_items"] = {"type": "lines", "fields": columns}
    model = await create(api, fieldConfig=field_config)
    path = f"/v1/models/{model['modelId']}"
    reversed_config = dict(reversed(field_config.items()))

    def order(shown: dict[str, Any]) -> list[Any]:
        return [(label, list(field), list(field.get("fields", {}))) for label, field in shown.items()]

    listed = (await api.get("/v1/models")).json()["models"][0]
    for shown in (model, (await api.get(path)).json(), listed):
        assert order(shown["fieldConfig"]) == order(field_config)
    updated = (await api.patch(path, json={"fieldConfig": reversed_config})).json()
    assert order(updated["fieldConfig"]) == order(reversed_config)
    assert order((await api.get(path)).json()["fieldConfig"]) == order(reversed_config)


async def test_update_keeps_members_that_are_not_sent(api: httpx.AsyncClient, organization: Tenant) -> None:
    model = await create(api, name="a", description="b", metadata={"k": 1}, preprocessConfig={"maxPages": 2})
    path = f"/v1/models/{model['modelId']}"
    updated = (await api.patch(path, json={"name": None})).json()
    assert updated == {
        **model,
        "name": None,
        "updatedTime": updated["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    assert updated["updatedTime"] is not None
    cleared = (await api.patch(path, json={"metadata": None, "preprocessConfig": {"rotation": 90}})).json()
    assert cleared["metadata"] == {}
    assert cleared["preprocessConfig"] == {**DEFAULTS, "rotation": 90}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"fieldConfig": None},
        {"fieldConfig": {"a b": {"type": "string"}}},
        {"preprocessConfig": None},
        {"postprocessConfig": None},
        {"status": "active"},
        {"trainingId": "las:model-training:unknown"},
        {"trainingId": "unknown"},
    ],
)
async def test_bad_update_changes_nothing(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    model = await create(api)
    path = f"/v1/models/{model['modelId']}"
    assert (await api.patch(path, json=body)).status_code == 400
    assert (await api.get(path)).json() == model


async def test_version_grows_with_field_config_and_training(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    model_id = (await create(api))["modelId"]
    training_id = await seed_training(pool, organization.organization_id, model_id)
    versions = []
    for body in (
        {"name": "x"},
        {"fieldConfig": FIELDS},
        {"fieldConfig": {"total": {"type": "string"}}},
        {"trainingId": training_id},
        {"trainingId": training_id},
        {"trainingId": None},
    ):
        versions.append((await api.patch(f"/v1/models/{model_id}", json=body)).json()["version"])
    assert versions == [0, 0, 1, 2, 2, 3]


async def test_succeeded_training_activates_and_null_deactivates(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    model_id = (await create(api))["modelId"]
    training_id = await seed_training(pool, organization.organization_id, model_id)
    active = (await api.patch(f"/v1/models/{model_id}", json={"trainingId": training_id})).json()
    assert (active["status"], active["trainingId"]) == ("active", training_id)
    inactive = (await api.patch(f"/v1/models/{model_id}", json={"trainingId": None})).json()
    assert (inactive["status"], inactive["trainingId"]) == ("inactive", None)


async def test_other_trainings_do_not_activate(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    model_id, other_model_id = (await create(api))["modelId"], (await create(api))["modelId"]
    running = await seed_training(pool, organization.organization_id, model_id, status="running")
    of_other_model = await seed_training(pool, organization.organization_id, other_model_id)
    for training_id in (running, of_other_model):
        response = await api.patch(f"/v1/models/{model_id}", json={"trainingId": training_id})
        assert response.status_code == 400
        assert response.json()["message"] == "trainingId: must be a succeeded training of this model"


async def test_counts_of_bundles_and_running_trainings(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    model_id = (await create(api))["modelId"]
    await seed_data_bundle(pool, organization.organization_id, model_id)
    for status in ("waiting-for-approval", "pending", "running", "succeeded", "failed", "cancelled"):
        await seed_training(pool, organization.organization_id, model_id, status=status)
    model = (await api.get(f"/v1/models/{model_id}")).json()
    assert (model["numberOfDataBundles"], model["numberOfRunningTrainings"]) == (1, 3)


async def test_delete_cancels_jobs_and_deletes_bundles_and_trainings(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    model_id = (await create(api))["modelId"]
    dataset_id = await seed_dataset(pool, organization.organization_id)
    bundles = f"/v1/models/{model_id}/dataBundles"
    running = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()["dataBundleId"]
    await claim_job(pool, DATA_BUNDLE)
    queued = (await api.post(bundles, json={"datasetIds": [dataset_id]})).json()["dataBundleId"]
    training_id = await seed_training(pool, organization.organization_id, model_id)
    deleted = await api.delete(f"/v1/models/{model_id}")
    assert deleted.status_code == 200
    assert deleted.json()["numberOfDataBundles"] == 2
    for path in ("", "/dataBundles", f"/dataBundles/{running}", f"/trainings/{training_id}"):
        assert (await api.get(f"/v1/models/{model_id}{path}")).status_code == 404
    assert [job["cancel_requested"] for job in await jobs_of(pool, running)] == [True]
    assert [job["state"] for job in await jobs_of(pool, queued)] == ["cancelled"]
    assert await used(pool, organization.organization_id, "models") == 0


@pytest.mark.parametrize("members", [{"name": "a\0b"}, {"metadata": {"k": "a\0b"}}])
async def test_text_that_cannot_be_stored_is_the_callers_mistake(
    api: httpx.AsyncClient, members: dict[str, Any]
) -> None:
    response = await api.post("/v1/models", json={"fieldConfig": FIELDS, **members})
    assert response.status_code == 400


async def test_id_that_cannot_be_stored_is_unknown(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/models/las:model:a%00b")).status_code in (400, 404)
    assert (await api.get("/v1/predictions", params={"modelId": "a\0b"})).status_code in (200, 400)

"""The examples of the API document are what the API really takes and answers.

All operations are called, and the calls, with settled ids and times, have to be the examples. After a change
of the API, ``make api-examples`` records the examples again: look at what has changed, then commit it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from jsonschema import Draft202012Validator
from litestar import Litestar

import pagemill.api.openapi
from pagemill.api.openapi.examples import read_examples
from pagemill.ids import WebhookAttemptId, new_id
from pagemill.jobs import outcomes
from pagemill.jobs.kind import AnyKind
from pagemill.settings import Settings
from pagemill.stack.bootstrap import seed_roles
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.predictions import PREDICTION
from pagemill.work.trainings import TRAINING
from pagemill.work.transformations import TRANSFORMATION
from tests.integration.api.conftest import client_of
from tests.support.everything import insert
from tests.support.example_calls import documents, models, people, workflows
from tests.support.example_calls.recorder import Recorder, operations_of
from tests.support.example_calls.results import data_bundle_result, prediction_result, training_result
from tests.support.example_calls.settled import CLIENT_SECRET, settled
from tests.support.people import Person, add_user
from tests.support.seeds import claim_job
from tests.support.tenants import Tenant, create_tenant

DIRECTORY = Path(pagemill.api.openapi.__file__).parent / "examples"
RECORDING = os.environ.get("PAGEMILL_RECORD_EXAMPLES") == "1"
ALLOWED = {
    "documents": 100_000,
    "predictions": 10_000,
    "pages": 20_000,
    "fields": 200_000,
    "data-bundles": 50,
    "trainings": 20,
    "transformations": 100,
    "workflow-executions": 5_000,
    "transition-executions": 20_000,
    "app-clients": 10,
    "assets": 50,
    "datasets": 15,
    "models": 10,
    "secrets": 20,
    "transitions": 40,
    "users": 50,
    "workflows": 10,
}


@pytest.fixture
async def tenant(pool: asyncpg.Pool) -> Tenant:
    """An organization with the limits of a usual plan, a price list, and the roles."""
    async with pool.acquire() as connection:
        await seed_roles(connection)
        tenant = await create_tenant(connection, allowed=ALLOWED)
    prices = {"pagePredictions": {"price": 0.02, "unitSize": 1, "included": 1000}, "users": {"included": 5}}
    await pool.execute("UPDATE plan SET definition = $2 WHERE id = $1", tenant.plan_id, prices)
    return tenant


@pytest.fixture
async def person(pool: asyncpg.Pool, tenant: Tenant) -> Person:
    async with pool.acquire() as connection:
        return await add_user(connection, tenant.organization_id)


@pytest.fixture
def settings(settings: Settings, tenant: Tenant) -> Settings:
    """New organizations have the same plan."""
    slug = tenant.plan_id.rpartition(":")[0]
    return msgspec.structs.replace(settings, new_organization_plan=slug, prediction_wait=30.0)


@pytest.fixture
async def recorder(
    app: Litestar, settings: Settings, tenant: Tenant, person: Person
) -> AsyncIterator[Recorder]:
    async with (
        client_of(app, settings, tenant) as app_client,
        client_of(app, settings, tenant, person.user_id) as user,
        client_of(app, settings, None) as anonymous,
    ):
        yield Recorder(operations_of(app.openapi_schema.to_schema()), app_client, user, anonymous)


class Worker:
    """Ends jobs as workers do."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def end(self, kind: AnyKind, result: object) -> None:
        """Claim the next job of a kind and end it with a result."""
        job = await claim_job(self._pool, kind)
        async with self._pool.acquire() as connection:
            assert await outcomes.finish(connection, kind, job, result)


async def call_everything(recorder: Recorder, pool: asyncpg.Pool, tenant: Tenant, person: Person) -> None:
    """Call all operations, in an order in which each has what it needs."""
    worker = Worker(pool)
    deployment_environment_id = "las:deployment-environment:self-hosted"
    await insert(
        pool,
        "deployment_environment",
        id=deployment_environment_id,
        name="Self-hosted",
        description="The machines of this installation",
        model_deployment_units=2,
    )
    await people.get_tokens(recorder, tenant)
    public_app_client_id = await people.manage_app_clients(recorder)
    await people.manage_users(recorder, person, public_app_client_id)
    await people.manage_profiles(recorder)
    await people.read_roles(recorder)
    await people.read_deployment_environments(recorder, deployment_environment_id)
    webhook_id = await workflows.create_webhook(recorder)
    model_id = await models.create_model(recorder)
    dataset_id = await documents.manage_datasets(recorder)
    document_id = await documents.manage_documents(recorder, dataset_id)
    await documents.transform(recorder, dataset_id, lambda: worker.end(TRANSFORMATION, None))
    data_bundle_id = await models.bundle(
        recorder, model_id, dataset_id, lambda: worker.end(DATA_BUNDLE, data_bundle_result())
    )
    training_id = await models.train(
        recorder,
        model_id,
        data_bundle_id,
        deployment_environment_id,
        lambda: worker.end(TRAINING, training_result()),
    )
    await models.manage_models(recorder, model_id, training_id)
    await models.predict(
        recorder,
        document_id,
        model_id,
        lambda: asyncio.create_task(worker.end(PREDICTION, prediction_result())),
    )
    await fail_delivery(pool, tenant, webhook_id)
    await workflows.manage_webhooks(recorder, webhook_id)
    asset_id = await workflows.manage_assets(recorder)
    secret_id = await workflows.manage_secrets(recorder)
    check, book = await workflows.manage_transitions(recorder, asset_id, secret_id)
    workflow_id = await workflows.manage_workflows(recorder, check, book, secret_id)
    await people.manage_organizations(recorder, tenant.plan_id)
    await workflows.execute(recorder, workflow_id, check, document_id)


async def fail_delivery(pool: asyncpg.Pool, tenant: Tenant, webhook_id: str) -> None:
    """Keep an attempt to deliver the event of the prediction."""
    delivery_id = await pool.fetchval("SELECT id FROM webhook_delivery WHERE webhook_id = $1", webhook_id)
    await insert(
        pool,
        "webhook_attempt",
        id=new_id(WebhookAttemptId),
        organization_id=tenant.organization_id,
        webhook_id=webhook_id,
        delivery_id=delivery_id,
        job_id="job",
        status_code=500,
        error="answered 500",
    )


async def test_the_examples_are_what_the_api_takes_and_answers(
    recorder: Recorder, pool: asyncpg.Pool, tenant: Tenant, person: Person
) -> None:
    await call_everything(recorder, pool, tenant, person)
    assert set(recorder.operations) == set(recorder.examples)
    names = {
        tenant.organization_id: "las:organization:nordic-coffee",
        tenant.plan_id.rpartition(":")[0]: "las:plan:standard",
        tenant.app_client_id: "las:app-client:default",
        tenant.client_id: "7c9e6679e4b04f5d8a3b2c1d0e9f8a7b",
        tenant.client_secret: CLIENT_SECRET,
        person.email: "ada.lovelace@example.com",
        "Test organization": "Nordic Coffee",
        "Test plan": "Standard",
        "Test client": "Default",
    }
    recorded = settled(recorder.examples, names)
    if RECORDING:
        write(recorded, recorder)
    assert recorded == msgspec.to_builtins(read_examples())


def write(recorded: dict[str, Any], recorder: Recorder) -> None:
    """Write the examples, a file for each tag."""
    by_tag: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for operation_id, operation in recorder.operations.items():
        by_tag[operation.tag][operation_id] = recorded[operation_id]
    for old in DIRECTORY.glob("*.json"):
        old.unlink()
    for tag, examples in by_tag.items():
        path = DIRECTORY / f"{tag.lower().replace(' ', '_')}.json"
        path.write_text(json.dumps(examples, indent=2, ensure_ascii=False) + "\n")


async def test_the_examples_follow_the_schemas(app: Litestar) -> None:
    document = app.openapi_schema.to_schema()
    checked = 0
    for item in document["paths"].values():
        for operation in item.values():
            contents = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (one for each in contents for one in each.get("content", {}).values()):
                if "example" in content:
                    schema = {**content["schema"], "components": document["components"]}
                    Draft202012Validator(schema).validate(content["example"])
                    checked += 1
    assert checked > 120

"""One resource of every kind in an organization, by the API's name of its id."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

import asyncpg

from db.statements import Connection
from db.tables import ALL_TABLES
from pagemill.ids import (
    AssetId,
    ConsentId,
    DataBundleId,
    DatasetId,
    DocumentId,
    LogId,
    ModelId,
    PaymentMethodId,
    PredictionId,
    SecretId,
    TrainingId,
    TransformationId,
    TransitionExecutionId,
    TransitionId,
    WebhookId,
    WorkflowExecutionId,
    WorkflowId,
    new_id,
)
from tests.support.people import add_user
from tests.support.seeds import bundled_dataset
from tests.support.tenants import Tenant

FIELD_CONFIG = {"total": {"type": "amount"}}
DEFINITION = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}

# Parameters and members that are named otherwise than what they name.
KINDS = {
    "lambdaId": None,
    "owner": "organizationId",
    "ownerId": "organizationId",
    "principalId": "userId",
    "resourceId": "documentId",
}

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/appClients"): {},
    ("PATCH", "/appClients/{appClientId}"): {"name": "mine"},
    ("POST", "/assets"): {"content": "e30="},
    ("POST", "/models/{modelId}/trainings"): {"dataBundleIds": ["dataBundleId"]},
    ("POST", "/models"): {"fieldConfig": FIELD_CONFIG},
    ("POST", "/predictions"): {"documentId": "documentId", "modelId": "modelId"},
    ("POST", "/secrets"): {"data": {}},
    ("POST", "/transitions"): {"transitionType": "docker", "parameters": {"imageUrl": "image"}},
    ("POST", "/users"): {"email": "new@example.com", "appClientId": "appClientId"},
    ("PATCH", "/users/{userId}"): {"metadata": {}},
    ("PATCH", "/profiles/{profileId}"): {"givenName": "mine"},
    ("POST", "/webhooks"): {"url": "https://example.com/hook", "eventTypes": ["prediction.failed"]},
    ("POST", "/workflows"): {"specification": {"definition": DEFINITION}},
    ("POST", "/workflows/{workflowId}/executions"): {"input": {}},
    ("PATCH", "/models/{modelId}/trainings/{trainingId}"): {"metadata": {}},
    ("PATCH", "/workflows/{workflowId}/executions/{executionId}"): {"status": "completed"},
    ("PATCH", "/transitions/{transitionId}/executions/{executionId}"): {"status": "succeeded", "output": {}},
}
"""Bodies that are valid; ids in them stand for the caller's own. Others are ``{}``, or change the name."""


async def insert(pool: asyncpg.Pool | Connection, table: str, **values: Any) -> str:
    """A row; returns its id."""
    names = list(values)
    places = ", ".join(f"${index}" for index in range(1, len(names) + 1))
    await pool.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})",
        *values.values(),
    )
    return str(values["id"])


async def seed_everything(pool: asyncpg.Pool, tenant: Tenant) -> dict[str, str]:
    """``documentId`` -> an id, and so on; what belongs together does."""
    own = {"organization_id": tenant.organization_id}
    async with pool.acquire() as connection:
        person = await add_user(connection, tenant.organization_id)
    ids = {
        "organizationId": tenant.organization_id,
        "appClientId": tenant.app_client_id,
        "userId": person.user_id,
        "profileId": person.profile_id,
    }
    ids |= await _documents(pool, own)
    ids |= await _models(pool, own, ids)
    ids |= await _vault(pool, own)
    ids |= await _workflows(pool, own)
    return ids


async def _documents(pool: asyncpg.Pool, own: Mapping[str, str]) -> dict[str, str]:
    dataset_id = await insert(pool, "dataset", **own, id=new_id(DatasetId))
    return {
        "datasetId": dataset_id,
        "documentId": await insert(
            pool,
            "document",
            **own,
            id=new_id(DocumentId),
            content_key="none",
            content_type="application/pdf",
            content_md5="0" * 32,
            content_size=1,
        ),
        "consentId": new_id(ConsentId),
        "transformationId": await insert(
            pool, "transformation", **own, id=new_id(TransformationId), dataset_id=dataset_id
        ),
    }


async def _models(pool: asyncpg.Pool, own: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
    model_id, training_id = new_id(ModelId), new_id(TrainingId)
    await insert(
        pool,
        "model",
        **own,
        id=model_id,
        field_config=FIELD_CONFIG,
        preprocess_config={"maxPages": 1},
        postprocess_config={"strategy": "BEST_FIRST"},
    )
    part = {**own, "model_id": model_id}
    await insert(pool, "training", **part, id=training_id, status="succeeded")
    return {
        "modelId": model_id,
        "trainingId": training_id,
        "dataBundleId": await insert(
            pool,
            "data_bundle",
            **part,
            id=new_id(DataBundleId),
            status="succeeded",
            datasets=[bundled_dataset(ids["datasetId"], documents=20)],
        ),
        "predictionId": await insert(
            pool,
            "prediction",
            **part,
            id=new_id(PredictionId),
            document_id=ids["documentId"],
            model_reference=model_id,
            training_id=training_id,
            preprocess_config={"maxPages": 1},
            postprocess_config={"strategy": "BEST_FIRST"},
        ),
    }


async def _vault(pool: asyncpg.Pool, own: Mapping[str, str]) -> dict[str, str]:
    slug = uuid.uuid4().hex[:12]
    plan_id = f"las:plan:{slug}:1"
    await insert(
        pool, "plan", **own, id=plan_id, slug=f"las:plan:{slug}", version=1, name="Own", available=True
    )
    return {
        "planId": plan_id,
        "deploymentEnvironmentId": await insert(
            pool, "deployment_environment", **own, id=f"las:deployment-environment:{slug}", name="Own"
        ),
        "assetId": await insert(
            pool, "asset", **own, id=new_id(AssetId), content_key="none", content_md5="0" * 32
        ),
        "secretId": await insert(
            pool, "secret", **own, id=new_id(SecretId), key_id="none", nonce=b"", ciphertext=b""
        ),
        "webhookId": await insert(
            pool,
            "webhook",
            **own,
            id=new_id(WebhookId),
            url="https://example.com/hook",
            event_types=[],
            key_id="none",
            nonce=b"",
            ciphertext=b"",
        ),
        "paymentMethodId": await insert(pool, "payment_method", **own, id=new_id(PaymentMethodId)),
    }


async def _workflows(pool: asyncpg.Pool, own: Mapping[str, str]) -> dict[str, str]:
    transition_id, workflow_id = new_id(TransitionId), new_id(WorkflowId)
    await insert(
        pool, "transition", **own, id=transition_id, transition_type="manual", timeout_in_seconds=600
    )
    await insert(pool, "workflow", **own, id=workflow_id, definition=DEFINITION)
    workflow_execution_id = await insert(
        pool, "workflow_execution", **own, id=new_id(WorkflowExecutionId), workflow_id=workflow_id
    )
    transition_execution_id = await insert(
        pool, "transition_execution", **own, id=new_id(TransitionExecutionId), transition_id=transition_id
    )
    return {
        "transitionId": transition_id,
        "transitionExecutionId": transition_execution_id,
        "workflowId": workflow_id,
        "workflowExecutionId": workflow_execution_id,
        "logId": await insert(
            pool,
            "log",
            **own,
            id=new_id(LogId),
            transition_id=transition_id,
            transition_execution_id=transition_execution_id,
        ),
    }


def unknown(identifier: str) -> str:
    """An id of the same kind that nobody has, as long as the other."""
    kind, _, slug = identifier.rpartition(":")
    if kind.startswith("las:plan:"):
        kind, _, slug = identifier.removesuffix(":1").rpartition(":")
        return f"{kind}:{'0' * len(slug)}:1"
    return f"{kind}:{'0' * len(slug)}"


async def rows_of(pool: asyncpg.Pool, organization_id: str) -> dict[str, list[Any]]:
    """All rows of an organization, by table."""
    rows = {}
    for table in ALL_TABLES:
        name = table._meta.tablename
        if "organization_id" in {column._meta.db_column_name for column in table._meta.columns}:
            rows[name] = await pool.fetch(
                f"SELECT * FROM {name} WHERE organization_id = $1",
                organization_id,
            )
    return rows


def kind_of(name: str, path: str) -> str | None:
    """The key of ``seed_everything`` for a parameter or member."""
    if name == "executionId":
        return "transitionExecutionId" if "/transitions/" in path else "workflowExecutionId"
    if name == "nextTransitionId":
        return "transitionId"
    return KINDS.get(name, name.removesuffix("s") if name.endswith("Ids") else name)


def fill(path: str, ids: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        kind = kind_of(match[1], path)
        assert kind in ids, f"{path}: seed_everything makes no {match[1]}"
        return ids[kind]

    return re.sub(r"\{(\w+)\}", one, path)


def body_of(method: str, path: str, mine: Mapping[str, str]) -> Any:
    """A valid body, or None for methods without one."""
    if method not in ("POST", "PATCH"):
        return None
    plain = re.sub(r"/\{owner(?:Id)?\}", "", path)
    body = BODIES.get((method, plain), {"name": "mine"} if method == "PATCH" else {})

    def own(value: Any) -> Any:
        if isinstance(value, list):
            return [own(one) for one in value]
        return mine.get(value, value) if isinstance(value, str) else value

    return {name: own(value) for name, value in body.items()}

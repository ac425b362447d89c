"""Tests of lists of large rows: pages end early, and their tokens continue after the last row."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from db.data_bundles import list_data_bundles
from db.datasets import list_datasets
from db.documents import list_documents_ascending, list_documents_descending, list_documents_to_delete
from db.keyset import PAGE_BYTES
from db.models import list_models, list_models_of_owners
from db.predictions import list_predictions_ascending, list_predictions_descending
from db.statements import Statement
from db.trainings import list_trainings
from db.transitions import list_transitions
from db.workflows import list_workflows
from pagemill.api.http.paging import PageRequest, cut
from pagemill.ids import DocumentId, new_id
from tests.support.flows import create_transition, create_workflow, ok, start, task
from tests.support.tenants import Tenant

ROWS = 7
LARGE = "x" * (PAGE_BYTES // 3)
"""It compresses well: stored, it is small."""


async def pages_of(api: httpx.AsyncClient, path: str, **query: Any) -> list[list[str]]:
    """The ids of the executions on each page."""
    pages, token = [], None
    while token is not None or not pages:
        asked = query if token is None else {**query, "nextToken": token}
        page = await ok(await api.get(path, params=asked))
        pages.append([one["executionId"] for one in page["executions"]])
        token = page["nextToken"]
    return pages


@pytest.mark.parametrize("query", [{}, {"order": "descending"}, {"sortBy": "endTime"}])
async def test_executions(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, query: dict[str, str]
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    for _ in range(ROWS):
        await start(api, workflow_id)
    for table in ("workflow_execution", "transition_execution"):
        await pool.execute(
            f"UPDATE {table} SET input = jsonb_build_object('a', $2::text) WHERE organization_id = $1",
            organization.organization_id,
            LARGE,
        )
    for path in (f"/v1/workflows/{workflow_id}/executions", f"/v1/transitions/{transition_id}/executions"):
        pages = await pages_of(api, path, **query)
        assert [len(page) for page in pages] == [3, 3, 1]
        assert len({one for page in pages for one in page}) == ROWS
        assert [len(page) for page in await pages_of(api, path, maxResults=2, **query)] == [2, 2, 2, 1]


DOCUMENTS = """
    INSERT INTO document (organization_id, id, ground_truth)
    SELECT $1, id, jsonb_build_array(jsonb_build_object('label', 'a', 'value', $3::text))
    FROM unnest($2::text[]) AS id
"""
MODELS = """
    INSERT INTO model (organization_id, id, field_config)
    SELECT $1, id, json_build_object('a', $3::text) FROM unnest($2::text[]) AS id
"""
PREDICTIONS = """
    INSERT INTO prediction (
        organization_id, id, document_id, model_id, model_reference, training_id, predictions
    )
    SELECT $1, id, 'd', 'm', 'm', 't', jsonb_build_array($3::text) FROM unnest($2::text[]) AS id
"""
DATASETS = """
    INSERT INTO dataset (organization_id, id, ground_truth_summary)
    SELECT $1, id, jsonb_build_object('a', $3::text) FROM unnest($2::text[]) AS id
"""
DATA_BUNDLES = """
    WITH model AS (INSERT INTO model (organization_id, id) VALUES ($1, 'm'))
    INSERT INTO data_bundle (organization_id, id, model_id, summary)
    SELECT $1, id, 'm', jsonb_build_object('a', $3::text) FROM unnest($2::text[]) AS id
"""
TRAININGS = """
    WITH model AS (INSERT INTO model (organization_id, id) VALUES ($1, 'm'))
    INSERT INTO training (organization_id, id, model_id, evaluation)
    SELECT $1, id, 'm', jsonb_build_object('a', $3::text) FROM unnest($2::text[]) AS id
"""
TRANSITIONS = """
    INSERT INTO transition (organization_id, id, transition_type, timeout_in_seconds, parameters)
    SELECT $1, id, 'docker', 60, jsonb_build_object('a', $3::text) FROM unnest($2::text[]) AS id
"""
WORKFLOWS = """
    INSERT INTO workflow (organization_id, id, definition, completed_config)
    SELECT $1, id, '{}', jsonb_build_object('a', $3::text) FROM unnest($2::text[]) AS id
"""


@pytest.mark.parametrize(
    ("rows", "statement", "filters"),
    [
        (DOCUMENTS, list_documents_ascending, dict.fromkeys(("dataset_ids", "consent_ids", "document_ids"))),
        (DOCUMENTS, list_documents_descending, dict.fromkeys(("dataset_ids", "consent_ids", "document_ids"))),
        (DOCUMENTS, list_documents_to_delete, {"dataset_ids": None, "consent_ids": None}),
        (MODELS, list_models, {}),
        (MODELS, list_models_of_owners, {"owner_ids": ["own"]}),
        (PREDICTIONS, list_predictions_ascending, {"model_id": None}),
        (PREDICTIONS, list_predictions_descending, {"model_id": None}),
        (DATASETS, list_datasets, {}),
        (DATA_BUNDLES, list_data_bundles, {"model_id": "m", "statuses": None}),
        (TRAININGS, list_trainings, {"model_id": "m", "statuses": None}),
        (TRANSITIONS, list_transitions, {"transition_types": None}),
        (WORKFLOWS, list_workflows, {"month": "2024-01", "development_allowance": 100}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_other_lists(
    pool: asyncpg.Pool,
    organization: Tenant,
    rows: str,
    statement: Statement[..., list[Any]],
    filters: dict[str, Any],
) -> None:
    own = organization.organization_id
    await pool.execute(rows, own, [new_id(DocumentId) for _ in range(ROWS)], LARGE)
    if "owner_ids" in filters:
        filters = {"owner_ids": [own]}
    page, pages = PageRequest(100), []
    token: str | None = ""
    async with pool.acquire() as connection:
        while token is not None:
            found = await statement(
                connection,
                organization_id=own,
                after_time=page.after_time,
                after_id=page.after_id,
                limit=page.limit,
                **filters,
            )
            shown, token = cut(found, page)
            pages.append([row.id for row in shown])
            page = PageRequest(100, shown[-1].created_time, shown[-1].id)
    assert [len(ids) for ids in pages] == [3, 3, 1]
    assert len({one for ids in pages for one in ids}) == ROWS

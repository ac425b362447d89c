"""Number of rows that statements on models, bundles, trainings and predictions read, beside many others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from db.data_bundles import list_data_bundles
from db.models import get_model, list_models, list_models_of_owners
from db.predictions import (
    get_prediction,
    list_label_statistics,
    list_predictions_ascending,
    list_predictions_descending,
)
from db.statements import Statement
from db.trainings import list_trainings
from tests.support.plans import most_rows_read
from tests.support.tenants import Tenant

MODELS = 200
OF_EACH = 100
PAGE = 10
READ_AT_MOST = 200
COUNTED_AT_MOST = 2 * OF_EACH * PAGE + 2 * MODELS
"""Each model that is shown tells how many bundles it has and how many trainings run. Those of several owners
are sorted, they are as many as plans allow."""


@pytest.fixture
async def models(pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant) -> None:
    """Models of two organizations with 100 trainings, bundles and predictions each; every tenth is shared."""
    for tenant in (organization, other_organization):
        owner = tenant.organization_id
        await pool.execute(
            """
            INSERT INTO model (organization_id, id, shared, created_time)
            SELECT $1, $1 || '/model-' || number, number % 10 = 0, now() + number * interval '1 ms'
            FROM generate_series(1, $2::integer) AS number
            """,
            owner,
            MODELS,
        )
        for table, columns, values in (
            ("training", "", ""),
            ("data_bundle", "", ""),
            (
                "prediction",
                ", document_id, model_reference, training_id",
                ", 'document', 'model', 'training-' || number % 3",
            ),
        ):
            await pool.execute(
                f"""
                INSERT INTO {table} (organization_id, id, model_id, status, created_time{columns})
                SELECT $1, $1 || '/{table}-' || number, $1 || '/model-' || 1 + number % $2,
                    CASE WHEN number / $2 % 10 = 0 THEN 'failed' ELSE 'succeeded' END,
                    now() + number * interval '1 ms'{values}
                FROM generate_series(1, $2::integer * $3::integer) AS number
                """,
                owner,
                MODELS,
                OF_EACH,
            )
    for table in ("model", "training", "data_bundle", "prediction"):
        await pool.execute(f"ANALYZE {table}")


async def test_a_page_of_a_list_reads_about_as_many_rows(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, models: None
) -> None:
    own, other = organization.organization_id, other_organization.organization_id
    one, missing = f"{own}/model-7", f"{own}/model-0"
    start = {"after_time": None, "after_id": None, "limit": PAGE}
    newest = {
        "from_time": datetime.now(UTC) - timedelta(days=7),
        "default_threshold": 0.9,
        "newest": PAGE,
    }
    counted: list[tuple[Statement[..., Any], dict[str, Any]]] = [
        (list_models, start),
        (list_models_of_owners, {"owner_ids": [other], **start}),
        (list_models_of_owners, {"owner_ids": [other, own], **start}),
        (get_model, {"model_id": one}),
    ]
    read: list[tuple[Statement[..., Any], dict[str, Any]]] = [
        (get_prediction, {"prediction_id": f"{own}/prediction-7"}),
        (list_label_statistics, {"model_id": one, "training_id": None, **newest}),
        (list_label_statistics, {"model_id": one, "training_id": "training-9", **newest}),
    ]
    for listing in (list_predictions_ascending, list_predictions_descending):
        read += [(listing, {"model_id": model_id, **start}) for model_id in (None, one, missing)]
    for listing in (list_trainings, list_data_bundles):
        read += [
            (listing, {"model_id": model_id, "statuses": statuses, **start})
            for model_id in (one, missing)
            for statuses in (None, ["failed"], ["running"], ["failed", "succeeded"])
        ]
    async with pool.acquire() as connection:
        for bound, statements in ((READ_AT_MOST, read), (COUNTED_AT_MOST, counted)):
            for statement, arguments in statements:
                rows = await most_rows_read(connection, statement, organization_id=own, **arguments)
                assert rows <= bound, (statement.name, arguments, rows)

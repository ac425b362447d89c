"""Lists of what belongs to models read what they show, however much other models have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from db.data_bundles import LIST_DATA_BUNDLES
from db.models import GET_MODEL, LIST_MODELS, LIST_MODELS_OF_OWNERS
from db.predictions import (
    GET_PREDICTION,
    LIST_PREDICTIONS_ASCENDING,
    LIST_PREDICTIONS_DESCENDING,
    PREDICTION_STATISTICS,
)
from db.statements import UntypedStatement
from db.trainings import LIST_TRAININGS
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


async def test_a_page_reads_about_a_page(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, models: None
) -> None:
    own, other = organization.organization_id, other_organization.organization_id
    one, missing, start = f"{own}/model-7", f"{own}/model-0", (None, None, PAGE)
    since = datetime.now(UTC) - timedelta(days=7)
    counted: list[tuple[UntypedStatement, tuple[Any, ...]]] = [
        (LIST_MODELS, (own, *start)),
        (LIST_MODELS_OF_OWNERS, (own, [other], *start)),
        (LIST_MODELS_OF_OWNERS, (own, [other, own], *start)),
        (GET_MODEL, (own, one)),
    ]
    read: list[tuple[UntypedStatement, tuple[Any, ...]]] = [
        (GET_PREDICTION, (own, f"{own}/prediction-7")),
        (PREDICTION_STATISTICS, (own, one, since, None, 0.9, PAGE)),
        (PREDICTION_STATISTICS, (own, one, since, "training-9", 0.9, PAGE)),
    ]
    for listing in (LIST_PREDICTIONS_ASCENDING, LIST_PREDICTIONS_DESCENDING):
        read += [(listing, (own, model_id, *start)) for model_id in (None, one, missing)]
    for listing in (LIST_TRAININGS, LIST_DATA_BUNDLES):
        read += [
            (listing, (own, model_id, status, *start))
            for model_id in (one, missing)
            for status in (None, ["failed"], ["running"], ["failed", "succeeded"])
        ]
    async with pool.acquire() as connection:
        for bound, statements in ((READ_AT_MOST, read), (COUNTED_AT_MOST, counted)):
            for statement, arguments in statements:
                rows = await most_rows_read(connection, statement, *arguments)
                assert rows <= bound, (statement.name, arguments[1:], rows)

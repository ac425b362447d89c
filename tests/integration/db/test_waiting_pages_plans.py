"""Asking every two seconds how much waits does not read what has ended."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from db.job_reports import count_trainings_without_node, list_open_jobs, list_unusable_models
from db.statements import Statement
from db.waiting_pages import (
    count_documents_to_bundle,
    count_ended_pages,
    get_asked_pages,
    list_open_predictions,
)
from tests.support.plans import most_rows_read
from tests.support.tenants import Tenant

ENDED, QUEUED, RUNNING, LATELY = 20_000, 500, 30, 100


@pytest.fixture
async def predictions(pool: asyncpg.Pool, organization: Tenant) -> None:
    """Add predictions that ended long ago, a few that ended just now, and some that are open."""
    await pool.execute(
        """
        INSERT INTO prediction (organization_id, id, preprocess_config)
        SELECT $1, 'prediction-' || number, '{"maxPages": 2}' FROM generate_series(1, $2::integer) AS number
        """,
        organization.organization_id,
        ENDED + QUEUED + RUNNING + LATELY,
    )
    await pool.execute(
        """
        INSERT INTO job (organization_id, id, kind, subject_id, state, ended_time)
        SELECT $1, 'job-' || number, 'prediction', 'prediction-' || number,
            CASE WHEN number <= $2 THEN 'queued' WHEN number <= $3 THEN 'running' ELSE 'succeeded' END,
            CASE WHEN number > $4 THEN now() - interval '1 day' WHEN number > $3 THEN now() END
        FROM generate_series(1, $5::integer) AS number
        """,
        organization.organization_id,
        QUEUED,
        QUEUED + RUNNING,
        QUEUED + RUNNING + LATELY,
        ENDED + QUEUED + RUNNING + LATELY,
    )
    await pool.execute("VACUUM ANALYZE")


@pytest.mark.usefixtures("predictions")
@pytest.mark.parametrize(
    ("statement", "arguments", "most"),
    [
        (list_open_predictions, {"batch_priority": 10}, QUEUED + RUNNING),
        (get_asked_pages, {"sample": 50}, 2 * (50 + RUNNING)),
        (count_documents_to_bundle, {}, 10),
        (count_ended_pages, {"seconds": 60.0, "limit": 1_000}, 2 * LATELY),
        (count_trainings_without_node, {}, 10),
        (list_open_jobs, {}, QUEUED + RUNNING),
        (list_unusable_models, {"error_classes": ["ModelMissing"], "seconds": 86400.0, "limit": 20}, 10),
    ],
)
async def test_only_what_is_open_or_ended_lately_is_read(
    pool: asyncpg.Pool, statement: Statement[..., Any], arguments: dict[str, Any], most: int
) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(connection, statement, **arguments)

    assert read <= most

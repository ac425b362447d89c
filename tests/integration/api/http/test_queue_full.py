"""Tests of refusing predictions that would wait too long."""

from __future__ import annotations

import dataclasses

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar

from pagemill.jobs.admission import open_admission
from pagemill.settings import Settings
from pagemill.work.predictions import PREDICTION
from tests.support.seeds import seed_document, seed_training, used
from tests.support.tenants import Tenant

WAITING = 99
SECONDS = 32
"""As many as there are slots: each that waits makes a second."""


@pytest.fixture
async def long_queue(pool: asyncpg.Pool, organization: Tenant) -> None:
    """Predictions that wait, and one that has ended after so many seconds."""
    await pool.execute(
        """
        INSERT INTO job (id, kind, organization_id, subject_id, payload, state)
        SELECT 'job' || n, 'prediction', $1, 'subject', '{}', 'queued'
        FROM generate_series(1, $2::integer) AS n
        """,
        organization.organization_id,
        WAITING,
    )
    await pool.execute(
        """
        INSERT INTO job (
            id, kind, organization_id, subject_id, payload, state, attempt, started_time, ended_time
        )
        VALUES ('ended', 'prediction', $1, 's', '{}', 'succeeded', 1, now() - $2 * interval '1 s', now())
        """,
        organization.organization_id,
        float(SECONDS),
    )


@pytest.mark.usefixtures("long_queue")
@pytest.mark.parametrize("asynchronous", [True, False])
async def test_full_queue_refuses_predictions(
    api: httpx.AsyncClient,
    app: Litestar,
    settings: Settings,
    pool: asyncpg.Pool,
    organization: Tenant,
    asynchronous: bool,
) -> None:
    owner = organization.organization_id
    model_id = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    body = {
        "documentId": await seed_document(pool, owner),
        "modelId": model_id,
        "trainingId": await seed_training(pool, owner, model_id),
    }
    limited = msgspec.structs.replace(settings, prediction_queue_wait_max=90.0)
    state = app.state.pagemill
    admission = open_admission(pool, PREDICTION, limited, longest_wait=90.0)
    app.state.pagemill = dataclasses.replace(state, admission=admission)

    refused = await api.post("/v1/predictions", json=body | {"async": asynchronous})

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == str(WAITING - 90)
    assert set(refused.json()) == {"message"}
    assert await pool.fetchval("SELECT count(*) FROM prediction") == 0
    assert await pool.fetchval("SELECT count(*) FROM job") == WAITING + 1
    assert await used(pool, owner, "predictions") == 0
    app.state.pagemill = state
    assert (await api.post("/v1/predictions", json=body | {"async": True})).status_code == 200

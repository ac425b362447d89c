"""Numbers of pages that wait, of those that are due, by what is asked for."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from db.statements import Connection
from db.waiting_pages import (
    AskedPagesRow,
    OpenPredictionsRow,
    count_documents_to_bundle,
    count_ended_pages,
    get_asked_pages,
    list_open_predictions,
)
from pagemill.cluster.scaling.asking import find_backlog
from tests.support import everything
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

BATCH_PRIORITY = 10


async def insert(connection: Connection, table: str, **values: Any) -> str:
    """Add a row with a new id, and return the id."""
    return await everything.insert(connection, table, id=uuid.uuid4().hex, **values)


async def predict(
    connection: Connection, tenant: Tenant, number: int = 1, *, config: dict[str, Any], **job: Any
) -> None:
    """Add predictions with their jobs."""
    for _ in range(number):
        prediction = await insert(
            connection, "prediction", organization_id=tenant.organization_id, preprocess_config=config
        )
        await insert(
            connection,
            "job",
            organization_id=tenant.organization_id,
            subject_id=prediction,
            kind="prediction",
            **job,
        )


async def test_open_predictions_are_counted_by_state_and_urgency(
    connection: Connection, mine: Tenant, theirs: Tenant, now: datetime
) -> None:
    config = {"maxPages": 1}
    minute = timedelta(minutes=1)
    await predict(connection, mine, 2, config=config, created_time=now - minute)
    await predict(connection, theirs, config=config, created_time=now - 2 * minute)
    await predict(connection, mine, config=config, priority=10, created_time=now)
    await predict(connection, mine, config=config, state="running", created_time=now)
    await predict(connection, mine, config=config, run_after=now + minute)
    await predict(connection, mine, config=config, state="succeeded", ended_time=now)
    await insert(connection, "job", organization_id=mine.organization_id, kind="training")

    rows = await list_open_predictions(connection, batch_priority=BATCH_PRIORITY)

    assert sorted(rows, key=lambda row: (row.state, row.interactive)) == [
        OpenPredictionsRow("queued", interactive=False, jobs=1, oldest=0.0),
        OpenPredictionsRow("queued", interactive=True, jobs=3, oldest=120.0),
        OpenPredictionsRow("running", interactive=True, jobs=1, oldest=0.0),
    ]


@pytest.mark.parametrize(
    ("config", "pages"),
    [
        ({"maxPages": 7}, 7.0),
        ({"pages": [0, 3, 5]}, 3.0),
        ({"pages": None, "maxPages": 4}, 4.0),
        ({}, 1.0),
    ],
)
async def test_a_prediction_takes_the_pages_that_it_asks_for(
    connection: Connection, mine: Tenant, config: dict[str, Any], pages: float
) -> None:
    await predict(connection, mine, config=config)

    assert await get_asked_pages(connection, sample=10) == AskedPagesRow(queued=pages, running=None)


async def test_the_mean_is_taken_of_a_sample(connection: Connection, mine: Tenant) -> None:
    await predict(connection, mine, 3, config={"maxPages": 4})
    await predict(connection, mine, config={"maxPages": 12})
    await predict(connection, mine, config={"maxPages": 2}, state="running")

    assert await get_asked_pages(connection, sample=10) == AskedPagesRow(queued=6.0, running=2.0)
    sampled = await get_asked_pages(connection, sample=1)
    assert sampled.queued in (4.0, 12.0)


async def test_documents_of_queued_bundles_are_counted(
    connection: Connection, mine: Tenant, theirs: Tenant
) -> None:
    assert await count_documents_to_bundle(connection) == 0
    for tenant, state in ((mine, "queued"), (theirs, "queued"), (mine, "running")):
        model = await insert(connection, "model", organization_id=tenant.organization_id)
        bundle = await insert(
            connection,
            "data_bundle",
            organization_id=tenant.organization_id,
            model_id=model,
            datasets=[{"datasetId": "a", "numberOfDocuments": 30}, {"numberOfDocuments": 12}],
        )
        await insert(
            connection,
            "job",
            organization_id=tenant.organization_id,
            subject_id=bundle,
            kind="data-bundle",
            state=state,
        )

    assert await count_documents_to_bundle(connection) == 84


async def test_pages_that_ended_lately_are_counted(
    connection: Connection, mine: Tenant, now: datetime
) -> None:
    config = {"maxPages": 5}
    for state, seconds in (("succeeded", 10), ("succeeded", 59), ("succeeded", 61), ("failed", 10)):
        ended = now - timedelta(seconds=seconds)
        await predict(connection, mine, config=config, state=state, ended_time=ended)

    assert await count_ended_pages(connection, seconds=60.0, limit=100) == 10
    assert await count_ended_pages(connection, seconds=5.0, limit=100) == 0


async def test_the_backlog_is_put_together(connection: Connection, mine: Tenant, now: datetime) -> None:
    empty = await find_backlog(connection)
    assert (empty.waiting, empty.running, empty.oldest, empty.ended) == (0.0, 0.0, 0.0, 0.0)

    await predict(connection, mine, 3, config={"maxPages": 4}, created_time=now - timedelta(seconds=40))
    await predict(connection, mine, 2, config={"maxPages": 4}, priority=10)
    await predict(connection, mine, config={"maxPages": 2}, state="running")
    await predict(connection, mine, config={"maxPages": 6}, state="succeeded", ended_time=now)
    backlog = await find_backlog(connection)

    assert (backlog.interactive, backlog.batch, backlog.running) == (12.0, 8.0, 2.0)
    assert (backlog.oldest, backlog.ended) == (40.0, 6.0)

"""Idempotency keys: claimed once, answered by their claim, and free again in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db.idempotency import (
    AnswerRow,
    KeyOfCaller,
    claim_key,
    complete_key,
    delete_expired_keys,
    find_answer,
    release_key,
)
from db.statements import Connection
from pagemill.ids import PrincipalId
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT, ABANDONED = 3600.0, 60.0


@pytest_asyncio.fixture(loop_scope="module")
async def key(mine: Tenant) -> KeyOfCaller:
    return {"organization_id": mine.organization_id, "principal_id": PrincipalId("ada"), "key": "k"}


async def claim(connection: Connection, key: KeyOfCaller, fingerprint: str = "new") -> datetime | None:
    return await claim_key(
        connection, **key, fingerprint=fingerprint, kept_seconds=KEPT, abandoned_seconds=ABANDONED
    )


async def age(connection: Connection, seconds: float) -> datetime:
    """Make the key older, and return the time at which it seems to have been claimed."""
    return await connection.fetchval(
        "UPDATE idempotency_key SET created_time = created_time - $1::interval RETURNING created_time",
        timedelta(seconds=seconds),
    )


async def test_a_key_is_claimed_once_by_each_caller(
    connection: Connection, key: KeyOfCaller, theirs: Tenant
) -> None:
    assert await claim(connection, key, "first") is not None
    assert await claim(connection, key) is None
    assert await find_answer(connection, **key) == AnswerRow("first", None, None)
    others: list[Any] = [
        {**key, "organization_id": theirs.organization_id},
        {**key, "principal_id": "bob"},
        {**key, "key": "another"},
    ]
    for other in others:
        assert await find_answer(connection, **other) is None
        assert await claim(connection, other) is not None
    assert await find_answer(connection, **key) == AnswerRow("first", None, None)


@pytest.mark.parametrize(
    ("is_answered", "seconds", "is_claimed"),
    [
        (False, ABANDONED + 1, True),
        (False, ABANDONED - 5, False),
        (True, ABANDONED + 1, False),
        (True, KEPT - 5, False),
        (True, KEPT + 1, True),
    ],
)
async def test_a_key_is_free_when_its_work_was_abandoned_or_its_answer_has_expired(
    connection: Connection, key: KeyOfCaller, is_answered: bool, seconds: float, is_claimed: bool
) -> None:
    claimed_time = await claim(connection, key, "first")
    assert claimed_time is not None
    if is_answered:
        await complete_key(
            connection, **key, claimed_time=claimed_time, status_code=201, body=b"{}", named=[]
        )
    former = await age(connection, seconds)
    claimed = await claim(connection, key)
    assert (claimed is not None) == is_claimed
    answer = AnswerRow("first", 201, b"{}") if is_answered else AnswerRow("first", None, None)
    assert await find_answer(connection, **key) == (AnswerRow("new", None, None) if claimed else answer)
    if claimed is not None:
        # The former claim has lost the key: it neither answers nor releases it.
        assert claimed > former
        await complete_key(connection, **key, claimed_time=former, status_code=500, body=b"late", named=[])
        await release_key(connection, **key, claimed_time=former)
        assert await find_answer(connection, **key) == AnswerRow("new", None, None)


async def test_only_a_key_without_an_answer_is_released(connection: Connection, key: KeyOfCaller) -> None:
    claimed_time = await claim(connection, key)
    assert claimed_time is not None
    await release_key(connection, **key, claimed_time=claimed_time)
    assert await find_answer(connection, **key) is None
    claimed_time = await claim(connection, key)
    assert claimed_time is not None
    await complete_key(connection, **key, claimed_time=claimed_time, status_code=201, body=b"{}", named=[])
    await release_key(connection, **key, claimed_time=claimed_time)
    assert await find_answer(connection, **key) == AnswerRow("new", 201, b"{}")


async def test_expired_keys_are_deleted_twenty_at_a_time_oldest_first(
    connection: Connection, key: KeyOfCaller
) -> None:
    await connection.execute(
        """
        INSERT INTO idempotency_key (organization_id, principal_id, key, created_time)
        SELECT $1, 'ada', number::text, now() - $2::interval - number * interval '1 minute'
        FROM generate_series(-1, 21) AS number WHERE number <> 0
        """,
        key["organization_id"],
        timedelta(seconds=KEPT),
    )
    keys = "SELECT array_agg(key ORDER BY created_time) FROM idempotency_key"
    await delete_expired_keys(connection, kept_seconds=KEPT)
    assert await connection.fetchval(keys) == ["1", "-1"]
    await delete_expired_keys(connection, kept_seconds=KEPT)
    assert await connection.fetchval(keys) == ["-1"]

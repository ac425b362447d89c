"""Predictions of any size reach their caller, and leave nothing behind."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pagemill.applications.found_fields import Predictions
from pagemill.applications.large_predictions import StoredPredictions, from_message, to_message
from pagemill.applications.requests import MESSAGE_BYTES
from pagemill.errors import Unavailable
from pagemill.objects import ObjectStore
from pagemill.objects.keys import document_prefix, new_content_key

ORGANIZATION, DOCUMENT = "las:organization:o", "las:document:d"
KEY = new_content_key(ORGANIZATION, DOCUMENT)
SMALL: list[dict[str, Any]] = [{"label": "total", "value": None, "confidence": 0.5, "location": [0.0, 1.0]}]


def rows(number: int) -> list[dict[str, Any]]:
    """Line items as they are predicted."""
    cell = {"label": "price", "value": "1.00", "confidence": 0.123456789, "page": 3, "source": "model"}
    return [{"label": "items", "value": [[{**cell, "rawValue": str(row)}] * 6 for row in range(number)]}]


async def keys(objects: ObjectStore) -> list[str]:
    return [key async for key in objects.list(document_prefix(ORGANIZATION, DOCUMENT))]


@pytest.mark.parametrize("predictions", [SMALL, [], {"total": [{"value": "1", "confidence": 1.0}]}])
async def test_small_predictions_are_the_message(objects: ObjectStore, predictions: Predictions) -> None:
    message = await to_message(objects, KEY, predictions)
    assert message is predictions
    assert await from_message(objects, message) is predictions
    assert await keys(objects) == []


@pytest.mark.parametrize("form", ["v1", "v2"])
async def test_large_predictions_go_through_the_storage(objects: ObjectStore, form: str) -> None:
    found = rows(9_000)
    predictions: Predictions = found if form == "v1" else {"items": found[0]["value"]}
    message = await to_message(objects, KEY, predictions)
    assert len(pickle.dumps(message)) < 1000
    assert len(await keys(objects)) == 1
    assert await from_message(objects, message) == predictions
    assert await keys(objects) == []


async def test_no_message_is_larger_than_the_bound(objects: ObjectStore) -> None:
    for number in (500, 1_000, 1_400, 2_000):
        message = await to_message(objects, KEY, rows(number))
        assert len(pickle.dumps(message)) <= MESSAGE_BYTES


async def test_predictions_of_several_callers_have_their_own_objects(objects: ObjectStore) -> None:
    first, second = rows(3_000), rows(3_001)
    messages = [await to_message(objects, KEY, predictions) for predictions in (first, second)]
    assert [await from_message(objects, message) for message in messages] == [first, second]


@pytest.mark.parametrize("content", [None, b"[{", b"7"])
async def test_predictions_that_are_gone_or_damaged_are_made_again(
    objects: ObjectStore, content: bytes | None
) -> None:
    message = await to_message(objects, KEY, rows(3_000))
    assert isinstance(message, StoredPredictions)
    await objects.delete(message.key)
    if content is not None:
        await objects.put(message.key, content)
    with pytest.raises(Unavailable, match="gone") as caught:
        await from_message(objects, message)
    assert message.key not in caught.value.message

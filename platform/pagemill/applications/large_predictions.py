"""Predictions that are too large for a message: they travel through object storage."""

from __future__ import annotations

from typing import Any

import msgspec

from pagemill.applications.found_fields import Predictions
from pagemill.applications.requests import MESSAGE_BYTES
from pagemill.errors import Unavailable
from pagemill.objects.keys import new_predictions_key
from pagemill.objects.store import ObjectMissing, ObjectStore

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, Any]] | dict[str, list[Any]])


class StoredPredictions(msgspec.Struct, frozen=True):
    """The key of predictions that wait for their caller."""

    key: str


async def to_message(
    objects: ObjectStore, content_key: str, predictions: Predictions
) -> Predictions | StoredPredictions:
    """Return predictions of a content as a message can carry them. Raises Unavailable."""
    # As JSON they are larger than in a message.
    encoded = msgspec.json.encode(predictions)
    if len(encoded) <= MESSAGE_BYTES:
        return predictions
    stored = StoredPredictions(new_predictions_key(content_key))
    await objects.put(stored.key, encoded)
    return stored


async def from_message(objects: ObjectStore, message: Predictions | StoredPredictions) -> Predictions:
    """Return the predictions of a message, and delete their object. Raises Unavailable."""
    if not isinstance(message, StoredPredictions):
        return message
    try:
        predictions: Predictions = _decoder.decode(await objects.get(message.key))
    except (ObjectMissing, msgspec.MsgspecError) as error:
        raise Unavailable("The predictions are gone", detail=message.key) from error
    # What a lost caller leaves is deleted by the sweep of objects.
    await objects.delete(message.key)
    return predictions

"""Reference for the API: a bare Litestar handler, msgspec, and one row of asyncpg.

It checks no token and has no roles, no tenants and no log. Its pool is asyncpg's default; with
``REFERENCE_POOL=pagemill`` it is ours, which saves a round trip when a connection is given back.

granian --interface=asgi --factory benchmarks.reference_api:create_app
"""

from __future__ import annotations

import datetime
import os
from typing import Any

import asyncpg
import msgspec
from litestar import Litestar, get

from db.pool import create_pool, prepare

DOCUMENT = """
    SELECT id, dataset_id, consent_id, name, description, metadata, ground_truth, retention_in_days,
        content_key, content_type, content_md5, content_size, created_time, created_by, updated_time,
        updated_by
    FROM document WHERE id = $1
"""
PREDICTION = """
    SELECT id, document_id, model_id, model_reference, training_id, preprocess_config, postprocess_config,
        status, predictions, error, inference_time, next_page, created_time, created_by
    FROM prediction WHERE id = $1
"""


class Document(msgspec.Struct, rename="camel"):
    """Body of a document."""

    document_id: str
    dataset_id: str | None
    content_type: str | None
    content_md5: str | None
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    ground_truth: list[dict[str, Any]]
    retention_in_days: int
    created_time: datetime.datetime | None
    created_by: str | None
    updated_time: datetime.datetime | None
    updated_by: str | None


class Prediction(msgspec.Struct, rename="camel"):
    """Body of a prediction."""

    prediction_id: str
    document_id: str
    model_id: str
    training_id: str
    status: str
    error: str | None
    predictions: list[dict[str, Any]] | None
    preprocess_config: dict[str, Any]
    postprocess_config: dict[str, Any]
    next_page: int | None
    inference_time: float | None
    created_time: datetime.datetime | None
    created_by: str | None


def create_app() -> Litestar:
    """Create the reference on the database of PAGEMILL_DATABASE_URL."""
    pools: list[asyncpg.Pool] = []

    async def open_pool() -> None:
        url = os.environ["PAGEMILL_DATABASE_URL"]
        if os.environ.get("REFERENCE_POOL") == "pagemill":
            pools.append(await create_pool(url))
        else:
            pools.append(await asyncpg.create_pool(url, min_size=0, max_size=10, init=prepare))

    @get("/v1/documents/{document_id:str}")
    async def get_document(document_id: str) -> Document:
        row = await pools[0].fetchrow(DOCUMENT, document_id)
        return Document(
            document_id=row["id"],
            dataset_id=row["dataset_id"],
            content_type=row["content_type"],
            content_md5=row["content_md5"],
            name=row["name"],
            description=row["description"],
            metadata=row["metadata"],
            ground_truth=row["ground_truth"],
            retention_in_days=row["retention_in_days"],
            created_time=row["created_time"],
            created_by=row["created_by"],
            updated_time=row["updated_time"],
            updated_by=row["updated_by"],
        )

    @get("/v1/predictions/{prediction_id:str}")
    async def get_prediction(prediction_id: str) -> Prediction:
        row = await pools[0].fetchrow(PREDICTION, prediction_id)
        return Prediction(
            prediction_id=row["id"],
            document_id=row["document_id"],
            model_id=row["model_reference"],
            training_id=row["training_id"],
            status=row["status"],
            error=row["error"],
            predictions=row["predictions"],
            preprocess_config=row["preprocess_config"],
            postprocess_config=row["postprocess_config"],
            next_page=row["next_page"],
            inference_time=row["inference_time"],
            created_time=row["created_time"],
            created_by=row["created_by"],
        )

    return Litestar(
        [get_document, get_prediction], on_startup=[open_pool], openapi_config=None, logging_config=None
    )

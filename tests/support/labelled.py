"""Labelled documents in the database and in the object storage: what bundles and trainings start from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import asyncpg

from examples.demo.sample_documents import FIELD_CONFIG, SampleDocument
from pagemill.ids import DataBundleId, DatasetId, DocumentId, ModelId, PredictionId, TrainingId, new_id
from pagemill.objects import ObjectStore
from pagemill.objects.keys import new_content_key

PREPROCESS_CONFIG = {"imageQuality": "LOW", "autoRotate": False, "maxPages": 3, "startPage": 0}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A model and a dataset of documents for it."""

    organization_id: str
    model_id: str
    dataset_id: str


async def store_document(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization_id: str,
    content: bytes | None,
    *,
    ground_truth: list[dict[str, Any]] | None = None,
    dataset_id: str | None = None,
) -> str:
    """A document as an upload leaves it; without ``content`` one that waits for its upload."""
    document_id = new_id(DocumentId)
    key = None
    if content is not None:
        key = new_content_key(organization_id, document_id)
        await objects.put(key, content)
    await pool.execute(
        """
        INSERT INTO document (organization_id, id, dataset_id, content_key, content_md5, ground_truth)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        organization_id,
        document_id,
        dataset_id,
        key,
        None if content is None else hashlib.md5(content).hexdigest(),
        ground_truth or [],
    )
    return document_id


async def store_model(pool: asyncpg.Pool, organization_id: str) -> str:
    """A model with the fields of the sample documents."""
    model_id = new_id(ModelId)
    await pool.execute(
        "INSERT INTO model (organization_id, id, field_config, preprocess_config) VALUES ($1, $2, $3, $4)",
        organization_id,
        model_id,
        FIELD_CONFIG,
        PREPROCESS_CONFIG,
    )
    return model_id


async def store_labelled(
    pool: asyncpg.Pool, objects: ObjectStore, organization_id: str, documents: list[SampleDocument]
) -> Labelled:
    """A model, and a dataset with the documents."""
    dataset_id = new_id(DatasetId)
    await pool.execute(
        "INSERT INTO dataset (organization_id, id, number_of_documents) VALUES ($1, $2, $3)",
        organization_id,
        dataset_id,
        len(documents),
    )
    for document in documents:
        await store_document(
            pool,
            objects,
            organization_id,
            document.content,
            ground_truth=document.ground_truth,
            dataset_id=dataset_id,
        )
    return Labelled(organization_id, await store_model(pool, organization_id), dataset_id)


async def store_data_bundle(pool: asyncpg.Pool, labelled: Labelled) -> str:
    """A bundle that has still to be made."""
    data_bundle_id = new_id(DataBundleId)
    await pool.execute(
        "INSERT INTO data_bundle (organization_id, id, model_id, datasets) VALUES ($1, $2, $3, $4)",
        labelled.organization_id,
        data_bundle_id,
        labelled.model_id,
        [{"datasetId": labelled.dataset_id}],
    )
    return data_bundle_id


async def store_training(pool: asyncpg.Pool, labelled: Labelled, data_bundle_ids: list[str]) -> str:
    """A training that has still to run."""
    training_id = new_id(TrainingId)
    await pool.execute(
        "INSERT INTO training (organization_id, id, model_id, data_bundle_ids) VALUES ($1, $2, $3, $4)",
        labelled.organization_id,
        training_id,
        labelled.model_id,
        data_bundle_ids,
    )
    return training_id


async def store_prediction(
    pool: asyncpg.Pool,
    labelled: Labelled,
    training_id: str,
    document_id: str,
    *,
    postprocess_config: dict[str, Any] | None = None,
) -> str:
    """A prediction that is pending."""
    prediction_id = new_id(PredictionId)
    await pool.execute(
        """
        INSERT INTO prediction (
            organization_id, id, document_id, model_id, model_reference, training_id,
            preprocess_config, postprocess_config
        )
        VALUES ($1, $2, $3, $4, $4, $5, $6, $7)
        """,
        labelled.organization_id,
        prediction_id,
        document_id,
        labelled.model_id,
        training_id,
        PREPROCESS_CONFIG,
        postprocess_config or {"strategy": "BEST_FIRST"},
    )
    return prediction_id

"""Rows that tests start from, in states that take workers to reach."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from pagemill.ids import AssetId, DataBundleId, DatasetId, DocumentId, ModelId, SecretId, TrainingId, new_id
from pagemill.jobs import leases
from pagemill.jobs.job import Job
from pagemill.jobs.kind import AnyKind


async def seed_dataset(pool: asyncpg.Pool, organization_id: str, *, documents: int = 10) -> str:
    """A dataset that says it has so many documents."""
    dataset_id = new_id(DatasetId)
    await pool.execute(
        "INSERT INTO dataset (organization_id, id, number_of_documents, version) VALUES ($1, $2, $3, $3)",
        organization_id,
        dataset_id,
        documents,
    )
    return dataset_id


async def seed_document(pool: asyncpg.Pool, organization_id: str, *, content: bool = True) -> str:
    """A document, uploaded or not."""
    document_id = new_id(DocumentId)
    await pool.execute(
        "INSERT INTO document (organization_id, id, content_key, content_type) VALUES ($1, $2, $3, $4)",
        organization_id,
        document_id,
        "some/content/key" if content else None,
        "application/pdf" if content else None,
    )
    return document_id


async def seed_model(pool: asyncpg.Pool, organization_id: str) -> str:
    """A model without fields."""
    model_id = new_id(ModelId)
    await pool.execute("INSERT INTO model (organization_id, id) VALUES ($1, $2)", organization_id, model_id)
    return model_id


def bundled_dataset(dataset_id: str, documents: int) -> dict[str, Any]:
    """What a data bundle keeps of a dataset."""
    return {
        "datasetId": dataset_id,
        "name": None,
        "description": None,
        "metadata": None,
        "numberOfDocuments": documents,
        "groundTruthSummary": {},
        "retentionInDays": 1825,
        "containsPersonallyIdentifiableInformation": True,
        "storageLocation": "EU",
        "version": documents,
        "createdTime": "2026-01-01T00:00:00.000000+0000",
        "createdBy": None,
        "updatedTime": None,
        "updatedBy": None,
    }


async def seed_data_bundle(
    pool: asyncpg.Pool,
    organization_id: str,
    model_id: str,
    *,
    status: str = "succeeded",
    documents: int = 10,
    dataset_id: str | None = None,
) -> str:
    """A data bundle of one dataset."""
    data_bundle_id = new_id(DataBundleId)
    dataset = bundled_dataset(dataset_id or new_id(DatasetId), documents)
    await pool.execute(
        """
        INSERT INTO data_bundle (organization_id, id, model_id, status, datasets)
        VALUES ($1, $2, $3, $4, $5)
        """,
        organization_id,
        data_bundle_id,
        model_id,
        status,
        [dataset],
    )
    return data_bundle_id


async def seed_training(
    pool: asyncpg.Pool, organization_id: str, model_id: str, *, status: str = "succeeded"
) -> str:
    """A training without a job."""
    training_id = new_id(TrainingId)
    await pool.execute(
        "INSERT INTO training (organization_id, id, model_id, status) VALUES ($1, $2, $3, $4)",
        organization_id,
        training_id,
        model_id,
        status,
    )
    return training_id


async def seed_secret(pool: asyncpg.Pool, organization_id: str) -> str:
    """A secret that nobody can read."""
    secret_id = new_id(SecretId)
    await pool.execute(
        "INSERT INTO secret (organization_id, id, key_id, nonce, ciphertext) VALUES ($1, $2, 'none', $3, $3)",
        organization_id,
        secret_id,
        b"-",
    )
    return secret_id


async def seed_asset(pool: asyncpg.Pool, organization_id: str) -> str:
    """An asset without its object."""
    asset_id = new_id(AssetId)
    await pool.execute(
        "INSERT INTO asset (organization_id, id, content_key, content_md5) VALUES ($1, $2, 'none', 'none')",
        organization_id,
        asset_id,
    )
    return asset_id


async def claim_job(pool: asyncpg.Pool, kind: AnyKind, *, seconds: float = 60.0) -> Job:
    """What a worker would be given next; waits until there is a job."""
    async with asyncio.timeout(seconds):
        while True:
            async with pool.acquire() as connection:
                jobs = await leases.claim(connection, kind, owner="test", lease=60.0, limit=1)
            if jobs:
                return jobs[0]
            await asyncio.sleep(0.01)


async def jobs_of(pool: asyncpg.Pool, subject_id: str) -> list[dict[str, Any]]:
    """The jobs that work, or worked, for a resource."""
    rows = await pool.fetch("SELECT * FROM job WHERE subject_id = $1 ORDER BY created_time, id", subject_id)
    return [dict(row) for row in rows]


async def used(pool: asyncpg.Pool, organization_id: str, meter: str) -> float:
    """What an organization has used of a meter, over all months."""
    return float(
        await pool.fetchval(
            "SELECT coalesce(sum(used), 0) FROM usage_counter WHERE organization_id = $1 AND meter = $2",
            organization_id,
            meter,
        )
    )

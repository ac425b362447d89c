"""A deletion leaves nothing in object storage."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import httpx

from pagemill.objects import ObjectStore
from pagemill.objects.keys import data_bundle_snapshot_key, new_data_bundle_key, training_prefix
from tests.support.seeds import seed_data_bundle, seed_training
from tests.support.tenants import Tenant

FIELDS = {"total": {"type": "amount"}}


def files_in(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def test_objects_of_a_bundle_and_a_model_are_deleted_with_them(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    objects: ObjectStore,
    objects_directory: Path,
) -> None:
    model_id = (await api.post("/v1/models", json={"fieldConfig": FIELDS})).json()["modelId"]
    owner = organization.organization_id
    bundles = [await seed_data_bundle(pool, owner, model_id) for _ in range(2)]
    training_id = await seed_training(pool, owner, model_id)
    for bundle_id in bundles:
        await objects.put(new_data_bundle_key(owner, bundle_id) + "part-00000-000.parquet", b"words")
        await objects.put(data_bundle_snapshot_key(owner, bundle_id), b"snapshot of a former release")
    await objects.put(training_prefix(owner, training_id) + "artefact/weights.safetensors", b"weights")

    assert (await api.delete(f"/v1/models/{model_id}/dataBundles/{bundles[0]}")).status_code == 200
    assert len(files_in(objects_directory)) == 3
    assert (await api.delete(f"/v1/models/{model_id}")).status_code == 200
    assert files_in(objects_directory) == []

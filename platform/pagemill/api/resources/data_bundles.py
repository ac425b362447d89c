"""Data bundles of a model: ``/models/{modelId}/dataBundles``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import asyncpg
import msgspec
from litestar import Controller, Request, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from db import data_bundles as statements
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection, release_connection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    ValidDatasetId,
    audit,
    change,
    require_members,
)
from pagemill.api.http.state import AppState
from pagemill.api.resources.datasets import to_dataset
from pagemill.api.resources.models import MODEL_DEPENDENCIES, below_model, hold_model, require_model
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DataBundleId, new_id
from pagemill.jobs.job import BATCH
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.objects.keys import data_bundle_key
from pagemill.objects.removal import remove
from pagemill.usage.counting import count

DataBundleStatus = Literal["running", "succeeded", "failed"]
RETENTION_OF_NOTHING = 1825
MAXIMUM_DATASETS = 1000
ONE = below_model("/dataBundles/{data_bundle_id:str}")


class PostDataBundle(RequestStruct):
    dataset_ids: (
        Annotated[list[ValidDatasetId], Meta(min_length=1, max_length=MAXIMUM_DATASETS)] | UnsetType
    ) = UNSET
    name: Text | None = None
    description: Text | None = None


class PatchDataBundle(RequestStruct):
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class DataBundle(Audited, kw_only=True):
    """``datasets`` are the datasets as they were when the bundle was made."""

    data_bundle_id: str
    model_id: str
    name: str | None
    description: str | None
    datasets: list[dict[str, Any]]
    status: DataBundleStatus
    summary: dict[str, Any] | None
    retention_in_days: int


class DataBundles(ResponseStruct):
    data_bundles: list[DataBundle]
    next_token: str | None
    status: list[DataBundleStatus] | UnsetType = UNSET


def to_data_bundle(row: asyncpg.Record) -> DataBundle:
    return DataBundle(
        data_bundle_id=row["id"],
        model_id=row["model_id"],
        name=row["name"],
        description=row["description"],
        datasets=row["datasets"],
        status=row["status"],
        summary=row["summary"],
        retention_in_days=row["retention_in_days"],
        **audit(row),
    )


def data_bundle_not_found(data_bundle_id: str) -> NotFound:
    return NotFound(f"Data bundle {data_bundle_id} not found")


class DataBundleController(Controller):
    path = "/models"
    tags = ("Data bundles",)
    dependencies = MODEL_DEPENDENCIES

    @post(below_model("/dataBundles"), status_code=200)
    async def create_data_bundle(
        self, own_model_id: str, data: PostDataBundle, caller: Caller, connection: RequestConnection
    ) -> DataBundle:
        """Snapshot datasets; their summary follows when the documents have been read."""
        organization_id, data_bundle_id = caller.organization_id, new_id(DataBundleId)
        dataset_ids = [] if data.dataset_ids is UNSET else list(dict.fromkeys(data.dataset_ids))
        async with connection.transaction():
            await hold_model(connection, caller, own_model_id)
            datasets = await _snapshot(connection, organization_id, dataset_ids)
            row = await statements.INSERT_DATA_BUNDLE.fetch_one(
                connection,
                organization_id,
                data_bundle_id,
                own_model_id,
                data.name,
                data.description,
                datasets,
                _retention(datasets),
                caller.principal_id,
            )
            await _enqueue(connection, organization_id, data_bundle_id)
            await count(connection, organization_id, "data-bundles")
        return to_data_bundle(row)

    @get(below_model("/dataBundles"))
    async def list_data_bundles(
        self,
        own_model_id: str,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: list[DataBundleStatus] | None = None,
    ) -> DataBundles:
        await require_model(connection, caller, own_model_id)
        rows = await statements.LIST_DATA_BUNDLES.fetch(
            connection, caller.organization_id, own_model_id, status, *page.after, page.limit
        )
        shown, next_token = cut(rows, page)
        return DataBundles(
            data_bundles=[to_data_bundle(row) for row in shown],
            next_token=next_token,
            status=status or UNSET,
        )

    @get(ONE)
    async def get_data_bundle(
        self, own_model_id: str, data_bundle_id: str, caller: Caller, connection: RequestConnection
    ) -> DataBundle:
        row = await statements.GET_DATA_BUNDLE.fetch_one(
            connection, caller.organization_id, own_model_id, data_bundle_id
        )
        if row is None:
            raise data_bundle_not_found(data_bundle_id)
        return to_data_bundle(row)

    @patch(ONE)
    async def update_data_bundle(
        self,
        own_model_id: str,
        data_bundle_id: str,
        data: PatchDataBundle,
        caller: Caller,
        connection: RequestConnection,
    ) -> DataBundle:
        """Change the name or the description; datasets that changed since are bundled anew."""
        require_members(data)
        key = (caller.organization_id, own_model_id, data_bundle_id)
        async with connection.transaction():
            bundle = await statements.LOCK_DATA_BUNDLE.fetch_one(connection, *key)
            if bundle is None:
                raise data_bundle_not_found(data_bundle_id)
            if bundle["status"] != "running":
                await _restart_if_changed(connection, key, bundle["datasets"])
            row = await statements.UPDATE_DATA_BUNDLE.fetch_one(
                connection, *key, *change(data.name), *change(data.description), caller.principal_id
            )
        return to_data_bundle(row)

    @delete(ONE, status_code=200)
    async def delete_data_bundle(
        self,
        own_model_id: str,
        data_bundle_id: str,
        request: Request[Any, Any, Any],
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> DataBundle:
        """A bundle that is still being made is cancelled."""
        key = (caller.organization_id, own_model_id, data_bundle_id)
        async with connection.transaction():
            row = await statements.GET_DATA_BUNDLE.fetch_one(connection, *key)
            if row is None:
                raise data_bundle_not_found(data_bundle_id)
            # The job before the bundle, as its worker locks them: the other way round would deadlock.
            await request_cancel(connection, caller.organization_id, data_bundle_id)
            await statements.DELETE_DATA_BUNDLE.execute(connection, *key)
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await remove(app_state.objects, keys=[data_bundle_key(caller.organization_id, data_bundle_id)])
        return to_data_bundle(row)


async def _snapshot(
    connection: Connection, organization_id: str, dataset_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """The datasets as the API shows them, in the order asked for. Raises BadRequest for unknown ones."""
    rows = await statements.DATASETS_TO_BUNDLE.fetch(connection, organization_id, list(dataset_ids))
    datasets = {row["id"]: msgspec.to_builtins(to_dataset(row)) for row in rows}
    unknown = [dataset_id for dataset_id in dataset_ids if dataset_id not in datasets]
    if unknown:
        raise BadRequest(f"datasetIds: dataset {unknown[0]} does not exist")
    return [datasets[dataset_id] for dataset_id in dataset_ids]


async def _restart_if_changed(
    connection: Connection, key: tuple[str, str, str], bundled: Sequence[dict[str, Any]]
) -> None:
    """Bundle the datasets that still exist anew when one of them has another version."""
    organization_id, _, data_bundle_id = key
    ids = [dataset["datasetId"] for dataset in bundled]
    rows = await statements.DATASETS_TO_BUNDLE.fetch(connection, organization_id, ids)
    current = {row["id"]: msgspec.to_builtins(to_dataset(row)) for row in rows}
    datasets = [current.get(dataset["datasetId"], dataset) for dataset in bundled]
    if [dataset["version"] for dataset in datasets] != [dataset["version"] for dataset in bundled]:
        await statements.RESTART_DATA_BUNDLE.execute(connection, *key, datasets, _retention(datasets))
        await _enqueue(connection, organization_id, data_bundle_id)


def _retention(datasets: Sequence[dict[str, Any]]) -> int:
    """A bundle is kept as long as the shortest-lived of its datasets."""
    return min((int(dataset["retentionInDays"]) for dataset in datasets), default=RETENTION_OF_NOTHING)


async def _enqueue(connection: Connection, organization_id: str, data_bundle_id: str) -> None:
    await enqueue(
        connection,
        kind="data-bundle",
        organization_id=organization_id,
        subject_id=data_bundle_id,
        priority=BATCH,
    )

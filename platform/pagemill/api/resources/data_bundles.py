"""Data bundles of a model, snapshots of datasets: ``/models/{modelId}/dataBundles``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from db import data_bundles as statements
from db.data_bundles import DataBundleStatus
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection, release_connection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.schemas import (
    Audited,
    DatasetReference,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    require_members,
)
from pagemill.api.resources.datasets import to_visible_dataset
from pagemill.api.resources.models import MODEL_DEPENDENCIES, below_model, keep_model, require_model
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DataBundleId, DatasetId, ModelId, OrganizationId, new_id
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.objects.discarding import discard
from pagemill.objects.keys import data_bundle_names
from pagemill.usage.counting import count
from pagemill.work.data_bundles import DATA_BUNDLE

RETENTION_WITHOUT_DATASETS = 1825
MAXIMUM_DATASETS = 1000
ONE = below_model("/dataBundles/{data_bundle_id:str}")


class PostDataBundle(RequestStruct):
    """A new data bundle."""

    dataset_ids: (
        Annotated[list[DatasetReference], Meta(min_length=1, max_length=MAXIMUM_DATASETS)] | UnsetType
    ) = UNSET
    name: Text | None = None
    description: Text | None = None


class PatchDataBundle(RequestStruct):
    """Changes of a data bundle; null clears."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class DataBundleProgress(ResponseStruct):
    """Number of the documents, and of those that have been read."""

    documents_read: int
    documents: int


class DataBundle(Audited, kw_only=True):
    """A snapshot of datasets; ``datasets`` are the datasets as they were when the bundle was made."""

    data_bundle_id: DataBundleId
    model_id: ModelId
    name: str | None
    description: str | None
    datasets: list[dict[str, Any]]
    status: DataBundleStatus
    summary: dict[str, Any] | None
    retention_in_days: int
    progress: DataBundleProgress | UnsetType = UNSET


class DataBundles(ResponseStruct):
    """A page of data bundles."""

    data_bundles: list[DataBundle]
    next_token: str | None
    status: list[DataBundleStatus] | UnsetType = UNSET


def to_data_bundle(row: statements.DataBundleRow) -> DataBundle:
    """Return a data bundle as the API shows it."""
    return DataBundle(
        data_bundle_id=row.id,
        model_id=row.model_id,
        name=row.name,
        description=row.description,
        datasets=row.datasets,
        status=row.status,
        summary=row.summary,
        retention_in_days=row.retention_in_days,
        progress=_progress(row),
        **audit(row),
    )


def _progress(row: statements.DataBundleRow) -> DataBundleProgress | UnsetType:
    if row.status != "running" or row.documents is None or row.documents_read is None:
        return UNSET
    return DataBundleProgress(documents_read=row.documents_read, documents=row.documents)


def data_bundle_not_found(data_bundle_id: DataBundleId) -> NotFound:
    """Return the error for a data bundle that the model does not have."""
    return NotFound(f"Data bundle {data_bundle_id} not found")


class DataBundleController(Controller):
    """Operations on the data bundles of a model."""

    path = "/models"
    tags = ("Data bundles",)
    dependencies = MODEL_DEPENDENCIES

    @post(below_model("/dataBundles"), status_code=200, transaction="request")
    async def create_data_bundle(
        self, own_model_id: ModelId, data: PostDataBundle, caller: Caller, connection: RequestConnection
    ) -> DataBundle:
        """Create a data bundle from datasets.

        Its documents are read in the background: the bundle is ``running``, with a ``progress`` that grows,
        then ``succeeded`` with a ``summary`` of the quality of the labels, or ``failed``. Get it until then.
        Documents that cannot be read do not fail a bundle, the summary lists them. ``retentionInDays`` is the
        shortest of the datasets'. A shared dataset of another organization is named with its owner, beyond
        the reference API: ``las:organization:<name>/las:dataset:<id>``. Answers 400 when a dataset does not
        exist, and 429 when the plan allows no more bundles this month.
        """
        organization_id, data_bundle_id = caller.organization_id, new_id(DataBundleId)
        references = [] if data.dataset_ids is UNSET else list(dict.fromkeys(data.dataset_ids))
        owner_ids = _other_owners(organization_id, references)
        async with connection.transaction():
            await keep_model(connection, caller, own_model_id)
            datasets = await _snapshot(connection, caller, owner_ids, references)
            row = await statements.insert_data_bundle(
                connection,
                organization_id=organization_id,
                data_bundle_id=data_bundle_id,
                model_id=own_model_id,
                name=data.name,
                description=data.description,
                datasets=datasets,
                owner_ids=owner_ids,
                retention_in_days=_retention(datasets),
                created_by=caller.principal_id,
            )
            await _enqueue(connection, organization_id, data_bundle_id)
            await count(connection, organization_id, "data-bundles")
        return to_data_bundle(row)

    @get(below_model("/dataBundles"))
    async def list_data_bundles(
        self,
        own_model_id: ModelId,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: list[DataBundleStatus] | None = None,
    ) -> DataBundles:
        """List the data bundles of a model, oldest first.

        ``status`` can be repeated to list several statuses.
        """
        await require_model(connection, caller, own_model_id)
        rows = await statements.list_data_bundles(
            connection,
            organization_id=caller.organization_id,
            model_id=own_model_id,
            statuses=status,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, next_token = cut(rows, page)
        return DataBundles(
            data_bundles=[to_data_bundle(row) for row in shown],
            next_token=next_token,
            status=status or UNSET,
        )

    @get(ONE)
    async def get_data_bundle(
        self,
        own_model_id: ModelId,
        data_bundle_id: DataBundleId,
        caller: Caller,
        connection: RequestConnection,
    ) -> DataBundle:
        """Get a data bundle.

        ``summary`` is null until the bundle has succeeded.
        """
        row = await statements.get_data_bundle(
            connection,
            organization_id=caller.organization_id,
            model_id=own_model_id,
            data_bundle_id=data_bundle_id,
        )
        if row is None:
            raise data_bundle_not_found(data_bundle_id)
        return to_data_bundle(row)

    @patch(ONE)
    async def update_data_bundle(
        self,
        own_model_id: ModelId,
        data_bundle_id: DataBundleId,
        data: PatchDataBundle,
        caller: Caller,
        connection: RequestConnection,
    ) -> DataBundle:
        """Update the name or the description of a data bundle.

        When one of its datasets has changed since, the bundle is also made again from the datasets as they
        are now: it is ``running`` with ``summary`` null, as after its creation.
        """
        require_members(data)
        organization_id = caller.organization_id
        async with connection.transaction():
            bundle = await statements.lock_data_bundle(
                connection,
                organization_id=organization_id,
                model_id=own_model_id,
                data_bundle_id=data_bundle_id,
            )
            if bundle is None:
                raise data_bundle_not_found(data_bundle_id)
            if bundle.status != "running":
                await _restart_if_changed(connection, caller, bundle)
            row = await statements.update_data_bundle(
                connection,
                organization_id=organization_id,
                model_id=own_model_id,
                data_bundle_id=data_bundle_id,
                name=data.name,
                description=data.description,
                updated_by=caller.principal_id,
            )
        return to_data_bundle(row)

    @delete(ONE, status_code=200)
    async def delete_data_bundle(
        self,
        own_model_id: ModelId,
        data_bundle_id: DataBundleId,
        request: ApiRequest,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> DataBundle:
        """Delete a data bundle.

        A bundle that is ``running`` is cancelled first. Trainings that have learned from it stay.
        """
        organization_id = caller.organization_id
        async with connection.transaction():
            row = await statements.get_data_bundle(
                connection,
                organization_id=organization_id,
                model_id=own_model_id,
                data_bundle_id=data_bundle_id,
            )
            if row is None:
                raise data_bundle_not_found(data_bundle_id)
            # The job before the bundle, as its worker locks them: the other way round would deadlock.
            await request_cancel(
                connection, DATA_BUNDLE, organization_id=organization_id, subject_id=data_bundle_id
            )
            await statements.delete_data_bundle(
                connection,
                organization_id=organization_id,
                model_id=own_model_id,
                data_bundle_id=data_bundle_id,
            )
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await discard(app_state.objects, keys=data_bundle_names(organization_id, data_bundle_id))
        return to_data_bundle(row)


def _other_owners(organization_id: OrganizationId, references: Sequence[str]) -> list[OrganizationId]:
    """Return the other organizations whose datasets are named, each once."""
    owners = dict.fromkeys(OrganizationId(reference.rpartition("/")[0]) for reference in references)
    return [owner for owner in owners if owner and owner != organization_id]


def _dataset_id(reference: str) -> DatasetId:
    return DatasetId(reference.rpartition("/")[2])


async def _snapshot(
    connection: Connection,
    caller: Caller,
    owner_ids: Sequence[OrganizationId],
    references: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the datasets as the API shows them, in this order. Raises BadRequest for an unknown one."""
    dataset_ids = list(dict.fromkeys(_dataset_id(reference) for reference in references))
    datasets = await _shown_datasets(connection, caller, owner_ids, dataset_ids)
    unknown = [reference for reference in references if _dataset_id(reference) not in datasets]
    if unknown:
        raise BadRequest(f"datasetIds: dataset {unknown[0]} does not exist")
    return [datasets[dataset_id] for dataset_id in dataset_ids]


async def _restart_if_changed(
    connection: Connection, caller: Caller, bundle: statements.DataBundleRow
) -> None:
    """Bundle the datasets that still exist again when one of them has another version."""
    ids = [DatasetId(dataset["datasetId"]) for dataset in bundle.datasets]
    current = await _shown_datasets(connection, caller, bundle.owner_ids, ids)
    datasets = [current.get(dataset["datasetId"], dataset) for dataset in bundle.datasets]
    if [dataset["version"] for dataset in datasets] != [dataset["version"] for dataset in bundle.datasets]:
        await statements.restart_data_bundle(
            connection,
            organization_id=caller.organization_id,
            model_id=bundle.model_id,
            data_bundle_id=bundle.id,
            datasets=datasets,
            retention_in_days=_retention(datasets),
        )
        await _enqueue(connection, caller.organization_id, bundle.id)


async def _shown_datasets(
    connection: Connection,
    caller: Caller,
    owner_ids: Sequence[OrganizationId],
    dataset_ids: Sequence[DatasetId],
) -> dict[str, dict[str, Any]]:
    """Return those of the datasets that exist as the API shows them, by id."""
    rows = await statements.list_datasets_to_bundle(
        connection,
        organization_id=caller.organization_id,
        owner_ids=owner_ids,
        dataset_ids=dataset_ids,
    )
    return {row.id: msgspec.to_builtins(to_visible_dataset(row, row.organization_id, caller)) for row in rows}


def _retention(datasets: Sequence[dict[str, Any]]) -> int:
    """Return the shortest retention of the datasets, in days."""
    return min((int(dataset["retentionInDays"]) for dataset in datasets), default=RETENTION_WITHOUT_DATASETS)


async def _enqueue(
    connection: Connection, organization_id: OrganizationId, data_bundle_id: DataBundleId
) -> None:
    await enqueue(connection, DATA_BUNDLE, organization_id=organization_id, subject_id=data_bundle_id)

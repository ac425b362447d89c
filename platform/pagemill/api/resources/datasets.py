"""Datasets: ``/datasets``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Controller, delete, get, patch, post
from litestar.di import Provide
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import datasets as statements
from db.datasets import DatasetRow
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.requested_resources import OWN
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.schemas import (
    Audited,
    Metadata,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    checked_metadata,
    require_members,
)
from pagemill.documents.changes import DEFAULT_RETENTION_IN_DAYS
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DatasetId, OrganizationId, new_id
from pagemill.usage.counting import count, uncount

LONGEST_RETENTION_IN_DAYS = 1825

DatasetRetention = Annotated[int, Meta(ge=1, le=LONGEST_RETENTION_IN_DAYS)]

DATASET_PATHS = ["/{dataset_id:str}", "/{owner:str}/{dataset_id:str}"]
DatasetPath = Annotated[DatasetId, Parameter(description="las:dataset:<32 hexadecimal digits>")]


class PostDataset(RequestStruct):
    """A new dataset."""

    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    retention_in_days: DatasetRetention = DEFAULT_RETENTION_IN_DAYS
    contains_personally_identifiable_information: bool = True


class PatchDataset(RequestStruct):
    """Changes of a dataset. null clears name and description."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    retention_in_days: DatasetRetention | UnsetType = UNSET
    contains_personally_identifiable_information: bool | UnsetType = UNSET


class Dataset(Audited, kw_only=True):
    """A dataset. ``groundTruthSummary`` has the number of values by label, ``version`` counts changes."""

    dataset_id: str
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    number_of_documents: int
    ground_truth_summary: dict[str, int]
    retention_in_days: int
    contains_personally_identifiable_information: bool
    storage_location: Literal["EU"] = "EU"
    version: int


class Datasets(ResponseStruct):
    """A page of datasets."""

    datasets: list[Dataset]
    next_token: str | None


def to_visible_dataset(row: DatasetRow, owner: OrganizationId, caller: Caller) -> Dataset:
    """Return a dataset as the caller sees it: others than its owner see neither metadata nor authors."""
    shown = to_dataset(row)
    if owner != caller.organization_id:
        shown.metadata = shown.created_by = shown.updated_by = None
    return shown


def to_dataset(row: DatasetRow) -> Dataset:
    """Return a dataset as the API shows it."""
    return Dataset(
        dataset_id=row.id,
        name=row.name,
        description=row.description,
        metadata=row.metadata,
        number_of_documents=row.number_of_documents,
        ground_truth_summary=row.ground_truth_summary,
        retention_in_days=row.retention_in_days,
        contains_personally_identifiable_information=row.contains_pii,
        version=row.version,
        **audit(row),
    )


def dataset_not_found(dataset_id: DatasetId) -> NotFound:
    """Return the error for a dataset that does not exist or is another organization's."""
    return NotFound(f"Dataset {dataset_id} not found")


def dataset_owner(request: ApiRequest, caller: Caller) -> OrganizationId:
    """Return the organization in the path, or else the caller's."""
    return OrganizationId(request.path_params.get("owner", caller.organization_id))


class DatasetController(Controller):
    """Operations on datasets."""

    path = "/datasets"
    tags = ("Datasets",)

    @post(status_code=200, transaction="request")
    async def create_dataset(
        self, data: PostDataset, caller: Caller, connection: RequestConnection
    ) -> Dataset:
        """Create a dataset.

        A dataset holds the documents that a model learns from; POST or PATCH documents with its `datasetId`
        to fill it. `retentionInDays` (1 to 1825, the default) is the longest time that it keeps a document.
        """
        async with connection.transaction():
            await count(connection, caller.organization_id, "datasets")
            row = await statements.insert_dataset(
                connection,
                organization_id=caller.organization_id,
                dataset_id=new_id(DatasetId),
                name=data.name,
                description=data.description,
                metadata=checked_metadata(data.metadata),
                retention_in_days=data.retention_in_days,
                contains_pii=data.contains_personally_identifiable_information,
                created_by=caller.principal_id,
            )
        return to_dataset(row)

    @get()
    async def list_datasets(
        self, caller: Caller, connection: RequestConnection, page: PageRequest, owner: list[str] | None = None
    ) -> Datasets:
        """List datasets, oldest first.

        Each has the number of its documents and a summary of their ground truth. Without `owner`, the
        organization's own datasets. `owner` is an organization id, or `me` for the caller's, and can be
        repeated; of other organizations only shared datasets are listed. `owner` goes beyond the reference
        API.
        """
        if owner:
            return await _list_of_owners(connection, caller, owner, page)
        rows = await statements.list_datasets(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return Datasets(datasets=[to_dataset(row) for row in shown], next_token=token)

    @get(DATASET_PATHS, dependencies={"dataset_owner": Provide(dataset_owner, sync_to_thread=False)})
    async def get_dataset(
        self,
        dataset_id: DatasetPath,
        dataset_owner: OrganizationId,
        caller: Caller,
        connection: RequestConnection,
    ) -> Dataset:
        """Get a dataset.

        `numberOfDocuments`, `groundTruthSummary` and `version` (one more with each document that is added,
        changed or removed) are always up to date. Beyond the reference API, a shared dataset of another
        organization is found as `<organizationId>/<datasetId>`; its metadata, and who made it, are null. Its
        documents are not shown, but data bundles of other organizations learn from them.
        """
        if dataset_owner == caller.organization_id:
            row = await statements.get_dataset(
                connection, organization_id=dataset_owner, dataset_id=dataset_id
            )
        else:
            row = await statements.get_shared_dataset(
                connection, owner_id=dataset_owner, dataset_id=dataset_id
            )
        if row is None:
            raise dataset_not_found(dataset_id)
        return to_visible_dataset(row, dataset_owner, caller)

    @patch("/{dataset_id:str}")
    async def update_dataset(
        self, dataset_id: DatasetPath, data: PatchDataset, caller: Caller, connection: RequestConnection
    ) -> Dataset:
        """Update a dataset.

        At least one member is required; members that are not sent keep their values. A new
        `retentionInDays` holds for documents that are added later, not for those already in the dataset.
        """
        require_members(data)
        row = await statements.update_dataset(
            connection,
            organization_id=caller.organization_id,
            dataset_id=dataset_id,
            name=data.name,
            description=data.description,
            metadata=checked_metadata(data.metadata),
            retention_in_days=data.retention_in_days,
            contains_pii=data.contains_personally_identifiable_information,
            updated_by=caller.principal_id,
        )
        if row is None:
            raise dataset_not_found(dataset_id)
        return to_dataset(row)

    @delete("/{dataset_id:str}", status_code=200)
    async def delete_dataset(
        self, dataset_id: DatasetPath, caller: Caller, connection: RequestConnection
    ) -> Dataset:
        """Delete an empty dataset.

        A dataset that still has documents is refused with 400: delete them first with
        `DELETE /v1/documents?datasetId=...`.
        """
        async with connection.transaction():
            row = await statements.lock_dataset(
                connection, organization_id=caller.organization_id, dataset_id=dataset_id
            )
            if row is None:
                raise dataset_not_found(dataset_id)
            if row.number_of_documents:
                raise BadRequest(
                    f"Dataset {dataset_id} must be empty: it has {row.number_of_documents} documents"
                )
            await statements.delete_dataset(
                connection, organization_id=caller.organization_id, dataset_id=dataset_id
            )
            await uncount(connection, caller.organization_id, "datasets")
        return to_dataset(row)


async def _list_of_owners(
    connection: Connection, caller: Caller, owners: list[str], page: PageRequest
) -> Datasets:
    """Return a page of the datasets of several owners that the caller may see."""
    own = caller.organization_id
    rows = await statements.list_datasets_of_owners(
        connection,
        organization_id=own,
        owner_ids=[own if owner == OWN else OrganizationId(owner) for owner in owners],
        after_time=page.after_time,
        after_id=page.after_id,
        limit=page.limit,
    )
    shown, token = cut(rows, page)
    datasets = [to_visible_dataset(row, row.organization_id, caller) for row in shown]
    return Datasets(datasets=datasets, next_token=token)

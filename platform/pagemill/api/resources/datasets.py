"""Datasets: ``/datasets``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import asyncpg
from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import datasets as statements
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    Metadata,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    change,
    checked_metadata,
    require_members,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DatasetId, new_id
from pagemill.usage.counting import count, uncount

DEFAULT_RETENTION_IN_DAYS = 1825
LONGEST_RETENTION_IN_DAYS = 1825

DatasetRetention = Annotated[int, Meta(ge=1, le=LONGEST_RETENTION_IN_DAYS)]

DatasetPath = Annotated[str, Parameter(description="las:dataset:<32 hexadecimal digits>")]


class PostDataset(RequestStruct):
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    retention_in_days: DatasetRetention = DEFAULT_RETENTION_IN_DAYS
    contains_personally_identifiable_information: bool = True


class PatchDataset(RequestStruct):
    """null clears name and description. A new retention leaves the documents already inside alone."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    retention_in_days: DatasetRetention | UnsetType = UNSET
    contains_personally_identifiable_information: bool | UnsetType = UNSET


class Dataset(Audited, kw_only=True):
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
    datasets: list[Dataset]
    next_token: str | None


def to_dataset(row: asyncpg.Record) -> Dataset:
    return Dataset(
        dataset_id=row["id"],
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        number_of_documents=row["number_of_documents"],
        ground_truth_summary=row["ground_truth_summary"],
        retention_in_days=row["retention_in_days"],
        contains_personally_identifiable_information=row["contains_pii"],
        version=row["version"],
        **audit(row),
    )


def dataset_not_found(dataset_id: str) -> NotFound:
    return NotFound(f"Dataset {dataset_id} not found")


async def dataset_retention(connection: Connection, caller: Caller, dataset_id: str) -> int:
    """How long the dataset keeps documents; it stays until the caller's transaction ends.

    Raises BadRequest when the organization has no such dataset.
    """
    retention: int | None = await statements.KEEP_DATASET.fetch_value(
        connection, caller.organization_id, dataset_id
    )
    if retention is None:
        raise BadRequest(f"datasetId: dataset {dataset_id} does not exist")
    return retention


class DatasetController(Controller):
    path = "/datasets"
    tags = ("Datasets",)

    @post(status_code=200, transaction="request")
    async def create_dataset(
        self, data: PostDataset, caller: Caller, connection: RequestConnection
    ) -> Dataset:
        async with connection.transaction():
            await count(connection, caller.organization_id, "datasets")
            row = await statements.INSERT_DATASET.fetch_one(
                connection,
                caller.organization_id,
                new_id(DatasetId),
                data.name,
                data.description,
                checked_metadata(data.metadata),
                data.retention_in_days,
                data.contains_personally_identifiable_information,
                caller.principal_id,
            )
        assert row is not None
        return to_dataset(row)

    @get()
    async def list_datasets(
        self, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> Datasets:
        rows = await statements.LIST_DATASETS.fetch(
            connection, caller.organization_id, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return Datasets(datasets=[to_dataset(row) for row in shown], next_token=token)

    @get("/{dataset_id:str}")
    async def get_dataset(
        self, dataset_id: DatasetPath, caller: Caller, connection: RequestConnection
    ) -> Dataset:
        row = await statements.GET_DATASET.fetch_one(connection, caller.organization_id, dataset_id)
        if row is None:
            raise dataset_not_found(dataset_id)
        return to_dataset(row)

    @patch("/{dataset_id:str}")
    async def update_dataset(
        self, dataset_id: DatasetPath, data: PatchDataset, caller: Caller, connection: RequestConnection
    ) -> Dataset:
        require_members(data)
        metadata = checked_metadata(data.metadata)
        personal = data.contains_personally_identifiable_information
        row = await statements.UPDATE_DATASET.fetch_one(
            connection,
            caller.organization_id,
            dataset_id,
            *change(data.name),
            *change(data.description),
            *change(metadata),
            None if data.retention_in_days is UNSET else data.retention_in_days,
            None if personal is UNSET else personal,
            caller.principal_id,
        )
        if row is None:
            raise dataset_not_found(dataset_id)
        return to_dataset(row)

    @delete("/{dataset_id:str}", status_code=200)
    async def delete_dataset(
        self, dataset_id: DatasetPath, caller: Caller, connection: RequestConnection
    ) -> Dataset:
        """Only an empty dataset can be deleted."""
        async with connection.transaction():
            row = await statements.LOCK_DATASET.fetch_one(connection, caller.organization_id, dataset_id)
            if row is None:
                raise dataset_not_found(dataset_id)
            if row["number_of_documents"]:
                raise BadRequest(
                    f"Dataset {dataset_id} must be empty: it has {row['number_of_documents']} documents"
                )
            await statements.DELETE_DATASET.execute(connection, caller.organization_id, dataset_id)
            await uncount(connection, caller.organization_id, "datasets")
        return to_dataset(row)

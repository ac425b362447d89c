"""Datasets: named sets of documents, with counters that every change of a document updates."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UnsetType

from db.keyset import within_bytes
from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import DatasetId, OrganizationId, PrincipalId


class DatasetRow(Row):
    """A dataset. ``ground_truth_summary`` has the number of values by label, ``version`` counts changes."""

    id: DatasetId
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    retention_in_days: int
    contains_pii: bool
    number_of_documents: int
    ground_truth_summary: dict[str, int]
    version: int
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class OwnedDatasetRow(DatasetRow):
    """A dataset and its owner, for those who see datasets of several."""

    organization_id: OrganizationId


class ListedOwnedDatasetRow(OwnedDatasetRow):
    """The same in a page that may end early because its rows are large."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class ListedDatasetRow(DatasetRow):
    """A dataset in a page that may end early because its rows are large."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


@tenant(f"""
    INSERT INTO dataset (
        organization_id, id, name, description, metadata, retention_in_days, contains_pii, created_by,
        created_time
    )
    VALUES (
        :organization_id, :dataset_id, :name, :description, :metadata, :retention_in_days, :contains_pii,
        :created_by, now()
    )
    RETURNING {columns(DatasetRow)}
""")
async def insert_dataset(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    name: str | None,
    description: str | None,
    metadata: dict[str, Any] | None,
    retention_in_days: int,
    contains_pii: bool,
    created_by: PrincipalId,
) -> DatasetRow:
    """Add an empty dataset."""


@tenant(f"""
    SELECT {columns(DatasetRow)} FROM dataset WHERE organization_id = :organization_id AND id = :dataset_id
""")
async def get_dataset(
    connection: Connection, *, organization_id: OrganizationId, dataset_id: DatasetId
) -> DatasetRow | None:
    """Return a dataset."""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(DatasetRow)} FROM dataset
        WHERE organization_id = :organization_id
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "ground_truth_summary",
        order="created_time, id",
        columns=columns(DatasetRow),
    )
)
async def list_datasets(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedDatasetRow]:
    """Return a page of datasets, oldest first."""


@crossing(
    "a shared dataset is shown to everybody who names its owner",
    f"""
    SELECT {columns(DatasetRow)} FROM dataset
    WHERE organization_id = :owner_id AND id = :dataset_id AND shared
    """,
)
async def get_shared_dataset(
    connection: Connection, *, owner_id: OrganizationId, dataset_id: DatasetId
) -> DatasetRow | None:
    """Return a dataset that its owner shares."""


@crossing(
    "of other organizations only the shared datasets are listed",
    within_bytes(
        f"""
        SELECT {columns(OwnedDatasetRow)} FROM dataset
        WHERE organization_id = ANY(:owner_ids::text[]) AND (organization_id = :organization_id OR shared)
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "ground_truth_summary",
        order="created_time, id",
        columns=columns(OwnedDatasetRow),
    ),
)
async def list_datasets_of_owners(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    owner_ids: Sequence[OrganizationId],
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedOwnedDatasetRow]:
    """Return a page of the datasets of several owners that the organization may see, oldest first."""


@crossing(
    "the operator decides which datasets are shared",
    "UPDATE dataset SET shared = :shared WHERE id = :dataset_id RETURNING organization_id",
)
async def share_dataset(
    connection: Connection, *, dataset_id: DatasetId, shared: bool
) -> OrganizationId | None:
    """Share a dataset with all organizations, or with none; return its owner."""


@tenant(f"""
    UPDATE dataset SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        metadata = CASE WHEN :metadata_sent THEN :metadata ELSE metadata END,
        retention_in_days = coalesce(:retention_in_days, retention_in_days),
        contains_pii = coalesce(:contains_pii, contains_pii),
        updated_time = now(), updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :dataset_id
    RETURNING {columns(DatasetRow)}
""")
async def update_dataset(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    metadata: dict[str, Any] | UnsetType | None,
    retention_in_days: int | UnsetType,
    contains_pii: bool | UnsetType,
    updated_by: PrincipalId,
) -> DatasetRow | None:
    """Change the members that are sent of a dataset."""


@tenant("""
    SELECT retention_in_days FROM dataset
    WHERE organization_id = :organization_id AND id = :dataset_id FOR KEY SHARE
""")
async def keep_dataset(
    connection: Connection, *, organization_id: OrganizationId, dataset_id: DatasetId
) -> int | None:
    """Return the retention of a dataset in days, and keep it from being deleted in this transaction."""


@tenant(f"""
    SELECT {columns(DatasetRow)} FROM dataset
    WHERE organization_id = :organization_id AND id = :dataset_id FOR UPDATE
""")
async def lock_dataset(
    connection: Connection, *, organization_id: OrganizationId, dataset_id: DatasetId
) -> DatasetRow | None:
    """Return a dataset and lock it until the transaction ends."""


@tenant("DELETE FROM dataset WHERE organization_id = :organization_id AND id = :dataset_id")
async def delete_dataset(
    connection: Connection, *, organization_id: OrganizationId, dataset_id: DatasetId
) -> RowCount:
    """Delete a dataset."""


@tenant("""
    UPDATE dataset SET
        number_of_documents = number_of_documents + :documents,
        version = version + :changes,
        ground_truth_summary = (
            SELECT coalesce(jsonb_object_agg(key, total) FILTER (WHERE total > 0), '{}')
            FROM (
                SELECT key, sum(value::bigint) AS total
                FROM (
                    SELECT key, value FROM jsonb_each_text(ground_truth_summary)
                    UNION ALL
                    SELECT key, value FROM jsonb_each_text(:labels::jsonb)
                ) AS counted
                GROUP BY key
            ) AS summed
        )
    WHERE organization_id = :organization_id AND id = :dataset_id
    RETURNING (SELECT count(*) FROM jsonb_object_keys(ground_truth_summary)) AS labels
""")
async def update_counters(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    documents: int,
    changes: int,
    labels: dict[str, int],
) -> int | None:
    """Add to the counters of a dataset, and return how many different labels it has now.

    Each number may be negative; ``labels`` has the number of values to add by label.
    """

"""Data bundles: snapshots of datasets that trainings learn from."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UnsetType

from db.datasets import OwnedDatasetRow
from db.keyset import within_bytes
from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import DataBundleId, DatasetId, JobId, ModelId, OrganizationId, PrincipalId

DataBundleStatus: TypeAlias = Literal["running", "succeeded", "failed"]


class DataBundleRow(Row):
    """A data bundle; its data set lies below ``object_key``, or is the snapshot of a former release.

    ``documents_read`` of ``documents`` have been read; both are null before the job begins.
    """

    id: DataBundleId
    model_id: ModelId
    name: str | None
    description: str | None
    datasets: list[dict[str, Any]]
    summary: dict[str, Any] | None
    status: DataBundleStatus
    documents: int | None
    documents_read: int | None
    object_key: str | None
    owner_ids: list[OrganizationId]
    retention_in_days: int
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class ListedDataBundleRow(DataBundleRow):
    """A data bundle in a list; ``rows_in_page`` is the number of rows without the limit in bytes."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class TrainableDataBundleRow(Row):
    """The part of a data bundle that decides whether a training can learn from it."""

    id: DataBundleId
    status: DataBundleStatus
    datasets: list[dict[str, Any]]


class DataBundleInputRow(Row):
    """Datasets to bundle, other organizations that share some of them, and how the model reads documents."""

    datasets: list[dict[str, Any]]
    owner_ids: list[OrganizationId]
    field_config: dict[str, Any]
    preprocess_config: dict[str, Any]


class DataBundleStatusRow(Row):
    """The status of a data bundle, after a change of it."""

    id: DataBundleId
    model_id: ModelId
    status: DataBundleStatus


@crossing(
    "shared datasets of other organizations are bundled, too",
    f"""
    SELECT {columns(OwnedDatasetRow)} FROM dataset
    WHERE id = ANY(:dataset_ids::text[])
        AND (organization_id = :organization_id OR (organization_id = ANY(:owner_ids::text[]) AND shared))
    """,
)
async def list_datasets_to_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    owner_ids: Sequence[OrganizationId],
    dataset_ids: Sequence[DatasetId],
) -> list[OwnedDatasetRow]:
    """Return those of the datasets that exist, and are the organization's or shared by one of the owners."""


@tenant(f"""
    INSERT INTO data_bundle (
        organization_id, id, model_id, name, description, datasets, owner_ids, retention_in_days, created_by
    )
    VALUES (
        :organization_id, :data_bundle_id, :model_id, :name, :description, :datasets, :owner_ids,
        :retention_in_days, :created_by
    )
    RETURNING {columns(DataBundleRow)}
""")
async def insert_data_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    data_bundle_id: DataBundleId,
    model_id: ModelId,
    name: str | None,
    description: str | None,
    datasets: list[dict[str, Any]],
    owner_ids: list[OrganizationId],
    retention_in_days: int,
    created_by: PrincipalId,
) -> DataBundleRow:
    """Add a running data bundle."""


@tenant(f"""
    SELECT {columns(DataBundleRow)} FROM data_bundle
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :data_bundle_id
""")
async def get_data_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    data_bundle_id: DataBundleId,
) -> DataBundleRow | None:
    """Return a data bundle of a model."""


@tenant(f"""
    SELECT {columns(DataBundleRow)} FROM data_bundle
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :data_bundle_id FOR UPDATE
""")
async def lock_data_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    data_bundle_id: DataBundleId,
) -> DataBundleRow | None:
    """Return a data bundle of a model and lock it until the transaction ends."""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(DataBundleRow)} FROM data_bundle
        WHERE organization_id = :organization_id AND model_id = :model_id
            AND (:statuses::text[] IS NULL OR status = ANY(:statuses))
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "datasets",
        "summary",
        order="created_time, id",
        columns=columns(DataBundleRow),
    )
)
async def list_data_bundles(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    statuses: Sequence[DataBundleStatus] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedDataBundleRow]:
    """Return a page of a model's data bundles, of all statuses or of some, oldest first."""


@tenant(f"""
    SELECT {columns(TrainableDataBundleRow)} FROM data_bundle
    WHERE organization_id = :organization_id AND model_id = :model_id
        AND id = ANY(:data_bundle_ids::text[]) FOR SHARE
""")
async def keep_data_bundles(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    data_bundle_ids: Sequence[DataBundleId],
) -> list[TrainableDataBundleRow]:
    """Return data bundles of a model, and keep them as they are until the transaction ends."""


@tenant(f"""
    UPDATE data_bundle SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        updated_time = now(),
        updated_by = :updated_by
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :data_bundle_id
    RETURNING {columns(DataBundleRow)}
""")
async def update_data_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    data_bundle_id: DataBundleId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    updated_by: PrincipalId,
) -> DataBundleRow:
    """Change the name or the description of a data bundle."""


@tenant("""
    UPDATE data_bundle SET
        datasets = :datasets, retention_in_days = :retention_in_days, status = 'running', summary = NULL,
        documents = NULL, documents_read = NULL
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :data_bundle_id
""")
async def restart_data_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    data_bundle_id: DataBundleId,
    datasets: list[dict[str, Any]],
    retention_in_days: int,
) -> RowCount:
    """Set a data bundle to running with other datasets; it keeps its object until the new one is written."""


@tenant("""
    DELETE FROM data_bundle
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :data_bundle_id
""")
async def delete_data_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    data_bundle_id: DataBundleId,
) -> RowCount:
    """Delete a data bundle."""


@tenant("""
    SELECT data_bundle.datasets, data_bundle.owner_ids, model.field_config, model.preprocess_config
    FROM data_bundle
    JOIN model ON model.organization_id = :organization_id AND model.id = data_bundle.model_id
    WHERE data_bundle.organization_id = :organization_id AND data_bundle.id = :data_bundle_id
""")
async def get_data_bundle_input(
    connection: Connection, *, organization_id: OrganizationId, data_bundle_id: DataBundleId
) -> DataBundleInputRow | None:
    """Return what the job of a data bundle works with."""


@tenant("""
    SELECT object_key FROM data_bundle
    WHERE organization_id = :organization_id AND id = ANY(:data_bundle_ids::text[])
        AND object_key IS NOT NULL
    ORDER BY created_time, id
""")
async def list_data_bundle_keys(
    connection: Connection, *, organization_id: OrganizationId, data_bundle_ids: Sequence[DataBundleId]
) -> list[Annotated[str, NeverNull("filtered")]]:
    """Return the keys of the data sets of data bundles, or of snapshots of a former release, oldest first."""


@tenant("""
    UPDATE data_bundle SET documents = :documents, documents_read = :documents_read
    WHERE organization_id = :organization_id AND id = :data_bundle_id AND status = 'running' AND EXISTS (
        SELECT 1 FROM job
        WHERE organization_id = :organization_id AND id = :job_id AND attempt = :attempt
            AND state = 'running' AND NOT cancel_requested
    )
""")
async def set_data_bundle_progress(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    data_bundle_id: DataBundleId,
    documents: int,
    documents_read: int,
    job_id: JobId,
    attempt: int,
) -> RowCount:
    """Set how many documents of a running data bundle have been read, if the attempt is the job's latest."""


@tenant(f"""
    UPDATE data_bundle SET
        status = 'succeeded', summary = :summary, object_key = :object_key, documents_read = documents
    WHERE organization_id = :organization_id AND id = :data_bundle_id AND status = 'running'
    RETURNING {columns(DataBundleStatusRow)}
""")
async def succeed_data_bundle(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    data_bundle_id: DataBundleId,
    summary: dict[str, Any],
    object_key: str,
) -> DataBundleStatusRow | None:
    """Set a running data bundle to succeeded with its result."""


@tenant(f"""
    UPDATE data_bundle SET status = 'failed'
    WHERE organization_id = :organization_id AND id = :data_bundle_id AND status = 'running'
    RETURNING {columns(DataBundleStatusRow)}
""")
async def fail_data_bundle(
    connection: Connection, *, organization_id: OrganizationId, data_bundle_id: DataBundleId
) -> DataBundleStatusRow | None:
    """Set a running data bundle to failed."""


@tenant(f"""
    UPDATE data_bundle SET status = 'running'
    WHERE organization_id = :organization_id AND id = :data_bundle_id AND status = 'failed'
    RETURNING {columns(DataBundleStatusRow)}
""")
async def reopen_data_bundle(
    connection: Connection, *, organization_id: OrganizationId, data_bundle_id: DataBundleId
) -> DataBundleStatusRow | None:
    """Set a failed data bundle to running again."""

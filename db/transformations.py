"""Transformations of datasets."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from db.statements import Connection, Row, RowCount, columns, tenant
from pagemill.ids import DatasetId, OrganizationId, PrincipalId, TransformationId

TransformationStatus: TypeAlias = Literal["running", "succeeded", "failed"]


class TransformationRow(Row):
    """A transformation of one dataset."""

    id: TransformationId
    dataset_id: DatasetId
    operations: list[dict[str, Any]]
    status: TransformationStatus
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class TransformationWorkRow(Row):
    """The part of a transformation that its worker needs."""

    dataset_id: DatasetId
    operations: list[dict[str, Any]]


@tenant(f"""
    INSERT INTO transformation (organization_id, id, dataset_id, operations, created_by)
    VALUES (:organization_id, :transformation_id, :dataset_id, :operations, :created_by)
    RETURNING {columns(TransformationRow)}
""")
async def insert_transformation(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transformation_id: TransformationId,
    dataset_id: DatasetId,
    operations: list[dict[str, Any]],
    created_by: PrincipalId,
) -> TransformationRow:
    """Add a transformation that is running."""


@tenant(f"""
    SELECT {columns(TransformationRow)} FROM transformation
    WHERE organization_id = :organization_id AND dataset_id = :dataset_id AND id = :transformation_id
""")
async def get_transformation(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    transformation_id: TransformationId,
) -> TransformationRow | None:
    """Return a transformation of a dataset."""


@tenant(f"""
    SELECT {columns(TransformationRow)} FROM transformation
    WHERE organization_id = :organization_id AND dataset_id = :dataset_id
        AND (:statuses::text[] IS NULL OR status = ANY(:statuses))
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_transformations(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    statuses: Sequence[TransformationStatus] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[TransformationRow]:
    """Return a page of the transformations of a dataset, oldest first."""


@tenant("""
    DELETE FROM transformation
    WHERE organization_id = :organization_id AND dataset_id = :dataset_id AND id = :transformation_id
""")
async def delete_transformation(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    dataset_id: DatasetId,
    transformation_id: TransformationId,
) -> RowCount:
    """Delete a transformation."""


@tenant("""
    SELECT dataset_id, operations FROM transformation
    WHERE organization_id = :organization_id AND id = :transformation_id
""")
async def find_transformation_work(
    connection: Connection, *, organization_id: OrganizationId, transformation_id: TransformationId
) -> TransformationWorkRow | None:
    """Return the work of a transformation."""


@tenant("""
    UPDATE transformation SET status = :status
    WHERE organization_id = :organization_id AND id = :transformation_id AND status = 'running'
""")
async def end_transformation(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transformation_id: TransformationId,
    status: TransformationStatus,
) -> RowCount:
    """Give a running transformation its final status."""


@tenant("""
    UPDATE transformation SET status = 'running'
    WHERE organization_id = :organization_id AND id = :transformation_id AND status = 'failed'
""")
async def reopen_transformation(
    connection: Connection, *, organization_id: OrganizationId, transformation_id: TransformationId
) -> RowCount:
    """Make a failed transformation run again, and return 1; return 0 if it has not failed."""

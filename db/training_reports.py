"""Trainings as the operator sees them, their approval, and the progress that their workers write."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from db.statements import Connection, Row, RowCount, columns, crossing, tenant
from db.trainings import InstanceType, TrainingStatus, TrainingStatusRow
from pagemill.ids import JobId, ModelId, OrganizationId, PrincipalId, TrainingId


class TrainingReportRow(Row):
    """A training of any organization."""

    id: TrainingId
    organization_id: OrganizationId
    model_id: ModelId
    name: str | None
    status: TrainingStatus
    instance_type: InstanceType
    data_scientist_assistance: bool
    progress: dict[str, Any] | None
    evaluation: dict[str, Any]
    gpu_hours: float | None
    error: str | None
    created_time: datetime.datetime
    created_by: PrincipalId | None


@crossing(
    "the operator looks at the trainings of all organizations",
    f"""
    SELECT {columns(TrainingReportRow)} FROM training
    WHERE (:statuses::text[] IS NULL OR status = ANY(:statuses))
        AND (:organization_id::text IS NULL OR organization_id = :organization_id)
    ORDER BY created_time DESC, id LIMIT :limit
    """,
)
async def list_training_reports(
    connection: Connection,
    *,
    statuses: Sequence[TrainingStatus] | None,
    organization_id: OrganizationId | None,
    limit: int,
) -> list[TrainingReportRow]:
    """Return trainings, the newest first."""


@crossing(
    "the operator names a training, of whichever organization",
    f"SELECT {columns(TrainingReportRow)} FROM training WHERE id = :training_id",
)
async def find_training_report(
    connection: Connection, *, training_id: TrainingId
) -> TrainingReportRow | None:
    """Return the training of an id."""


@crossing(
    "the operator names a training, of whichever organization",
    "SELECT curve FROM training WHERE id = :training_id",
)
async def find_training_curve(
    connection: Connection, *, training_id: TrainingId
) -> list[list[float | None]] | None:
    """Return [seconds, step, loss, F1] after each epoch of a training; F1 is null where none was measured."""


@tenant("""
    UPDATE training SET progress = :progress, curve = :curve
    WHERE organization_id = :organization_id AND id = :training_id
        AND status NOT IN ('succeeded', 'failed', 'cancelled')
        AND EXISTS (
            SELECT 1 FROM job
            WHERE job.organization_id = :organization_id AND job.id = :job_id AND job.attempt = :attempt
                AND job.state = 'running' AND NOT job.cancel_requested
        )
""")
async def set_training_progress(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    training_id: TrainingId,
    progress: dict[str, Any],
    curve: list[list[float | None]],
    job_id: JobId,
    attempt: int,
) -> RowCount:
    """Set the progress of a training that has not ended, if the attempt is its job's latest."""


@tenant(f"""
    UPDATE training SET status = 'pending'
    WHERE organization_id = :organization_id AND id = :training_id AND status = 'waiting-for-approval'
    RETURNING {columns(TrainingStatusRow)}
""")
async def approve_training(
    connection: Connection, *, organization_id: OrganizationId, training_id: TrainingId
) -> TrainingStatusRow | None:
    """Set a training that waits for approval to pending."""

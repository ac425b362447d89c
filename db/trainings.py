"""Trainings of models."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UnsetType

from db.keyset import within_bytes
from db.statements import Connection, NeverNull, Row, columns, tenant
from pagemill.ids import (
    DataBundleId,
    DeploymentEnvironmentId,
    JobId,
    ModelId,
    OrganizationId,
    PrincipalId,
    TrainingId,
)

TrainingStatus: TypeAlias = Literal[
    "waiting-for-approval",
    "preparing",
    "pending",
    "running",
    "running-final-evaluation",
    "succeeded",
    "failed",
    "cancelled",
]
InstanceType: TypeAlias = Literal["small-gpu", "medium-gpu", "large-gpu"]


class TrainingRow(Row):
    """A training; ``artefact_key`` is the prefix of its artefact's files."""

    id: TrainingId
    model_id: ModelId
    name: str | None
    description: str | None
    metadata: dict[str, object] | None
    data_bundle_ids: list[DataBundleId]
    warm_start_config: dict[str, object] | None
    instance_type: InstanceType
    data_scientist_assistance: bool
    deployment_environment_id: DeploymentEnvironmentId | None
    status: TrainingStatus
    evaluation: dict[str, object]
    gpu_hours: float | None
    artefact_key: str | None
    progress: dict[str, Any] | None
    error: str | None
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class ListedTrainingRow(TrainingRow):
    """A training in a list; ``rows_in_page`` is the number of rows without the limit in bytes."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class TrainingStatusRow(Row):
    """The status of a training, after a change of it."""

    id: TrainingId
    model_id: ModelId
    status: TrainingStatus


class AdvancedTrainingRow(TrainingStatusRow):
    """A training whose status was set; ``changed``: it was another one before."""

    changed: Annotated[bool, NeverNull("both are not null")]


class TrainingInputRow(Row):
    """Input of a training; ``warm_start_key`` is the prefix of the artefact that it starts from."""

    data_bundle_ids: Annotated[list[DataBundleId], NeverNull("a column of the training itself")]
    instance_type: Annotated[InstanceType, NeverNull("a column of the training itself")]
    field_config: dict[str, object]
    preprocess_config: dict[str, object]
    warm_start_key: str | None


@tenant(f"""
    INSERT INTO training (
        organization_id, id, model_id, name, description, metadata, data_bundle_ids, warm_start_config,
        instance_type, data_scientist_assistance, status, created_by
    )
    VALUES (
        :organization_id, :training_id, :model_id, :name, :description, :metadata, :data_bundle_ids,
        :warm_start_config, :instance_type, :data_scientist_assistance, :status, :created_by
    )
    RETURNING {columns(TrainingRow)}
""")
async def insert_training(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    training_id: TrainingId,
    model_id: ModelId,
    name: str | None,
    description: str | None,
    metadata: dict[str, object] | None,
    data_bundle_ids: list[DataBundleId],
    warm_start_config: dict[str, object] | None,
    instance_type: InstanceType,
    data_scientist_assistance: bool,
    status: TrainingStatus,
    created_by: PrincipalId,
) -> TrainingRow:
    """Add a training."""


@tenant(f"""
    SELECT {columns(TrainingRow)} FROM training
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :training_id
""")
async def get_training(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId, training_id: TrainingId
) -> TrainingRow | None:
    """Return a training of a model."""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(TrainingRow)} FROM training
        WHERE organization_id = :organization_id AND model_id = :model_id
            AND (:statuses::text[] IS NULL OR status = ANY(:statuses))
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "evaluation",
        order="created_time, id",
        columns=columns(TrainingRow),
    )
)
async def list_trainings(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    statuses: Sequence[TrainingStatus] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedTrainingRow]:
    """Return a page of a model's trainings, of all statuses or of some, oldest first."""


@tenant(f"""
    UPDATE training SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        metadata = coalesce(:metadata::jsonb, metadata),
        deployment_environment_id = CASE
            WHEN :deployment_environment_id_sent THEN :deployment_environment_id
            ELSE deployment_environment_id
        END,
        updated_time = now(),
        updated_by = :updated_by
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :training_id
    RETURNING {columns(TrainingRow)}
""")
async def update_training(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    training_id: TrainingId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    metadata: dict[str, object] | UnsetType,
    deployment_environment_id: DeploymentEnvironmentId | UnsetType | None,
    updated_by: PrincipalId,
) -> TrainingRow:
    """Change members of a training."""


@tenant("""
    SELECT id FROM training
    WHERE organization_id = :organization_id AND id = :training_id AND status = 'succeeded'
""")
async def find_succeeded_training(
    connection: Connection, *, organization_id: OrganizationId, training_id: TrainingId
) -> TrainingId | None:
    """Return the id of a training of any model if it succeeded."""


@tenant("""
    SELECT id FROM training
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :training_id
        AND status = 'succeeded'
""")
async def find_succeeded_training_of_model(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId, training_id: TrainingId
) -> TrainingId | None:
    """Return the id of a training of a model if it succeeded."""


@tenant("""
    SELECT training.data_bundle_ids, training.instance_type, model.field_config, model.preprocess_config,
        base.artefact_key AS warm_start_key
    FROM training
    JOIN model ON model.organization_id = :organization_id AND model.id = training.model_id
    LEFT JOIN training AS base ON base.organization_id = :organization_id
        AND base.id = training.warm_start_config ->> 'trainingId' AND base.status = 'succeeded'
    WHERE training.organization_id = :organization_id AND training.id = :training_id
""")
async def get_training_input(
    connection: Connection, *, organization_id: OrganizationId, training_id: TrainingId
) -> TrainingInputRow | None:
    """Return what a training learns from and starts with."""


@tenant("""
    SELECT id FROM job
    WHERE organization_id = :organization_id AND id = :job_id AND attempt = :attempt
        AND state = 'running' AND NOT cancel_requested
""")
async def find_current_attempt(
    connection: Connection, *, organization_id: OrganizationId, job_id: JobId, attempt: int
) -> JobId | None:
    """Return the id of a job if this attempt is its latest, and nobody asked to cancel it."""


@tenant(f"""
    UPDATE training SET status = 'cancelled'
    WHERE organization_id = :organization_id AND model_id = :model_id AND id = :training_id
        AND status = 'waiting-for-approval'
    RETURNING {columns(TrainingStatusRow)}
""")
async def cancel_unapproved_training(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId, training_id: TrainingId
) -> TrainingStatusRow | None:
    """Set a training that waits for approval to cancelled; no job works for it yet."""


@tenant(f"""
    WITH former AS (
        SELECT id, status FROM training
        WHERE organization_id = :organization_id AND id = :training_id
            AND status NOT IN ('succeeded', 'failed', 'cancelled')
        FOR UPDATE
    )
    UPDATE training SET status = :status FROM former
    WHERE training.organization_id = :organization_id AND training.id = former.id
        AND EXISTS (
            SELECT 1 FROM job
            WHERE job.organization_id = :organization_id AND job.id = :job_id AND job.attempt = :attempt
                AND job.state = 'running' AND NOT job.cancel_requested
        )
    RETURNING {columns(TrainingStatusRow, "training")}, former.status <> training.status AS changed
""")
async def advance_training(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    training_id: TrainingId,
    status: TrainingStatus,
    job_id: JobId,
    attempt: int,
) -> AdvancedTrainingRow | None:
    """Set the status of a training that has not ended, unless the attempt of its job no longer counts."""


@tenant(f"""
    UPDATE training SET status = 'pending'
    WHERE organization_id = :organization_id AND id = :training_id AND status = 'preparing'
        AND EXISTS (
            SELECT 1 FROM job
            WHERE job.organization_id = :organization_id AND job.id = :job_id AND job.attempt = :attempt
                AND job.state = 'running' AND NOT job.cancel_requested
        )
    RETURNING {columns(TrainingStatusRow)}
""")
async def return_training_to_pending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    training_id: TrainingId,
    job_id: JobId,
    attempt: int,
) -> TrainingStatusRow | None:
    """Set a training that is prepared, and whose workers have no place yet, to pending."""


@tenant(f"""
    UPDATE training SET
        status = 'succeeded', evaluation = :evaluation, artefact_key = :artefact_key, gpu_hours = :gpu_hours
    WHERE organization_id = :organization_id AND id = :training_id
        AND status NOT IN ('succeeded', 'failed', 'cancelled')
    RETURNING {columns(TrainingStatusRow)}
""")
async def succeed_training(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    training_id: TrainingId,
    evaluation: dict[str, object],
    artefact_key: str,
    gpu_hours: float,
) -> TrainingStatusRow | None:
    """Set a training that has not ended to succeeded with its result."""


@tenant(f"""
    UPDATE training SET status = :status, error = :error
    WHERE organization_id = :organization_id AND id = :training_id
        AND status NOT IN ('succeeded', 'failed', 'cancelled')
    RETURNING {columns(TrainingStatusRow)}
""")
async def end_training(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    training_id: TrainingId,
    status: Literal["failed", "cancelled"],
    error: str | None,
) -> TrainingStatusRow | None:
    """Set a training that has not ended to failed or cancelled."""


@tenant(f"""
    UPDATE training SET status = 'pending', error = NULL, progress = NULL, curve = NULL
    WHERE organization_id = :organization_id AND id = :training_id AND status = 'failed'
    RETURNING {columns(TrainingStatusRow)}
""")
async def reopen_training(
    connection: Connection, *, organization_id: OrganizationId, training_id: TrainingId
) -> TrainingStatusRow | None:
    """Set a failed training to pending again."""

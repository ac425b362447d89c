"""Models: which fields to find, how, and with which training."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated

from msgspec import UnsetType

from db.keyset import within_bytes
from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import DataBundleId, ModelId, OrganizationId, PrincipalId, SubjectId, TrainingId


class ModelRow(Row):
    """A model, with the number of its data bundles and of its trainings that are not in a final state."""

    id: ModelId
    organization_id: OrganizationId
    name: str | None
    description: str | None
    metadata: dict[str, object]
    field_config: dict[str, object]
    preprocess_config: dict[str, object]
    postprocess_config: dict[str, object]
    training_id: TrainingId | None
    version: int
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None
    number_of_data_bundles: Annotated[int, NeverNull("count(*)")]
    number_of_running_trainings: Annotated[int, NeverNull("count(*)")]


class ListedModelRow(ModelRow):
    """A model in a list; ``rows_in_page`` is the number of rows without the limit in bytes."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


MODEL_COLUMNS = """
    id, organization_id, name, description, metadata, field_config, preprocess_config, postprocess_config,
    training_id, version, created_time, created_by, updated_time, updated_by,
    (
        SELECT count(*) FROM data_bundle
        WHERE data_bundle.organization_id = model.organization_id AND data_bundle.model_id = model.id
    ) AS number_of_data_bundles,
    (
        SELECT count(*) FROM training
        WHERE training.organization_id = model.organization_id AND training.model_id = model.id
            AND training.status NOT IN ('succeeded', 'failed', 'cancelled')
    ) AS number_of_running_trainings
"""


@tenant(f"""
    INSERT INTO model (
        organization_id, id, name, description, metadata, field_config, preprocess_config,
        postprocess_config, created_by
    )
    VALUES (
        :organization_id, :model_id, :name, :description, :metadata, :field_config, :preprocess_config,
        :postprocess_config, :created_by
    )
    RETURNING {MODEL_COLUMNS}
""")
async def insert_model(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    name: str | None,
    description: str | None,
    metadata: dict[str, object],
    field_config: dict[str, object],
    preprocess_config: dict[str, object],
    postprocess_config: dict[str, object],
    created_by: PrincipalId,
) -> ModelRow:
    """Add a model without a training."""


@tenant(f"SELECT {MODEL_COLUMNS} FROM model WHERE organization_id = :organization_id AND id = :model_id")
async def get_model(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> ModelRow | None:
    """Return a model of the organization."""


@crossing(
    "a shared model is shown to everybody who names its owner",
    f"SELECT {MODEL_COLUMNS} FROM model WHERE organization_id = :owner_id AND id = :model_id AND shared",
)
async def get_shared_model(
    connection: Connection, *, owner_id: OrganizationId, model_id: ModelId
) -> ModelRow | None:
    """Return a model that its owner shares."""


@tenant("SELECT id FROM model WHERE organization_id = :organization_id AND id = :model_id")
async def find_model(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> ModelId | None:
    """Return the id of a model if it exists."""


@tenant("SELECT id FROM model WHERE organization_id = :organization_id AND id = :model_id FOR KEY SHARE")
async def keep_model(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> ModelId | None:
    """Return the id of a model if it exists, and keep it from being deleted until the transaction ends."""


@tenant(f"""
    SELECT {MODEL_COLUMNS} FROM model WHERE organization_id = :organization_id AND id = :model_id FOR UPDATE
""")
async def lock_model(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> ModelRow | None:
    """Return a model and lock it until the transaction ends."""


@tenant(
    within_bytes(
        f"""
        SELECT {MODEL_COLUMNS} FROM model
        WHERE organization_id = :organization_id
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "field_config",
        order="created_time, id",
        columns=columns(ModelRow),
    )
)
async def list_models(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedModelRow]:
    """Return a page of the organization's models, oldest first."""


@crossing(
    "of other organizations only the shared models are listed",
    within_bytes(
        f"""
        SELECT {MODEL_COLUMNS} FROM model
        WHERE organization_id = ANY(:owner_ids::text[]) AND (organization_id = :organization_id OR shared)
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "field_config",
        order="created_time, id",
        columns=columns(ModelRow),
    ),
)
async def list_models_of_owners(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    owner_ids: Sequence[OrganizationId],
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedModelRow]:
    """Return a page of the models of several owners that the organization may see, oldest first."""


@crossing(
    "the operator decides which models are shared",
    "UPDATE model SET shared = :shared WHERE id = :model_id RETURNING organization_id",
)
async def share_model(connection: Connection, *, model_id: ModelId, shared: bool) -> OrganizationId | None:
    """Share a model with all organizations, or with none; return its owner."""


@tenant(f"""
    UPDATE model SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        metadata = coalesce(:metadata::jsonb, metadata),
        field_config = coalesce(:field_config::json, field_config),
        preprocess_config = coalesce(:preprocess_config::jsonb, preprocess_config),
        postprocess_config = coalesce(:postprocess_config::jsonb, postprocess_config),
        training_id = CASE WHEN :training_id_sent THEN :training_id ELSE training_id END,
        version = version + (
            coalesce(:field_config::json, field_config)::jsonb IS DISTINCT FROM field_config::jsonb
            OR (:training_id_sent AND :training_id IS DISTINCT FROM training_id)
        )::integer,
        updated_time = now(),
        updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :model_id
    RETURNING {MODEL_COLUMNS}
""")
async def update_model(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    metadata: dict[str, object] | UnsetType,
    field_config: dict[str, object] | UnsetType,
    preprocess_config: dict[str, object] | UnsetType,
    postprocess_config: dict[str, object] | UnsetType,
    training_id: TrainingId | UnsetType | None,
    updated_by: PrincipalId,
) -> ModelRow:
    """Change members of a model; another ``field_config`` or training makes a new version."""


class UnfinishedSubjectRow(Row):
    """A data bundle or a training that a job may still work for, and the kind of the job."""

    id: Annotated[SubjectId, NeverNull("primary keys")]
    kind: Annotated[str, NeverNull("a constant")]


@tenant("""
    SELECT id, 'data-bundle' AS kind FROM data_bundle
    WHERE organization_id = :organization_id AND model_id = :model_id AND status = 'running'
    UNION ALL
    SELECT id, 'training' AS kind FROM training
    WHERE organization_id = :organization_id AND model_id = :model_id
        AND status NOT IN ('succeeded', 'failed', 'cancelled')
""")
async def list_unfinished_subjects(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> list[UnfinishedSubjectRow]:
    """Return the data bundles and trainings of a model that jobs may still work for."""


@tenant("SELECT id FROM data_bundle WHERE organization_id = :organization_id AND model_id = :model_id")
async def list_data_bundle_ids(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> list[DataBundleId]:
    """Return the ids of all data bundles of a model."""


@tenant("SELECT id FROM training WHERE organization_id = :organization_id AND model_id = :model_id")
async def list_training_ids(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> list[TrainingId]:
    """Return the ids of all trainings of a model."""


@tenant("DELETE FROM model WHERE organization_id = :organization_id AND id = :model_id")
async def delete_model(
    connection: Connection, *, organization_id: OrganizationId, model_id: ModelId
) -> RowCount:
    """Delete a model with its data bundles and trainings; its predictions are history and stay."""

"""Trainings of models."""

from __future__ import annotations

from db.keyset import within_bytes
from db.statements import untyped_tenant as tenant

TRAINING_COLUMNS = """
    id, model_id, name, description, metadata, data_bundle_ids, warm_start_config, instance_type,
    data_scientist_assistance, deployment_environment_id, status, evaluation, gpu_hours, artefact_key,
    created_time, created_by, updated_time, updated_by
"""

INSERT_TRAINING = tenant(
    "trainings.insert",
    f"""
    INSERT INTO training (
        organization_id, id, model_id, name, description, metadata, data_bundle_ids, warm_start_config,
        instance_type, data_scientist_assistance, status, created_by
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    RETURNING {TRAINING_COLUMNS}
    """,
)

GET_TRAINING = tenant(
    "trainings.get",
    f"SELECT {TRAINING_COLUMNS} FROM training WHERE organization_id = $1 AND model_id = $2 AND id = $3",
)

LIST_TRAININGS = tenant(
    "trainings.list",
    within_bytes(
        f"""
    SELECT {TRAINING_COLUMNS} FROM training
    WHERE organization_id = $1 AND model_id = $2
        AND ($3::text[] IS NULL OR status = ANY($3))
        AND (created_time, id) > (coalesce($4::timestamptz, '-infinity'), coalesce($5::text, ''))
    ORDER BY created_time, id LIMIT $6
    """,
        "evaluation",
        order="created_time, id",
    ),
)

UPDATE_TRAINING = tenant(
    "trainings.update",
    f"""
    UPDATE training SET
        name = CASE WHEN $4 THEN $5 ELSE name END,
        description = CASE WHEN $6 THEN $7 ELSE description END,
        metadata = coalesce($8::jsonb, metadata),
        deployment_environment_id = CASE WHEN $9 THEN $10 ELSE deployment_environment_id END,
        updated_time = now(),
        updated_by = $11
    WHERE organization_id = $1 AND model_id = $2 AND id = $3
    RETURNING {TRAINING_COLUMNS}
    """,
)

# For one that no job works for yet; the others end cancelled with their job.
CANCEL_UNAPPROVED_TRAINING = tenant(
    "trainings.cancel_unapproved",
    """
    UPDATE training SET status = 'cancelled'
    WHERE organization_id = $1 AND model_id = $2 AND id = $3 AND status = 'waiting-for-approval'
    RETURNING id, model_id, status
    """,
)

TRAINING_TO_START_FROM = tenant(
    "trainings.to_start_from",
    "SELECT true FROM training WHERE organization_id = $1 AND id = $2 AND status = 'succeeded'",
)

TRAINING_TO_PREDICT_WITH = tenant(
    "trainings.to_predict_with",
    """
    SELECT true FROM training
    WHERE organization_id = $1 AND model_id = $2 AND id = $3 AND status = 'succeeded'
    """,
)

# What the worker needs; the artefact to start from is null when there is none (any more).
TRAINING_WORK = tenant(
    "trainings.work",
    """
    SELECT training.data_bundle_ids, model.field_config, model.preprocess_config,
        base.artefact_key AS warm_start_key
    FROM training
    JOIN model ON model.organization_id = $1 AND model.id = training.model_id
    LEFT JOIN training AS base ON base.organization_id = $1
        AND base.id = training.warm_start_config ->> 'trainingId' AND base.status = 'succeeded'
    WHERE training.organization_id = $1 AND training.id = $2
    """,
)

# Only the job's latest attempt moves the training on, and none once it is to be cancelled.
ADVANCE_TRAINING = tenant(
    "trainings.advance",
    """
    WITH former AS (
        SELECT id, status FROM training
        WHERE organization_id = $1 AND id = $2 AND status NOT IN ('succeeded', 'failed', 'cancelled')
        FOR UPDATE
    )
    UPDATE training SET status = $5 FROM former
    WHERE training.organization_id = $1 AND training.id = former.id
        AND EXISTS (
            SELECT 1 FROM job
            WHERE job.organization_id = $1 AND job.id = $3 AND job.attempt = $4
                AND job.state = 'running' AND NOT job.cancel_requested
        )
    RETURNING training.id, training.model_id, training.status, former.status <> training.status AS changed
    """,
)

TRAINING_GOES_ON = tenant(
    "trainings.goes_on",
    """
    SELECT true FROM job
    WHERE organization_id = $1 AND id = $2 AND attempt = $3 AND state = 'running' AND NOT cancel_requested
    """,
)

SUCCEED_TRAINING = tenant(
    "trainings.succeed",
    """
    UPDATE training SET status = 'succeeded', evaluation = $3, artefact_key = $4, gpu_hours = $5
    WHERE organization_id = $1 AND id = $2 AND status NOT IN ('succeeded', 'failed', 'cancelled')
    RETURNING id, model_id, status
    """,
)

END_TRAINING = tenant(
    "trainings.end",
    """
    UPDATE training SET status = $3
    WHERE organization_id = $1 AND id = $2 AND status NOT IN ('succeeded', 'failed', 'cancelled')
    RETURNING id, model_id, status
    """,
)

REOPEN_TRAINING = tenant(
    "trainings.reopen",
    """
    UPDATE training SET status = 'pending'
    WHERE organization_id = $1 AND id = $2 AND status = 'failed'
    RETURNING id, model_id, status
    """,
)

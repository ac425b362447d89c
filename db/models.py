"""Models: what fields to find, how, and with which training."""

from __future__ import annotations

from db.keyset import within_bytes
from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

# Computed: how many bundles there are, and how many trainings are not in a final state.
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

INSERT_MODEL = tenant(
    "models.insert",
    f"""
    INSERT INTO model (
        organization_id, id, name, description, metadata, field_config, preprocess_config,
        postprocess_config, created_by
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    RETURNING {MODEL_COLUMNS}
    """,
)

GET_MODEL = tenant("models.get", f"SELECT {MODEL_COLUMNS} FROM model WHERE organization_id = $1 AND id = $2")

# ``$1`` is the owner, not the caller.
GET_SHARED_MODEL = crossing(
    "models.get_shared",
    "a shared model is shown to everybody who names its owner",
    f"SELECT {MODEL_COLUMNS} FROM model WHERE organization_id = $1 AND id = $2 AND shared",
)

MODEL_EXISTS = tenant("models.exists", "SELECT true FROM model WHERE organization_id = $1 AND id = $2")

# Whatever hangs on the model is written under this lock, so that it cannot be deleted in between.
LOCK_MODEL = tenant(
    "models.lock", "SELECT id FROM model WHERE organization_id = $1 AND id = $2 FOR KEY SHARE"
)

LIST_MODELS = tenant(
    "models.list",
    within_bytes(
        f"""
    SELECT {MODEL_COLUMNS} FROM model
    WHERE organization_id = $1
        AND (created_time, id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY created_time, id LIMIT $4
    """,
        "field_config",
        order="created_time, id",
    ),
)

LIST_MODELS_OF_OWNERS = crossing(
    "models.list_of_owners",
    "of other organizations only what they share is listed",
    within_bytes(
        f"""
    SELECT {MODEL_COLUMNS} FROM model
    WHERE organization_id = ANY($2::text[]) AND (organization_id = $1 OR shared)
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
        "field_config",
        order="created_time, id",
    ),
)

SHARE_MODEL = crossing(
    "models.share",
    "the operator decides what is shared",
    "UPDATE model SET shared = $2 WHERE id = $1 RETURNING organization_id",
)

# A member that is not sent keeps its value: NULL says so where null is no value, a flag where it is one.
UPDATE_MODEL = tenant(
    "models.update",
    f"""
    UPDATE model SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        metadata = coalesce($7::jsonb, metadata),
        field_config = coalesce($8::json, field_config),
        preprocess_config = coalesce($9::jsonb, preprocess_config),
        postprocess_config = coalesce($10::jsonb, postprocess_config),
        training_id = CASE WHEN $11 THEN $12 ELSE training_id END,
        version = version + (
            coalesce($8::json, field_config)::jsonb IS DISTINCT FROM field_config::jsonb
            OR ($11 AND $12 IS DISTINCT FROM training_id)
        )::integer,
        updated_time = now(),
        updated_by = $13
    WHERE organization_id = $1 AND id = $2
    RETURNING {MODEL_COLUMNS}
    """,
)

# Everything that may still be worked on for a model, whose jobs end with it.
MODEL_SUBJECTS = tenant(
    "models.subjects",
    """
    SELECT id FROM data_bundle WHERE organization_id = $1 AND model_id = $2 AND status = 'running'
    UNION ALL
    SELECT id FROM training
    WHERE organization_id = $1 AND model_id = $2 AND status NOT IN ('succeeded', 'failed', 'cancelled')
    """,
)

# Everything that left objects behind for a model.
MODEL_PARTS = tenant(
    "models.parts",
    """
    SELECT id, 'data-bundle' AS kind FROM data_bundle WHERE organization_id = $1 AND model_id = $2
    UNION ALL
    SELECT id, 'training' AS kind FROM training WHERE organization_id = $1 AND model_id = $2
    """,
)

# Bundles and trainings go with their model; predictions are history and stay.
DELETE_MODEL = tenant("models.delete", "DELETE FROM model WHERE organization_id = $1 AND id = $2")

LOCK_MODEL_TO_DELETE = tenant(
    "models.lock_to_delete",
    f"SELECT {MODEL_COLUMNS} FROM model WHERE organization_id = $1 AND id = $2 FOR UPDATE",
)

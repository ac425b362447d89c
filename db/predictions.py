"""Predictions of documents."""

from __future__ import annotations

from db.statements import tenant

PREDICTION_COLUMNS = """
    id, document_id, model_id, model_reference, training_id, preprocess_config, postprocess_config, status,
    predictions, error, inference_time, next_page, created_time, created_by
"""

DOCUMENT_TO_PREDICT = tenant(
    "predictions.document", "SELECT content_key FROM document WHERE organization_id = $1 AND id = $2"
)

MODEL_TO_PREDICT_WITH = tenant(
    "predictions.model",
    """
    SELECT training_id, preprocess_config, postprocess_config FROM model
    WHERE organization_id = $1 AND id = $2
    """,
)

INSERT_PREDICTION = tenant(
    "predictions.insert",
    f"""
    INSERT INTO prediction (
        organization_id, id, document_id, model_id, model_reference, training_id, preprocess_config,
        postprocess_config, created_by
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    RETURNING {PREDICTION_COLUMNS}
    """,
)

GET_PREDICTION = tenant(
    "predictions.get", f"SELECT {PREDICTION_COLUMNS} FROM prediction WHERE organization_id = $1 AND id = $2"
)

LIST_PREDICTIONS_ASCENDING = tenant(
    "predictions.list_ascending",
    f"""
    SELECT {PREDICTION_COLUMNS} FROM prediction
    WHERE organization_id = $1
        AND ($2::text IS NULL OR model_id = $2)
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
)

LIST_PREDICTIONS_DESCENDING = tenant(
    "predictions.list_descending",
    f"""
    SELECT {PREDICTION_COLUMNS} FROM prediction
    WHERE organization_id = $1
        AND ($2::text IS NULL OR model_id = $2)
        AND (created_time, id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, ''))
    ORDER BY created_time DESC, id DESC LIMIT $5
    """,
)

# A synchronous caller that is answered with an error keeps no failed prediction.
DELETE_FAILED_PREDICTION = tenant(
    "predictions.delete_failed",
    "DELETE FROM prediction WHERE organization_id = $1 AND id = $2 AND status = 'failed'",
)

# What the worker needs; a part that has been deleted since is null.
PREDICTION_WORK = tenant(
    "predictions.work",
    """
    SELECT prediction.preprocess_config, prediction.postprocess_config,
        document.id AS document_id, document.content_key, training.artefact_key
    FROM prediction
    LEFT JOIN document ON document.organization_id = $1 AND document.id = prediction.document_id
    LEFT JOIN training ON training.organization_id = $1 AND training.id = prediction.training_id
    WHERE prediction.organization_id = $1 AND prediction.id = $2
    """,
)

SUCCEED_PREDICTION = tenant(
    "predictions.succeed",
    """
    UPDATE prediction SET
        status = 'succeeded', predictions = $3, inference_time = $4, next_page = $5, preprocess_config = $6
    WHERE organization_id = $1 AND id = $2 AND status = 'pending'
    RETURNING model_id
    """,
)

FAIL_PREDICTION = tenant(
    "predictions.fail",
    """
    UPDATE prediction SET status = 'failed', error = $3
    WHERE organization_id = $1 AND id = $2 AND status = 'pending'
    """,
)

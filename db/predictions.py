"""Predictions of documents."""

from __future__ import annotations

from db.documents import LIVE
from db.keyset import within_bytes
from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant
from db.webhooks import is_wanted

PREDICTION_COLUMNS = """
    id, document_id, model_id, model_reference, training_id, preprocess_config, postprocess_config, status,
    predictions, error, inference_time, next_page, created_time, created_by
"""

DOCUMENT_TO_PREDICT = tenant(
    "predictions.document",
    f"SELECT content_key FROM document WHERE organization_id = $1 AND id = $2 AND {LIVE}",
)

MODEL_TO_PREDICT_WITH = crossing(
    "predictions.model",
    "a shared model ($2 its owner) predicts for everybody",
    """
    SELECT training_id, preprocess_config, postprocess_config FROM model
    WHERE organization_id = $2 AND id = $3 AND (organization_id = $1 OR shared)
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

# The same request whose caller was told to come again ($10 is how long it had waited), and whose job still
# works or waits to.
UNANSWERED_PREDICTION = tenant(
    "predictions.unanswered",
    f"""
    SELECT {", ".join(f"prediction.{column.strip()}" for column in PREDICTION_COLUMNS.split(","))},
        job.id AS job_id
    FROM prediction
    JOIN job ON job.organization_id = $1 AND job.subject_id = prediction.id
    WHERE prediction.organization_id = $1 AND prediction.model_id = $3 AND prediction.document_id = $2
        AND prediction.model_reference = $4 AND prediction.training_id = $5
        AND prediction.preprocess_config = $6 AND prediction.postprocess_config = $7
        AND prediction.created_by = $8 AND prediction.status = 'pending' AND job.priority = $9
        AND prediction.created_time > now() - interval '1 hour'
        AND prediction.created_time < now() - make_interval(secs => $10)
    ORDER BY prediction.created_time, prediction.id LIMIT 1
    """,
)

LIST_PREDICTIONS_ASCENDING = tenant(
    "predictions.list_ascending",
    within_bytes(
        f"""
    SELECT {PREDICTION_COLUMNS} FROM prediction
    WHERE organization_id = $1
        AND ($2::text IS NULL OR model_id = $2)
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
        "predictions",
        order="created_time, id",
    ),
)

LIST_PREDICTIONS_DESCENDING = tenant(
    "predictions.list_descending",
    within_bytes(
        f"""
    SELECT {PREDICTION_COLUMNS} FROM prediction
    WHERE organization_id = $1
        AND ($2::text IS NULL OR model_id = $2)
        AND (created_time, id) < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, ''))
    ORDER BY created_time DESC, id DESC LIMIT $5
    """,
        "predictions",
        order="created_time DESC, id DESC",
    ),
)

# A synchronous caller that is answered with an error keeps no failed prediction.
DELETE_FAILED_PREDICTION = tenant(
    "predictions.delete_failed",
    "DELETE FROM prediction WHERE organization_id = $1 AND id = $2 AND status = 'failed'",
)

# What the worker needs; a part that has been deleted, or is shared no more, is null.
PREDICTION_WORK = crossing(
    "predictions.work",
    "the training of a shared model is its owner's",
    """
    SELECT prediction.preprocess_config, prediction.postprocess_config,
        document.id AS document_id, document.content_key, training.artefact_key,
        coalesce(plan.limited_by, 'pages') AS limited_by
    FROM prediction
    LEFT JOIN organization ON organization.id = $1
    LEFT JOIN plan ON plan.id = organization.plan_id
    LEFT JOIN document ON document.organization_id = $1 AND document.id = prediction.document_id
    LEFT JOIN model ON model.id = prediction.model_id AND (model.organization_id = $1 OR model.shared)
    LEFT JOIN training ON training.organization_id = model.organization_id AND training.model_id = model.id
        AND training.id = prediction.training_id
    WHERE prediction.organization_id = $1 AND prediction.id = $2
    """,
)

# How many predictions spoke of each label, and how many were sure enough of it to need no human: as sure as
# the evaluation of their training asks for, else as $5. Of more than $6 predictions the newest count. Of
# several candidates the surest counts, lines are as sure as their least sure cell.
PREDICTION_STATISTICS = crossing(
    "predictions.statistics",
    "the predictions are the caller's, the training of a shared model is its owner's",
    """
    WITH recent AS (
        SELECT id, training_id, predictions FROM prediction
        WHERE organization_id = $1 AND model_id = $2 AND created_time >= $3
        ORDER BY created_time DESC, id DESC LIMIT $6
    ),
    chosen AS (
        SELECT recent.id, recent.predictions,
            coalesce((training.evaluation #>> '{automation,threshold}')::float8, $5::float8) AS threshold
        FROM recent LEFT JOIN training ON training.id = recent.training_id AND training.model_id = $2
        WHERE $4::text IS NULL OR recent.training_id = $4
    ),
    -- The two output formats, v1 and v2.
    candidate AS (
        SELECT chosen.id, threshold, item ->> 'label' AS label, item AS found
        FROM chosen CROSS JOIN LATERAL jsonb_array_elements(
            CASE jsonb_typeof(predictions) WHEN 'array' THEN predictions ELSE '[]' END
        ) AS item
        UNION ALL
        SELECT chosen.id, threshold, item.key, item.value
        FROM chosen CROSS JOIN LATERAL jsonb_each(
            CASE jsonb_typeof(predictions) WHEN 'object' THEN predictions ELSE '{}' END
        ) AS item
    ),
    surest AS (
        SELECT label, threshold, max(coalesce(
            CASE jsonb_typeof(found -> 'confidence') WHEN 'number' THEN (found -> 'confidence')::float8 END,
            (SELECT max(one::float8) FROM jsonb_path_query(found, '$[*].confidence ? (@.type() == "number")')
                AS one),
            (SELECT min(one::float8) FROM jsonb_path_query(found, '$[*].*[*].confidence') AS one)
        )) AS confidence
        FROM candidate GROUP BY id, label, threshold
    )
    SELECT label, count(*) AS predictions, count(*) FILTER (WHERE confidence >= threshold) AS automated
    FROM surest WHERE confidence IS NOT NULL GROUP BY label ORDER BY label
    """,
)

# ``wanted`` spares a prediction that nobody wants to hear of a statement of its own.
SUCCEED_PREDICTIONS = crossing(
    "predictions.succeed",
    "jobs of all organizations that succeeded at the same time share a commit",
    f"""
    UPDATE prediction SET
        status = 'succeeded', predictions = one.predictions::jsonb, inference_time = one.inference_time,
        next_page = one.next_page, preprocess_config = one.preprocess_config::jsonb
    FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::integer[], $6::text[])
        AS one (organization_id, id, predictions, inference_time, next_page, preprocess_config)
    WHERE prediction.organization_id = one.organization_id AND prediction.id = one.id
        AND prediction.status = 'pending'
    RETURNING prediction.organization_id, prediction.id, document_id, model_id, model_reference, training_id,
        status, {is_wanted("prediction.succeeded", organization="prediction.organization_id")} AS wanted
    """,
)

FAIL_PREDICTION = tenant(
    "predictions.fail",
    f"""
    UPDATE prediction SET status = 'failed', error = $3
    WHERE organization_id = $1 AND id = $2 AND status = 'pending'
    RETURNING id, document_id, model_id, model_reference, training_id, status,
        {is_wanted("prediction.failed")} AS wanted
    """,
)

REOPEN_PREDICTION = tenant(
    "predictions.reopen",
    """
    UPDATE prediction SET status = 'pending', error = NULL
    WHERE organization_id = $1 AND id = $2 AND status = 'failed'
    RETURNING id
    """,
)

"""Predictions of documents."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, TypeAlias

from db.documents import LIVE
from db.keyset import within_bytes
from db.plan_limits import LIMITED_BY, LimitedBy, allowed_by_plan
from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import DocumentId, JobId, ModelId, OrganizationId, PredictionId, PrincipalId, TrainingId

PredictionStatus: TypeAlias = Literal["pending", "succeeded", "failed"]


def _unanswered() -> str:
    """Return a condition on the age of a prediction that a caller asks for again after a 503."""
    return """prediction.created_time > now() - interval '1 hour'
        AND prediction.created_time < now() - make_interval(secs => :waited)"""


class PredictionRow(Row):
    """A prediction; ``model_reference`` is the ``modelId`` of the request, with or without its owner."""

    id: PredictionId
    document_id: DocumentId
    model_id: ModelId
    model_reference: str
    training_id: TrainingId
    preprocess_config: dict[str, object]
    postprocess_config: dict[str, object]
    status: PredictionStatus
    predictions: list[dict[str, object]] | dict[str, object] | None
    error: str | None
    inference_time: float | None
    next_page: int | None
    created_time: datetime.datetime
    created_by: PrincipalId | None


class ListedPredictionRow(PredictionRow):
    """A prediction in a list; ``rows_in_page`` is the number of rows without the limit in bytes."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class UnansweredPredictionRow(PredictionRow):
    """A pending prediction with its job."""

    job_id: JobId


class RequestedRow(Row):
    """Parts that a request for a prediction names; each is null where the caller cannot use it.

    ``active_training_id`` and the configs are the model's.
    """

    document_id: DocumentId | None
    content_key: str | None
    """Null while no content has been uploaded."""
    active_training_id: TrainingId | None
    preprocess_config: dict[str, object] | None
    postprocess_config: dict[str, object] | None
    training_id: TrainingId | None
    """The training that the request names, if it is one of the model and succeeded."""
    limited_by: Annotated[LimitedBy, NeverNull("coalesce")]
    """The meter, pages or fields, that the plan limits."""
    used_up: Annotated[bool, NeverNull("both terms have defaults")]
    """Nothing is left of ``limited_by`` this month."""
    asked_before: Annotated[bool, NeverNull("EXISTS")]
    """A prediction that the caller asked for with this document and model has not been answered."""


class LabelStatisticsRow(Row):
    """The number of predictions of one label, and how many of them need no human, are checked, and right."""

    label: Annotated[str, NeverNull("labels are keys or required members")]
    predictions: Annotated[int, NeverNull("coalesce")]
    automated: Annotated[int, NeverNull("coalesce")]
    checked: Annotated[int, NeverNull("coalesce")]
    confirmed: Annotated[int, NeverNull("coalesce")]


# One statement for all that is looked up before a prediction is made: each one more is a round trip that the
# caller waits for. It locks nothing, so that it need not be in the transaction of the prediction.
@crossing(
    "a shared model predicts for everybody",
    f"""
    SELECT document.id AS document_id, document.content_key, model.training_id AS active_training_id,
        model.preprocess_config, model.postprocess_config, training.id AS training_id,
        limited.meter AS limited_by,
        coalesce(counter.used, 0) >= {allowed_by_plan("limited.meter")} AS used_up,
        EXISTS (
            SELECT FROM prediction
            WHERE organization_id = :organization_id AND document_id = :document_id
                AND model_id = :model_id AND created_by = :created_by AND status = 'pending'
                AND {_unanswered()}
        ) AS asked_before
    FROM organization
    LEFT JOIN plan ON plan.id = organization.plan_id
    CROSS JOIN LATERAL (SELECT {LIMITED_BY} AS meter) AS limited
    LEFT JOIN usage_counter AS counter
        ON counter.organization_id = :organization_id AND counter.month = :month
        AND counter.meter = limited.meter
    LEFT JOIN LATERAL (
        SELECT id, content_key FROM document
        WHERE organization_id = :organization_id AND id = :document_id AND {LIVE}
    ) AS document ON true
    LEFT JOIN model ON model.organization_id = :owner_id AND model.id = :model_id
        AND (model.organization_id = :organization_id OR model.shared)
    LEFT JOIN training ON training.organization_id = model.organization_id
        AND training.model_id = model.id AND training.id = :training_id AND training.status = 'succeeded'
    WHERE organization.id = :organization_id
    """,
)
async def get_requested(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_id: DocumentId,
    owner_id: OrganizationId,
    model_id: ModelId,
    training_id: TrainingId | None,
    month: str,
    created_by: PrincipalId,
    waited: float | None,
) -> RequestedRow | None:
    """Return what a request names: a document that has not expired, a model that is its own or shared.

    ``waited`` is that of ``find_unanswered_prediction``; None looks for no such prediction.
    """


@tenant(f"""
    SELECT {columns(PredictionRow)} FROM prediction
    WHERE organization_id = :organization_id AND id = :prediction_id
""")
async def get_prediction(
    connection: Connection, *, organization_id: OrganizationId, prediction_id: PredictionId
) -> PredictionRow | None:
    """Return a prediction."""


@tenant(f"""
    SELECT {columns(PredictionRow, "prediction")}, job.id AS job_id
    FROM prediction
    JOIN job ON job.organization_id = :organization_id AND job.subject_id = prediction.id
    WHERE prediction.organization_id = :organization_id AND prediction.model_id = :model_id
        AND prediction.document_id = :document_id
        AND prediction.model_reference = :model_reference AND prediction.training_id = :training_id
        AND prediction.preprocess_config = :preprocess_config
        AND prediction.postprocess_config = :postprocess_config
        AND prediction.created_by = :created_by AND prediction.status = 'pending'
        AND job.priority = :priority
        AND {_unanswered()}
    ORDER BY prediction.created_time, prediction.id LIMIT 1
""")
async def find_unanswered_prediction(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_id: DocumentId,
    model_id: ModelId,
    model_reference: str,
    training_id: TrainingId,
    preprocess_config: dict[str, object],
    postprocess_config: dict[str, object],
    created_by: PrincipalId,
    priority: int,
    waited: float,
) -> UnansweredPredictionRow | None:
    """Return the oldest pending prediction of the same request that is older than ``waited`` seconds."""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(PredictionRow)} FROM prediction
        WHERE organization_id = :organization_id
            AND (:model_id::text IS NULL OR model_id = :model_id)
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "predictions",
        order="created_time, id",
        columns=columns(PredictionRow),
    )
)
async def list_predictions_ascending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedPredictionRow]:
    """Return a page of predictions, of all models or of one, oldest first."""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(PredictionRow)} FROM prediction
        WHERE organization_id = :organization_id
            AND (:model_id::text IS NULL OR model_id = :model_id)
            AND (created_time, id) < (
                coalesce(:after_time::timestamptz, 'infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time DESC, id DESC LIMIT :limit
        """,
        "predictions",
        order="created_time DESC, id DESC",
        columns=columns(PredictionRow),
    )
)
async def list_predictions_descending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedPredictionRow]:
    """Return a page of predictions, of all models or of one, newest first."""


@tenant("""
    DELETE FROM prediction
    WHERE organization_id = :organization_id AND id = :prediction_id AND status = 'failed'
""")
async def delete_failed_prediction(
    connection: Connection, *, organization_id: OrganizationId, prediction_id: PredictionId
) -> RowCount:
    """Delete a prediction if it failed."""


@crossing(
    "the predictions are the caller's, the training of a shared model is its owner's",
    """
    WITH recent AS (
        SELECT id, document_id, training_id, predictions, created_time FROM prediction
        WHERE organization_id = :organization_id AND model_id = :model_id AND created_time >= :from_time
        ORDER BY created_time DESC, id DESC LIMIT :newest
    ),
    chosen AS (
        SELECT recent.id, recent.document_id, recent.predictions, recent.created_time,
            coalesce(
                (training.evaluation #>> '{automation,threshold}')::float8, :default_threshold::float8
            ) AS threshold
        FROM recent LEFT JOIN training ON training.id = recent.training_id AND training.model_id = :model_id
        WHERE :training_id::text IS NULL OR recent.training_id = :training_id
    ),
    -- The two output formats, v1 and v2.
    candidate AS (
        SELECT chosen.id, item ->> 'label' AS label, item AS found
        FROM chosen CROSS JOIN LATERAL jsonb_array_elements(
            CASE jsonb_typeof(predictions) WHEN 'array' THEN predictions ELSE '[]' END
        ) AS item
        UNION ALL
        SELECT chosen.id, item.key, item.value
        FROM chosen CROSS JOIN LATERAL jsonb_each(
            CASE jsonb_typeof(predictions) WHEN 'object' THEN predictions ELSE '{}' END
        ) AS item
    ),
    -- A value of the v2 format is an array of candidates; rows have no one value.
    found AS (
        SELECT id, label, coalesce(
            CASE jsonb_typeof(found -> 'confidence') WHEN 'number' THEN (found -> 'confidence')::float8 END,
            (best -> 'confidence')::float8,
            (SELECT min(one::float8) FROM jsonb_path_query(found, '$[*].*[*].confidence') AS one)
        ) AS confidence, coalesce(best, CASE jsonb_typeof(found) WHEN 'object' THEN found END) AS value
        FROM candidate LEFT JOIN LATERAL (
            SELECT one AS best FROM jsonb_path_query(found, '$[*] ? (@.confidence.type() == "number")') AS one
            WHERE jsonb_typeof(found) = 'array'
            ORDER BY (one -> 'confidence')::float8 DESC LIMIT 1
        ) AS ranked ON true
    ),
    surest AS (
        SELECT DISTINCT ON (id, label) id, label, confidence, value
        FROM found WHERE confidence IS NOT NULL ORDER BY id, label, confidence DESC
    ),
    -- Labels that came after the prediction are a check of it by somebody who has seen it, or could have.
    checked AS (
        SELECT surest.id, surest.label, bool_or(
            lower(btrim(item ->> 'value')) IS NOT DISTINCT FROM lower(btrim(surest.value ->> 'value'))
            OR coalesce(lower(btrim(item ->> 'value')) = lower(btrim(surest.value ->> 'rawValue')), false)
        ) AS is_right
        FROM surest JOIN chosen ON chosen.id = surest.id
        JOIN document ON document.organization_id = :organization_id AND document.id = chosen.document_id
            AND document.updated_time > chosen.created_time
        CROSS JOIN LATERAL jsonb_array_elements(
            CASE jsonb_typeof(document.ground_truth) WHEN 'array' THEN document.ground_truth ELSE '[]' END
        ) AS item
        WHERE item ->> 'label' = surest.label AND surest.value IS NOT NULL
            AND jsonb_typeof(surest.value -> 'value') IN ('string', 'null')
            AND jsonb_typeof(item -> 'value') NOT IN ('array', 'object')
        GROUP BY surest.id, surest.label
    ),
    counted AS (
        SELECT surest.label, count(*) AS predictions,
            count(*) FILTER (WHERE confidence >= threshold) AS automated,
            count(is_right) AS checked, count(*) FILTER (WHERE is_right) AS confirmed
        FROM surest JOIN chosen ON chosen.id = surest.id
        LEFT JOIN checked ON checked.id = surest.id AND checked.label = surest.label
        GROUP BY surest.label
    ),
    configured AS (SELECT json_object_keys(field_config) AS label FROM model WHERE id = :model_id)
    SELECT label, coalesce(predictions, 0) AS predictions, coalesce(automated, 0) AS automated,
        coalesce(checked, 0) AS checked, coalesce(confirmed, 0) AS confirmed
    FROM counted FULL JOIN configured USING (label) ORDER BY label
    """,
)
async def list_label_statistics(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    model_id: ModelId,
    from_time: datetime.datetime,
    training_id: TrainingId | None,
    default_threshold: float,
    newest: int,
) -> list[LabelStatisticsRow]:
    """Count, by label, the predictions since ``from_time``, those that need no human, and those confirmed.

    The labels are those of the model and those predicted. Of more than ``newest`` predictions the newest
    count. No human is needed when the confidence reaches the threshold that the evaluation of the training
    recommends, else ``default_threshold``. Of several candidates the most confident one counts; line items
    are as confident as their least confident cell. A value is checked where the document got its label later,
    and confirmed where that is the value or what was printed, in whichever case.
    """

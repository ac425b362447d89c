"""Predictions of documents."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from db.documents import LIVE
from db.keyset import within_bytes
from db.plan_limits import LIMITED_BY, LimitedBy
from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from db.webhook_deliveries import is_wanted
from pagemill.ids import DocumentId, JobId, ModelId, OrganizationId, PredictionId, PrincipalId, TrainingId

PredictionStatus: TypeAlias = Literal["pending", "succeeded", "failed"]


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


class PredictionKeyRow(Row):
    """The ids of a prediction, of all that it is about, and its status."""

    organization_id: OrganizationId
    id: PredictionId
    document_id: DocumentId
    model_id: ModelId
    model_reference: str
    training_id: TrainingId
    status: PredictionStatus


class EndedPredictionRow(PredictionKeyRow):
    """A prediction that has ended; ``wanted`` says whether a webhook wants the event."""

    wanted: Annotated[bool, NeverNull("EXISTS")]


class PredictedDocumentRow(Row):
    """The part of a document that predictions need; no content has been uploaded while the key is null."""

    content_key: str | None


class PredictingModelRow(Row):
    """The defaults of a model for its predictions."""

    training_id: TrainingId | None
    preprocess_config: dict[str, object]
    postprocess_config: dict[str, object]


class PredictionInputRow(Row):
    """Input of a prediction job; a part that was deleted, or is no longer shared, is null."""

    preprocess_config: dict[str, object]
    postprocess_config: dict[str, object]
    document_id: DocumentId | None
    content_key: str | None
    artefact_key: str | None
    limited_by: Annotated[LimitedBy, NeverNull("coalesce")]


class LabelStatisticsRow(Row):
    """The number of predictions of one label, and how many of them need no human."""

    label: Annotated[str, NeverNull("labels are keys or required members")]
    predictions: Annotated[int, NeverNull("count(*)")]
    automated: Annotated[int, NeverNull("count(*)")]


@tenant(f"""
    SELECT content_key FROM document
    WHERE organization_id = :organization_id AND id = :document_id AND {LIVE}
""")
async def get_document_to_predict(
    connection: Connection, *, organization_id: OrganizationId, document_id: DocumentId
) -> PredictedDocumentRow | None:
    """Return a document that has not expired."""


@crossing(
    "a shared model predicts for everybody",
    """
    SELECT training_id, preprocess_config, postprocess_config FROM model
    WHERE organization_id = :owner_id AND id = :model_id
        AND (organization_id = :organization_id OR shared)
    """,
)
async def get_model_to_predict_with(
    connection: Connection, *, organization_id: OrganizationId, owner_id: OrganizationId, model_id: ModelId
) -> PredictingModelRow | None:
    """Return a model that is the organization's own or shared by its owner."""


@tenant(f"""
    INSERT INTO prediction (
        organization_id, id, document_id, model_id, model_reference, training_id, preprocess_config,
        postprocess_config, created_by
    )
    VALUES (
        :organization_id, :prediction_id, :document_id, :model_id, :model_reference, :training_id,
        :preprocess_config, :postprocess_config, :created_by
    )
    RETURNING {columns(PredictionRow)}
""")
async def insert_prediction(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    prediction_id: PredictionId,
    document_id: DocumentId,
    model_id: ModelId,
    model_reference: str,
    training_id: TrainingId,
    preprocess_config: dict[str, object],
    postprocess_config: dict[str, object],
    created_by: PrincipalId,
) -> PredictionRow:
    """Add a pending prediction."""


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
        AND prediction.created_time > now() - interval '1 hour'
        AND prediction.created_time < now() - make_interval(secs => :waited)
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
    "the training of a shared model is its owner's",
    f"""
    SELECT prediction.preprocess_config, prediction.postprocess_config,
        document.id AS document_id, document.content_key, training.artefact_key,
        {LIMITED_BY} AS limited_by
    FROM prediction
    LEFT JOIN organization ON organization.id = :organization_id
    LEFT JOIN plan ON plan.id = organization.plan_id
    LEFT JOIN document ON document.organization_id = :organization_id
        AND document.id = prediction.document_id
    LEFT JOIN model ON model.id = prediction.model_id
        AND (model.organization_id = :organization_id OR model.shared)
    LEFT JOIN training ON training.organization_id = model.organization_id AND training.model_id = model.id
        AND training.id = prediction.training_id
    WHERE prediction.organization_id = :organization_id AND prediction.id = :prediction_id
    """,
)
async def get_prediction_input(
    connection: Connection, *, organization_id: OrganizationId, prediction_id: PredictionId
) -> PredictionInputRow | None:
    """Return what the job of a prediction works with."""


@crossing(
    "the predictions are the caller's, the training of a shared model is its owner's",
    """
    WITH recent AS (
        SELECT id, training_id, predictions FROM prediction
        WHERE organization_id = :organization_id AND model_id = :model_id AND created_time >= :from_time
        ORDER BY created_time DESC, id DESC LIMIT :newest
    ),
    chosen AS (
        SELECT recent.id, recent.predictions,
            coalesce(
                (training.evaluation #>> '{automation,threshold}')::float8, :default_threshold::float8
            ) AS threshold
        FROM recent LEFT JOIN training ON training.id = recent.training_id AND training.model_id = :model_id
        WHERE :training_id::text IS NULL OR recent.training_id = :training_id
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
    """Count, by label, the predictions since ``from_time`` and those that need no human.

    Of more than ``newest`` predictions the newest count. No human is needed when the confidence reaches the
    threshold that the evaluation of the training recommends, else ``default_threshold``. Of several
    candidates the most confident one counts; line items are as confident as their least confident cell.
    """


@crossing(
    "jobs of all organizations that succeeded at the same time share a commit",
    f"""
    UPDATE prediction SET
        status = 'succeeded', predictions = one.predictions::jsonb, inference_time = one.inference_time,
        next_page = one.next_page, preprocess_config = one.preprocess_config::jsonb
    FROM unnest(
        :organization_ids::text[], :prediction_ids::text[], :predictions::text[], :inference_times::float8[],
        :next_pages::integer[], :preprocess_configs::text[]
    ) AS one (organization_id, id, predictions, inference_time, next_page, preprocess_config)
    WHERE prediction.organization_id = one.organization_id AND prediction.id = one.id
        AND prediction.status = 'pending'
    RETURNING {columns(PredictionKeyRow, "prediction")},
        {is_wanted("prediction.succeeded", organization="prediction.organization_id")} AS wanted
    """,
)
async def succeed_predictions(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    prediction_ids: Sequence[PredictionId],
    predictions: Sequence[str],
    inference_times: Sequence[float],
    next_pages: Sequence[int | None],
    preprocess_configs: Sequence[str],
) -> list[EndedPredictionRow]:
    """Set pending predictions to succeeded with their results; ``predictions`` and configs are JSON."""


@tenant(f"""
    UPDATE prediction SET status = 'failed', error = :error
    WHERE organization_id = :organization_id AND id = :prediction_id AND status = 'pending'
    RETURNING {columns(PredictionKeyRow)},
        {is_wanted("prediction.failed")} AS wanted
""")
async def fail_prediction(
    connection: Connection, *, organization_id: OrganizationId, prediction_id: PredictionId, error: str
) -> EndedPredictionRow | None:
    """Set a pending prediction to failed."""


@tenant("""
    UPDATE prediction SET status = 'pending', error = NULL
    WHERE organization_id = :organization_id AND id = :prediction_id AND status = 'failed'
    RETURNING id
""")
async def reopen_prediction(
    connection: Connection, *, organization_id: OrganizationId, prediction_id: PredictionId
) -> PredictionId | None:
    """Set a failed prediction to pending again; return its id if there was one."""

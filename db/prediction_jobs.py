"""Jobs of predictions: queue one, read what it works with, and write its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from db.job_outcomes import ending
from db.jobs import queueing
from db.plan_limits import RESERVED_BY, LimitedBy
from db.predictions import PredictionRow, PredictionStatus
from db.statements import Connection, NeverNull, Row, columns, crossing, tenant
from db.usage import ACTIVE_MODELS, WITHIN_PLAN, settling
from db.webhook_deliveries import is_wanted
from pagemill.ids import DocumentId, JobId, ModelId, OrganizationId, PredictionId, PrincipalId, TrainingId

_TOGETHER = "jobs of all organizations that succeeded at the same time share a commit"
_NOBODY_ELSE = f"""NOT found.cancel_requested
            AND NOT {is_wanted("prediction.succeeded", organization="found.organization_id")}"""
"""A condition on a job: nothing has to be written besides its end, its prediction and its usage."""


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


class PredictionInputRow(Row):
    """Input of a prediction job; a part that was deleted, or is no longer shared, is null."""

    preprocess_config: dict[str, object]
    postprocess_config: dict[str, object]
    document_id: DocumentId | None
    content_key: str | None
    artefact_key: str | None
    limited_by: LimitedBy | None
    """The meter that the plan limits; null where it allows any number of them."""


# A transaction by itself: counted, inserted, reserved and queued, or nothing of it.
@tenant(
    queueing(
        ":kind",
        """
        SELECT :organization_id::text, :job_id::text, :kind::text, id, '{}'::jsonb, :priority::integer,
            :maximum_attempts::integer, :trace_context::text
        FROM added
        """,
        parts=f"""
        {WITHIN_PLAN}, added AS (
            INSERT INTO prediction (
                organization_id, id, document_id, model_id, model_reference, training_id,
                preprocess_config, postprocess_config, created_by
            )
            SELECT :organization_id, :prediction_id, :document_id, :model_id, :model_reference,
                :training_id, :preprocess_config::jsonb, :postprocess_config::jsonb, :created_by
            FROM counted
            RETURNING {columns(PredictionRow)}
        ), reserved AS (
            INSERT INTO usage_reservation (organization_id, job_id, month, meter, amount)
            SELECT :organization_id, :job_id, :month, :meter, :amount::numeric FROM counted
        ),
        """,
        result=columns(PredictionRow, "added"),
        with_trace=True,
    )
    + "CROSS JOIN added"
)
async def submit_prediction(
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
    job_id: JobId,
    kind: str,
    priority: int,
    maximum_attempts: int,
    trace_context: str | None,
    month: str,
    meter: str,
    amount: Decimal,
) -> PredictionRow | None:
    """Add a pending prediction, queue its job and reserve units of a meter for the job.

    Return None, and do nothing, when the plan allows less.
    """


@crossing(
    "the training of a shared model is its owner's",
    f"""
    SELECT prediction.preprocess_config, prediction.postprocess_config,
        document.id AS document_id, document.content_key, training.artefact_key,
        {RESERVED_BY} AS limited_by
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


def _succeeding(results: str, returning: str) -> str:
    """Return a CTE that writes the rows of ``results``, named ``one``, into predictions that are pending."""
    return f"""
    succeeded AS (
        UPDATE prediction SET
            status = 'succeeded', predictions = one.predictions::jsonb,
            inference_time = one.inference_time, next_page = one.next_page,
            preprocess_config = one.preprocess_config::jsonb
        FROM {results}
        WHERE prediction.organization_id = one.organization_id AND prediction.id = one.id
            AND prediction.status = 'pending'
        RETURNING {returning}
    )
    """


_RESULTS = """
    :organization_ids::text[], :prediction_ids::text[], :predictions::text[], :inference_times::float8[],
    :next_pages::integer[], :preprocess_configs::text[]
"""
_RESULT_COLUMNS = "organization_id, id, predictions, inference_time, next_page, preprocess_config"


@crossing(
    _TOGETHER,
    f"""
    WITH {
        _succeeding(f"unnest({_RESULTS}) AS one ({_RESULT_COLUMNS})", columns(PredictionKeyRow, "prediction"))
    }, {ACTIVE_MODELS}
    SELECT {columns(PredictionKeyRow)},
        {is_wanted("prediction.succeeded", organization="succeeded.organization_id")} AS wanted
    FROM succeeded
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
    month: str,
) -> list[EndedPredictionRow]:
    """Set pending predictions to succeeded with their results, and count their models as active in ``month``.

    ``predictions`` and configs are JSON.
    """


# A transaction by itself, as most predictions end. Its parts are those of ``end_succeeded_jobs``,
# ``succeed_predictions`` and ``settle_reservations``, which end what is left out here. It takes its locks in
# their order: jobs, predictions, active models, other counters. It sees what was committed before it began,
# although it may wait for a job: no reservation of a late attempt must be granted meanwhile.
@crossing(
    f"{_TOGETHER}; the attempts fence it",
    f"""
    WITH {ending(_NOBODY_ELSE)}, settled AS MATERIALIZED (
        SELECT one.* FROM unnest({_RESULTS}, :job_ids::text[]) AS one ({_RESULT_COLUMNS}, job_id)
        JOIN ended ON ended.id = one.job_id
    ), {_succeeding("settled AS one", "prediction.organization_id, prediction.model_id")},
    {ACTIVE_MODELS}, {settling(after="active")}
    SELECT id FROM ended WHERE (SELECT count(done) FROM told) > 0
    """,
)
async def end_succeeded_predictions(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    job_ids: Sequence[JobId],
    attempts: Sequence[int],
    prediction_ids: Sequence[PredictionId],
    predictions: Sequence[str],
    inference_times: Sequence[float],
    next_pages: Sequence[int | None],
    preprocess_configs: Sequence[str],
    month: str,
    used_job_ids: Sequence[JobId],
    months: Sequence[str],
    meters: Sequence[str],
    amounts: Sequence[Decimal],
) -> list[JobId]:
    """End running jobs that have succeeded, write their predictions, and settle what they have reserved.

    Return the jobs. Those whose attempt is not current are left out, as are those that were asked to end, and
    those of organizations that a webhook tells of it. See ``settle_reservations`` for the units used.
    """


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

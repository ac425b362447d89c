"""Jobs that predict: read the pages, find the fields, and reserve what the plan limits.

A plan limits pages or fields. Only these have to be reserved; the others are counted, without a limit, when
the job ends. Pages are known before fields are looked for: they are reserved meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, TypeVar

import msgspec

from db.pool import Pool, acquire
from db.prediction_jobs import (
    PredictionInputRow,
    end_succeeded_predictions,
    fail_prediction,
    get_prediction_input,
    reopen_prediction,
    submit_prediction,
    succeed_predictions,
)
from db.predictions import PredictionRow
from db.statements import Connection
from pagemill.applications.found_fields import Predictions, count_fields
from pagemill.concurrency import cancel_and_wait
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import (
    DocumentId,
    JobId,
    ModelId,
    OrganizationId,
    PredictionId,
    PrincipalId,
    SubjectId,
    TrainingId,
    new_id,
)
from pagemill.jobs.job import INTERACTIVE, Job, KindName
from pagemill.jobs.kind import Finished, JobKind
from pagemill.notices.events import tell_of_prediction
from pagemill.tracing.spans import context_to_send, span, within_trace
from pagemill.usage.limits import limit_exceeded, limited_amounts
from pagemill.usage.meters import Amount, Meter, current_month, period_of, to_decimal
from pagemill.usage.reservations import used_units
from pagemill.work.metering import MeteredUsage
from pagemill.work.resources import WorkResources

Pages = TypeVar("Pages", bound=Sized)
Answer = TypeVar("Answer")

RESERVED_METER: Meter = "predictions"
RESERVED: Amount = 1
"""Units of ``RESERVED_METER`` that each prediction reserves when it is queued."""
CANCELLED = "Cancelled"
"""Error of a prediction that was cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPrediction:
    """A prediction to make; its document, model and training were found. The configs are those to apply."""

    document_id: DocumentId
    model_id: ModelId
    model_reference: str
    """``modelId`` of the request, with or without its owner."""
    training_id: TrainingId
    preprocess_config: dict[str, object]
    postprocess_config: dict[str, object]
    created_by: PrincipalId


async def submit(
    connection: Connection,
    organization_id: OrganizationId,
    new: NewPrediction,
    *,
    job_id: JobId,
    priority: int,
) -> PredictionRow:
    """Add a pending prediction and queue its job, as one statement. Raises LimitExceeded.

    It does what ``enqueue`` does for the job.
    """
    row = await submit_prediction(
        connection,
        organization_id=organization_id,
        prediction_id=new_id(PredictionId),
        document_id=new.document_id,
        model_id=new.model_id,
        model_reference=new.model_reference,
        training_id=new.training_id,
        preprocess_config=new.preprocess_config,
        postprocess_config=new.postprocess_config,
        created_by=new.created_by,
        job_id=job_id,
        kind=PREDICTION.name,
        priority=priority,
        maximum_attempts=PREDICTION.maximum_attempts,
        trace_context=context_to_send(),
        month=period_of(RESERVED_METER, current_month()),
        meter=RESERVED_METER,
        amount=to_decimal(RESERVED),
    )
    if row is None:
        raise limit_exceeded(RESERVED_METER)
    return row


class PredictionResult(msgspec.Struct, frozen=True, kw_only=True):
    """``predictions`` as the API shows them, ``inference_time`` in seconds; pages and fields are billed."""

    predictions: Predictions
    inference_time: float
    next_page: int | None
    preprocess_config: dict[str, object]
    pages: int
    fields: int


class Applications(Protocol[Pages]):
    """The applications that predictions are made with."""

    async def read(
        self, content_key: str, preprocess_config: Mapping[str, object]
    ) -> tuple[Pages, int | None]:
        """Return the pages and the index at which a next request goes on."""
        ...

    async def predict(
        self, artefact_key: str, pages: Pages, postprocess_config: dict[str, object]
    ) -> Predictions:
        """Return the fields that a training finds on pages."""
        ...


class Reservations(Protocol):
    """Client of the usage counters."""

    async def reserve(
        self,
        organization_id: OrganizationId,
        job_id: JobId,
        amounts: Mapping[Meter, Amount],
        *,
        attempt: int,
    ) -> None:
        """Count for a job, once however often it is tried. Raises LimitExceeded, JobEnded."""
        ...


@dataclass(frozen=True, kw_only=True)
class PredictionResources(WorkResources):
    """Resources with the applications and the usage counters."""

    applications: Applications[Any]
    reservations: Reservations


class PredictionRunner:
    """Runner of prediction jobs; it holds nothing between two, so any number may run at once."""

    def __init__(self, pool: Pool, applications: Applications[Any], reservations: Reservations) -> None:
        self._pool, self._applications, self._reservations = pool, applications, reservations

    async def __call__(self, job: Job) -> PredictionResult:
        """Predict. Raises DocumentUnreadable, NotFound, BadRequest, LimitExceeded, Unavailable."""
        async with acquire(self._pool) as connection:
            found = await get_prediction_input(
                connection, organization_id=job.organization_id, prediction_id=PredictionId(job.subject_id)
            )
        work, content_key, artefact_key = _checked(found)
        begun = time.monotonic()
        pages, next_page = await self._applications.read(content_key, work.preprocess_config)
        predicting = self._applications.predict(artefact_key, pages, work.postprocess_config)
        limited_pages = limited_amounts(work.limited_by, {"pages": len(pages)})
        predictions = await _with_reservation(predicting, self._reserve(job, limited_pages))
        fields = count_fields(predictions)
        inference_time = time.monotonic() - begun
        await self._reserve(job, limited_amounts(work.limited_by, {"fields": fields}))
        return PredictionResult(
            predictions=predictions,
            inference_time=inference_time,
            next_page=next_page,
            preprocess_config=work.preprocess_config,
            pages=len(pages),
            fields=fields,
        )

    async def _reserve(self, job: Job, amounts: Mapping[Meter, Amount]) -> None:
        if amounts:
            with span("reserve"):
                await self._reservations.reserve(job.organization_id, job.id, amounts, attempt=job.attempt)


async def _with_reservation(work: Coroutine[Any, Any, Answer], reservation: Awaitable[None]) -> Answer:
    """Run both and return the answer of the work; cancel the work when the reservation fails."""
    working = asyncio.ensure_future(work)
    try:
        await reservation
        return await working
    finally:
        await cancel_and_wait([working])


def _checked(work: PredictionInputRow | None) -> tuple[PredictionInputRow, str, str]:
    """Return the input, the key of the content, and that of the artefact. Raises NotFound, BadRequest."""
    if work is None or work.document_id is None:
        raise NotFound("The document does not exist any more")
    if work.content_key is None:
        raise BadRequest("documentId: the document has no content")
    if work.artefact_key is None:
        raise BadRequest("trainingId: the training does not exist any more")
    return work, work.content_key, work.artefact_key


def _used(result: PredictionResult) -> Mapping[Meter, Amount]:
    return {"pages": result.pages, "fields": result.fields}


class _Results(TypedDict):
    """Results of predictions, in columns."""

    organization_ids: list[OrganizationId]
    prediction_ids: list[PredictionId]
    predictions: list[str]
    inference_times: list[float]
    next_pages: list[int | None]
    preprocess_configs: list[str]


def _results(finished: Sequence[Finished[PredictionResult]]) -> _Results:
    return _Results(
        organization_ids=[job.organization_id for job, _ in finished],
        prediction_ids=[PredictionId(job.subject_id) for job, _ in finished],
        predictions=[_json(result.predictions) for _, result in finished],
        inference_times=[result.inference_time for _, result in finished],
        next_pages=[result.next_page for _, result in finished],
        preprocess_configs=[_json(result.preprocess_config) for _, result in finished],
    )


async def _succeed(connection: Connection, finished: Sequence[Finished[PredictionResult]]) -> None:
    rows = await succeed_predictions(connection, **_results(finished), month=current_month())
    traces = {job.subject_id: job.trace_context for job, _ in finished}
    for row in rows:
        with within_trace(traces.get(SubjectId(row.id))):
            await tell_of_prediction(connection, row)


async def _end_at_once(
    connection: Connection, finished: Sequence[Finished[PredictionResult]]
) -> Sequence[JobId]:
    units = used_units((job.id, _used(result)) for job, result in finished)
    return await end_succeeded_predictions(
        connection,
        job_ids=[job.id for job, _ in finished],
        attempts=[job.attempt for job, _ in finished],
        **_results(finished),
        month=current_month(),
        used_job_ids=units.job_ids,
        months=units.months,
        meters=units.meters,
        amounts=units.amounts,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, message: str
) -> None:
    row = await fail_prediction(
        connection,
        organization_id=organization_id,
        prediction_id=PredictionId(subject_id),
        error=message,
    )
    await tell_of_prediction(connection, row)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    await _fail(connection, organization_id, subject_id, CANCELLED)


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    found = await reopen_prediction(
        connection, organization_id=organization_id, prediction_id=PredictionId(subject_id)
    )
    return found is not None


PREDICTION: JobKind[PredictionResources, PredictionResult] = JobKind(
    name=KindName("prediction"),
    description="Find the fields of a document",
    runner=lambda resources: PredictionRunner(resources.pool, resources.applications, resources.reservations),
    concurrency=lambda settings: settings.prediction_concurrency,
    priority=INTERACTIVE,
    succeed=_succeed,
    end_at_once=_end_at_once,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
    usage=MeteredUsage(
        reserved={RESERVED_METER: RESERVED},
        used=_used,
    ),
)

"""How a job ends: one transaction for the job, its subject, its usage and the notification.

The first terminal write wins. Every function returns False, and has changed nothing, when the job has gone
on without the caller: it has ended, or a later attempt has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, assert_never

import msgspec

from db import data_bundles, predictions, trainings, transformations
from db import jobs as statements
from db.statements import Connection
from pagemill import errors
from pagemill.errors import PagemillError
from pagemill.ids import JobId, OrganizationId
from pagemill.jobs.job import Job, JobKind, JobState, WorkerLost
from pagemill.jobs.subjects import SUBJECTS
from pagemill.notices.events import tell_of_data_bundle, tell_of_prediction, tell_of_training
from pagemill.usage.counting import count_active_model
from pagemill.usage.meters import Amount, Meter
from pagemill.usage.reservations import JobOf, refund, settle

UNEXPECTED = "Internal Server Error"
CANCELLED = "Cancelled"
LONGEST_MESSAGE = 4096


class PredictionResult(msgspec.Struct, frozen=True, kw_only=True):
    """``predictions`` as the API shows them, ``inference_time`` in seconds; pages and fields are billed."""

    predictions: list[dict[str, Any]] | dict[str, Any]
    inference_time: float
    next_page: int | None
    preprocess_config: dict[str, Any]
    pages: int
    fields: int


class DataBundleResult(msgspec.Struct, frozen=True, kw_only=True):
    """``object_key`` is where the snapshot of the datasets lies."""

    summary: dict[str, Any]
    object_key: str


class TrainingResult(msgspec.Struct, frozen=True, kw_only=True):
    """``artefact_key`` is the prefix of the artefact; a training without GPUs takes 0 GPU hours."""

    evaluation: dict[str, Any]
    artefact_key: str
    gpu_hours: float


class TransformationResult(msgspec.Struct, frozen=True):
    """What a transformation did stands in its dataset."""


class Done(msgspec.Struct, frozen=True):
    """The result of a job whose kind has no resource: that it was done is all there is to keep.

    A job of such a kind reserves nothing.
    """


Result: TypeAlias = PredictionResult | DataBundleResult | TrainingResult | TransformationResult | Done


class Failure(msgspec.Struct, frozen=True):
    """What is kept of an error. Only what Pagemill says on purpose is shown to users."""

    error_class: str
    message: str
    retryable: bool


def failure_of(error: BaseException) -> Failure:
    """Errors raised on purpose say whether to retry; any other error may go away by itself."""
    if isinstance(error, PagemillError):
        return Failure(_class_name(error), error.message[:LONGEST_MESSAGE], error.retryable)
    return Failure(type(error).__name__, UNEXPECTED, retryable=True)


def _class_name(error: PagemillError) -> str:
    """The name under which ``EndedJob.error`` finds the class again, also when Ray has derived from it."""
    ancestors: tuple[type, ...] = type(error).__mro__
    for ancestor in ancestors:
        name = ancestor.__name__
        if ancestor is not PagemillError and getattr(errors, name, None) is ancestor:
            return name
    return type(error).__name__


class Finished(NamedTuple):
    """A job and its result."""

    job: Job
    result: Result


async def finish(connection: Connection, job: Job, result: Result) -> bool:
    """End the job with its result. A job that was asked to end before ends cancelled instead."""
    return (await finish_together(connection, [Finished(job, result)]))[0]


async def finish_together(connection: Connection, finished: Sequence[Finished]) -> list[bool]:
    """The same for several jobs, of whomever, in one transaction: a result that is refused refuses all."""
    if all(isinstance(result, Done) and not SUBJECTS[job.kind].reserved for job, result in finished):
        # Nothing is written besides, and nothing was reserved: one statement is a transaction by itself.
        states = await _end_together(connection, finished)
    else:
        async with connection.transaction():
            states = await _end_together(connection, finished)
            succeeded = [one for one in finished if states.get(one.job.id) == "succeeded"]
            if succeeded:
                await settle(connection, await _write_results(connection, succeeded))
            for job, _ in finished:
                if states.get(job.id) == "cancelled":
                    await refund(connection, job.organization_id, job.id)
    return [one.job.id in states for one in finished]


async def _end_together(connection: Connection, finished: Sequence[Finished]) -> dict[str, JobState]:
    """How those have ended that their workers still had."""
    rows = await statements.END_TOGETHER.fetch(
        connection,
        [one.job.organization_id for one in finished],
        [one.job.id for one in finished],
        [one.job.attempt for one in finished],
    )
    return {row["id"]: row["state"] for row in rows}


async def fail(connection: Connection, job: Job, error: BaseException) -> bool:
    """End the job with an error, for good."""
    failure = failure_of(error)
    async with connection.transaction():
        state = await _end(connection, job, "failed", failure)
        if state is not None:
            await refund(connection, job.organization_id, job.id)
        if state == "failed":
            await SUBJECTS[job.kind].fail(connection, job.organization_id, job.subject_id, failure.message)
    return state is not None


async def retry(
    connection: Connection, job: Job, error: BaseException, *, delay: float, counts: bool = True
) -> bool:
    """Give the job back to the queue, to be claimed in ``delay`` seconds at the earliest.

    An attempt that does not count raises the number of attempts instead: the attempt itself stays the
    fencing token and never goes back. That a worker was lost is counted besides.
    """
    failure = failure_of(error)
    lost = int(isinstance(error, WorkerLost))
    arguments = (delay, 0 if counts else 1, failure.error_class, failure.message, lost)
    row = await statements.RETRY.fetch_value(connection, job.organization_id, job.id, job.attempt, *arguments)
    return row is not None


async def cancel(connection: Connection, job: Job) -> bool:
    """End a running job that was asked to end; its subject was written when it was asked."""
    async with connection.transaction():
        state = await _end(connection, job, "cancelled", None)
        if state is not None:
            await refund(connection, job.organization_id, job.id)
    return state is not None


async def cancel_queued(connection: Connection, organization_id: str, job_id: str) -> bool:
    """End a job that nobody has claimed."""
    async with connection.transaction():
        ended = await statements.CANCEL_QUEUED.fetch_one(connection, organization_id, job_id)
        if ended is not None:
            await refund(connection, OrganizationId(organization_id), JobId(job_id))
    return ended is not None


async def write_cancelled(
    connection: Connection, kind: JobKind, organization_id: str, subject_id: str
) -> None:
    """Let the subject of a job that is asked to end show it."""
    await SUBJECTS[kind].cancel(connection, organization_id, subject_id, CANCELLED)


async def _end(connection: Connection, job: Job, state: JobState, failure: Failure | None) -> JobState | None:
    details = (None, None, None) if failure is None else msgspec.structs.astuple(failure)
    row = await statements.END.fetch_one(
        connection, job.organization_id, job.id, job.attempt, state, *details
    )
    return None if row is None else row["state"]


async def _write_results(
    connection: Connection, finished: Sequence[Finished]
) -> dict[JobOf, Mapping[Meter, Amount]]:
    """Write the subjects; returns what the jobs really used."""
    predicted = [(job, result) for job, result in finished if isinstance(result, PredictionResult)]
    if predicted:
        await _write_predictions(connection, predicted)
    return {
        JobOf(job.organization_id, job.id): await _write_result(connection, job, result)
        for job, result in finished
    }


async def _write_predictions(
    connection: Connection, predicted: Sequence[tuple[Job, PredictionResult]]
) -> None:
    rows = await predictions.SUCCEED_PREDICTIONS.fetch(
        connection,
        [job.organization_id for job, _ in predicted],
        [job.subject_id for job, _ in predicted],
        [_json(result.predictions) for _, result in predicted],
        [result.inference_time for _, result in predicted],
        [result.next_page for _, result in predicted],
        [_json(result.preprocess_config) for _, result in predicted],
    )
    for organization_id, model_id in sorted({(row["organization_id"], row["model_id"]) for row in rows}):
        await count_active_model(connection, organization_id, model_id)
    for row in rows:
        await tell_of_prediction(connection, row["organization_id"], row)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _write_result(connection: Connection, job: Job, result: Result) -> Mapping[Meter, Amount]:
    """Write the subject, unless it is a prediction; returns what the job really used."""
    subject = (job.organization_id, job.subject_id)
    match result:
        case PredictionResult():
            return {"pages": result.pages, "fields": result.fields}
        case DataBundleResult():
            data_bundle = await data_bundles.SUCCEED_DATA_BUNDLE.fetch_one(
                connection, *subject, result.summary, result.object_key
            )
            await tell_of_data_bundle(connection, job.organization_id, data_bundle)
            return {}
        case TrainingResult():
            training = await trainings.SUCCEED_TRAINING.fetch_one(
                connection, *subject, result.evaluation, result.artefact_key, result.gpu_hours
            )
            await tell_of_training(connection, job.organization_id, training)
            return {"gpu-hours": result.gpu_hours}
        case TransformationResult():
            await transformations.END_TRANSFORMATION.execute(connection, *subject, "succeeded")
            return {}
        case Done():
            return {}
        case _:
            assert_never(result)

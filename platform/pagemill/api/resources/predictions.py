"""Predictions, the fields found in documents: ``/predictions``."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Controller, Response, get, post
from litestar.params import Parameter
from msgspec import UNSET

from db import predictions as statements
from db.keyset import Order
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState, state_of
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.requests import ApiRequest
from pagemill.api.resources.models import model_not_found
from pagemill.api.resources.page_configs import effective_preprocess_config, members, sent_preprocess_config
from pagemill.api.resources.prediction_schemas import (
    MODEL_REFERENCE,
    PostPrediction,
    Prediction,
    Predictions,
    split_reference,
    to_prediction,
)
from pagemill.errors import BadRequest, LimitExceeded, NotFound
from pagemill.ids import JobId, PredictionId, TrainingId
from pagemill.jobs.job import INTERACTIVE
from pagemill.jobs.queue import ended_job, new_job_id
from pagemill.tracing.spans import span
from pagemill.usage.meters import current_month
from pagemill.work.predictions import NewPrediction, submit

ASYNCHRONOUS = 5
"""Priority between a request that waits and a batch."""
SECONDS_TO_RETRY_AFTER = 5


class PredictionController(Controller):
    """Operations on predictions."""

    path = "/predictions"
    tags = ("Predictions",)

    @post(status_code=200, transaction="own")
    async def create_prediction(
        self, data: PostPrediction, request: ApiRequest, caller: Caller
    ) -> Prediction | Response[dict[str, str]]:
        """Find the fields of a document.

        The document needs content. ``modelId`` is a model of the caller, or a shared model of another
        organization as ``<organizationId>/<modelId>``; it is used with ``trainingId``, else with the model's
        own training. Members of ``preprocessConfig`` that are left out come from the model, ``pages`` goes
        before ``startPage`` and ``maxPages``; the answer shows what was applied. ``nextPage`` is the first
        page that was not read, null when nothing is left.

        Without ``async`` the answer is the ``succeeded`` prediction, or the error. A prediction that takes
        too long answers 503 with ``Retry-After`` and its ``predictionId``: it goes on, get it by its id, or
        repeat the request to wait for it again. With ``async`` the answer is ``pending`` at once: get the
        prediction until it is ``succeeded`` or ``failed``, or have a webhook told of it.

        Answers 404 when the document or the model does not exist, 400 when the document has no content or
        cannot be read, or no training can be used, and 429 ``Limit Exceeded`` when the plan allows no more
        predictions, pages or fields.
        """
        state = state_of(request)
        priority = ASYNCHRONOUS if data.is_async else INTERACTIVE
        await state.admission.admit(caller.organization_id, priority)
        waited = None if data.is_async else state.settings.prediction_wait
        # The connection goes back to the pool before the job is waited for: slow documents must not keep
        # other requests from being taken.
        with span("submit", activate=False):
            async with state.connection() as connection:
                requested, new = await _look_up(connection, caller, data, waited)
                repeated = None
                if waited is not None and requested.asked_before:
                    repeated = await _find_repeated(connection, caller, new, waited)
                job_id = new_job_id() if repeated is None else repeated.job_id
                waiter = None if data.is_async else state.listener.register(job_id)
                row: statements.PredictionRow
                if repeated is None:
                    _check_not_used_up(requested)
                    row = await submit(
                        connection, caller.organization_id, new, job_id=job_id, priority=priority
                    )
                    ended = False
                else:
                    row = repeated
                    # It can have ended before it was registered.
                    ended = await ended_job(connection, caller.organization_id, job_id) is not None
        if waiter is None:
            return to_prediction(row)
        if not ended and not await state.listener.wait(waiter, state.settings.prediction_wait):
            return _still_pending(row.id)
        with span("answer"):
            return await _finished_prediction(state, caller, row.id, job_id)

    @get()
    async def list_predictions(
        self,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        model_id: Annotated[
            str | None, Parameter(query="modelId", pattern=MODEL_REFERENCE, max_length=512)
        ] = None,
        sort_by: Annotated[Literal["createdTime"] | None, Parameter(query="sortBy")] = None,
        order: Order | None = None,
    ) -> Predictions:
        """List predictions.

        Oldest first, unless ``order`` is ``descending``. ``modelId`` lists the predictions of one model, with
        or without its owner.
        """
        listing = (
            statements.list_predictions_descending
            if order == "descending"
            else statements.list_predictions_ascending
        )
        rows = await listing(
            connection,
            organization_id=caller.organization_id,
            model_id=None if model_id is None else split_reference(model_id)[1],
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, next_token = cut(rows, page)
        return Predictions(
            predictions=[to_prediction(row) for row in shown],
            next_token=next_token,
            model_id=model_id or UNSET,
            sort_by=sort_by or UNSET,
            order=order or UNSET,
        )

    @get("/{prediction_id:str}")
    async def get_prediction(
        self, prediction_id: PredictionId, caller: Caller, connection: RequestConnection
    ) -> Prediction:
        """Get a prediction.

        It is ``pending`` until its fields are found, then ``succeeded`` with ``predictions``, or ``failed``
        with ``error``.
        """
        row = await statements.get_prediction(
            connection, organization_id=caller.organization_id, prediction_id=prediction_id
        )
        if row is None:
            raise prediction_not_found(prediction_id)
        return to_prediction(row)


def prediction_not_found(prediction_id: PredictionId) -> NotFound:
    """Return the error for a prediction that the caller's organization does not have."""
    return NotFound(f"Prediction {prediction_id} not found")


async def _look_up(
    connection: Connection, caller: Caller, data: PostPrediction, waited: float | None
) -> tuple[statements.RequestedRow, NewPrediction]:
    """Find the document, the model and the training of a request, and the configs to apply.

    Raises NotFound for the document or the model, BadRequest when one of them cannot be used yet.
    """
    preprocess_config = sent_preprocess_config(data.preprocess_config)
    named_owner, model_id = split_reference(data.model_id)
    found = await statements.get_requested(
        connection,
        organization_id=caller.organization_id,
        document_id=data.document_id,
        owner_id=named_owner or caller.organization_id,
        model_id=model_id,
        training_id=None if data.training_id is UNSET else data.training_id,
        month=current_month(),
        created_by=caller.principal_id,
        waited=waited,
    )
    if found is None or found.document_id is None:
        raise NotFound(f"Document {data.document_id} not found")
    if found.preprocess_config is None or found.postprocess_config is None:
        raise model_not_found(model_id)
    if found.content_key is None:
        raise BadRequest("documentId: the document has no content yet, upload it to its fileUrl")
    return found, NewPrediction(
        document_id=found.document_id,
        model_reference=data.model_id,
        model_id=model_id,
        training_id=_training_id(data, found),
        preprocess_config=effective_preprocess_config(
            preprocess_config, data.deprecated_preprocess_config(), found.preprocess_config
        ),
        postprocess_config=members(data.postprocess_config) or found.postprocess_config,
        created_by=caller.principal_id,
    )


def _training_id(data: PostPrediction, found: statements.RequestedRow) -> TrainingId:
    """Return the training that the request names, else the model's. Raises BadRequest when there is none."""
    if data.training_id is not UNSET:
        if found.training_id is None:
            raise BadRequest("trainingId: must be a succeeded training of this model")
        return found.training_id
    if found.active_training_id is None:
        raise BadRequest(f"modelId: {data.model_id} is inactive and the request names no trainingId")
    return found.active_training_id


async def _find_repeated(
    connection: Connection, caller: Caller, new: NewPrediction, waited: float
) -> statements.UnansweredPredictionRow | None:
    """Return the prediction that this request repeats: clients send a POST again after a 503.

    It has been pending for longer than ``waited`` seconds, so that its first caller has had the 503.
    """
    return await statements.find_unanswered_prediction(
        connection,
        organization_id=caller.organization_id,
        document_id=new.document_id,
        model_id=new.model_id,
        model_reference=new.model_reference,
        training_id=new.training_id,
        preprocess_config=new.preprocess_config,
        postprocess_config=new.postprocess_config,
        created_by=new.created_by,
        priority=INTERACTIVE,
        waited=waited,
    )


def _check_not_used_up(requested: statements.RequestedRow) -> None:
    """Check that something is left of pages or fields, which the worker would reserve in vain.

    Raises LimitExceeded.
    """
    if requested.used_up:
        raise LimitExceeded(detail=f"{requested.limited_by} of this month are used up")


async def _finished_prediction(
    state: AppState, caller: Caller, prediction_id: PredictionId, job_id: JobId
) -> Prediction:
    """Return the prediction of a job that has ended.

    Raises the error that the job ended with; nothing of the prediction is kept then.
    """
    organization_id = caller.organization_id
    async with state.connection() as connection:
        row = await statements.get_prediction(
            connection, organization_id=organization_id, prediction_id=prediction_id
        )
        if row is None or row.status != "succeeded":
            ended = await ended_job(connection, organization_id, job_id)
            error = None if ended is None else ended.error()
            if error is not None:
                await statements.delete_failed_prediction(
                    connection, organization_id=organization_id, prediction_id=prediction_id
                )
                raise error
    if row is None:
        raise prediction_not_found(prediction_id)
    return to_prediction(row)


def _still_pending(prediction_id: PredictionId) -> Response[dict[str, str]]:
    return Response(
        {
            "message": f"The prediction takes longer; get it from /predictions/{prediction_id}",
            "predictionId": prediction_id,
        },
        status_code=503,
        headers={"Retry-After": str(SECONDS_TO_RETRY_AFTER)},
    )

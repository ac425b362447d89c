"""Predictions: ``/predictions``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import asyncpg
import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import predictions as statements
from db.statements import Connection
from db.trainings import TRAINING_TO_PREDICT_WITH
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, ValidDocumentId, timestamp
from pagemill.api.http.state import AppState, state_of
from pagemill.api.resources.models import ValidTrainingId, model_not_found
from pagemill.api.resources.page_configs import (
    ImageQuality,
    MaxPages,
    PostprocessConfig,
    PreprocessConfig,
    Rotation,
    effective_preprocess_config,
    members,
    sent_preprocess_config,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import JobId, PredictionId, new_id
from pagemill.jobs.job import INTERACTIVE
from pagemill.jobs.queue import ended_job, enqueue
from pagemill.usage.limits import check_not_used_up
from pagemill.usage.reservations import reserve_for_new

MODEL_REFERENCE = r"^(|las:organization:[a-z0-9\-_]+/)las:model:[a-z0-9\-_]+$(?!\n)"
ModelReference: TypeAlias = Annotated[str, Meta(pattern=MODEL_REFERENCE, max_length=512)]
PredictionStatus: TypeAlias = Literal["pending", "succeeded", "failed"]
Order: TypeAlias = Literal["ascending", "descending"]

ASYNCHRONOUS = 5
"""Priority between a caller who waits and a batch."""
SECONDS_TO_RETRY_AFTER = 5


class PostPrediction(RequestStruct):
    """The members after ``async`` are deprecated: they count where preprocessConfig does not have them."""

    document_id: ValidDocumentId
    model_id: ModelReference
    training_id: ValidTrainingId | UnsetType = UNSET
    preprocess_config: PreprocessConfig | UnsetType = UNSET
    postprocess_config: PostprocessConfig | UnsetType = UNSET
    is_async: bool = msgspec.field(default=False, name="async")
    auto_rotate: bool | UnsetType = UNSET
    image_quality: ImageQuality | UnsetType = UNSET
    max_pages: MaxPages | UnsetType = UNSET
    rotation: Rotation | UnsetType = UNSET

    def deprecated_preprocess_config(self) -> dict[str, Any]:
        return members(
            PreprocessConfig(
                auto_rotate=self.auto_rotate,
                image_quality=self.image_quality,
                max_pages=self.max_pages,
                rotation=self.rotation,
            )
        )


class Prediction(ResponseStruct):
    """``predictions`` is a list (v1), an object by label (v2), or null while they are pending."""

    prediction_id: str
    document_id: str
    model_id: str
    training_id: str
    status: PredictionStatus
    error: str | None
    predictions: list[dict[str, Any]] | dict[str, Any] | None
    preprocess_config: dict[str, Any]
    postprocess_config: dict[str, Any]
    next_page: int | None
    inference_time: float | None
    created_time: str | None
    created_by: str | None


class Predictions(ResponseStruct):
    predictions: list[Prediction]
    next_token: str | None
    model_id: str | UnsetType = UNSET
    sort_by: Literal["createdTime"] | UnsetType = UNSET
    order: Order | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request comes to once the document and the model are known."""

    model_id: str
    training_id: str
    preprocess_config: dict[str, Any]
    postprocess_config: dict[str, Any]


def to_prediction(row: Mapping[str, Any]) -> Prediction:
    return Prediction(
        prediction_id=row["id"],
        document_id=row["document_id"],
        model_id=row["model_reference"],
        training_id=row["training_id"],
        status=row["status"],
        error=row["error"],
        predictions=row["predictions"],
        preprocess_config=row["preprocess_config"],
        postprocess_config=row["postprocess_config"],
        next_page=row["next_page"],
        inference_time=row["inference_time"],
        created_time=timestamp(row["created_time"]),
        created_by=row["created_by"],
    )


class PredictionController(Controller):
    path = "/predictions"
    tags = ("Predictions",)

    @post(status_code=200)
    async def create_prediction(
        self, data: PostPrediction, request: Request[Any, Any, Any], caller: Caller
    ) -> Prediction | Response[dict[str, str]]:
        """Find the fields of a document; with ``async`` the answer is pending and is fetched by its id.

        The connection goes back to the pool before the outcome is waited for: a slow document must not
        keep others from being submitted. A request that is repeated after its deadline waits on for the same
        prediction.
        """
        state = state_of(request)
        priority = ASYNCHRONOUS if data.is_async else INTERACTIVE
        await state.pressure.admit(caller.organization_id, priority)
        async with state.connection() as connection, connection.transaction():
            plan = await _plan(connection, caller, data)
            repeated = None if data.is_async else await _unanswered(connection, caller, data, plan, state)
            row = repeated or await _begin(connection, caller, data, plan, priority)
            outcome = None if data.is_async else state.listener.register(row["job_id"])
            # One that is taken up again can have ended before it was registered.
            ended = repeated and await ended_job(connection, caller.organization_id, row["job_id"])
        if outcome is None:
            return to_prediction(row)
        if not ended and not await state.listener.wait(outcome, state.settings.prediction_wait):
            return _still_pending(row["id"])
        return await _outcome(state, caller, row["id"], row["job_id"])

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
        """Oldest first unless ``order`` says otherwise."""
        listing = (
            statements.LIST_PREDICTIONS_DESCENDING
            if order == "descending"
            else statements.LIST_PREDICTIONS_ASCENDING
        )
        plain_id = None if model_id is None else model_id.rpartition("/")[2]
        rows = await listing.fetch(connection, caller.organization_id, plain_id, *page.after, page.limit)
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
        self, prediction_id: str, caller: Caller, connection: RequestConnection
    ) -> Prediction:
        row = await statements.GET_PREDICTION.fetch_one(connection, caller.organization_id, prediction_id)
        if row is None:
            raise NotFound(f"Prediction {prediction_id} not found")
        return to_prediction(row)


async def _plan(connection: Connection, caller: Caller, data: PostPrediction) -> Plan:
    """Raises NotFound for the document or the model, BadRequest when one of them cannot be used yet."""
    preprocess_config = sent_preprocess_config(data.preprocess_config)
    document = await statements.DOCUMENT_TO_PREDICT.fetch_one(
        connection, caller.organization_id, data.document_id
    )
    if document is None:
        raise NotFound(f"Document {data.document_id} not found")
    named_owner, _, model_id = data.model_id.rpartition("/")
    owner = named_owner or caller.organization_id
    model = await statements.MODEL_TO_PREDICT_WITH.fetch_one(
        connection, caller.organization_id, owner, model_id
    )
    if model is None:
        raise model_not_found(model_id)
    if document["content_key"] is None:
        raise BadRequest("documentId: the document has no content yet, upload it to its fileUrl")
    return Plan(
        model_id=model_id,
        training_id=await _training_id(connection, owner, model_id, data, model["training_id"]),
        preprocess_config=effective_preprocess_config(
            preprocess_config, data.deprecated_preprocess_config(), model["preprocess_config"]
        ),
        postprocess_config=members(data.postprocess_config) or model["postprocess_config"],
    )


async def _training_id(
    connection: Connection, owner: str, model_id: str, data: PostPrediction, active: str | None
) -> str:
    """The training that the request names, else the model's."""
    if data.training_id is not UNSET:
        if not await TRAINING_TO_PREDICT_WITH.fetch_value(connection, owner, model_id, data.training_id):
            raise BadRequest("trainingId: must be a succeeded training of this model")
        return data.training_id
    if active is None:
        raise BadRequest(f"modelId: {data.model_id} is inactive and the request names no trainingId")
    return active


async def _unanswered(
    connection: Connection, caller: Caller, data: PostPrediction, plan: Plan, state: AppState
) -> asyncpg.Record | None:
    """The prediction that this request repeats: clients send a POST again after the 503 at its deadline."""
    return await statements.UNANSWERED_PREDICTION.fetch_one(
        connection,
        caller.organization_id,
        data.document_id,
        plan.model_id,
        data.model_id,
        plan.training_id,
        plan.preprocess_config,
        plan.postprocess_config,
        caller.principal_id,
        INTERACTIVE,
        state.settings.prediction_wait,
    )


async def _begin(
    connection: Connection, caller: Caller, data: PostPrediction, plan: Plan, priority: int
) -> Mapping[str, Any]:
    """A new prediction with its job. Raises LimitExceeded, at once also where the worker would."""
    await check_not_used_up(connection, caller.organization_id)
    row = await _insert(connection, caller, data, plan)
    return {**row, "job_id": await _enqueue(connection, caller, row["id"], priority)}


async def _insert(connection: Connection, caller: Caller, data: PostPrediction, plan: Plan) -> asyncpg.Record:
    return await statements.INSERT_PREDICTION.fetch_one(
        connection,
        caller.organization_id,
        new_id(PredictionId),
        data.document_id,
        plan.model_id,
        data.model_id,
        plan.training_id,
        plan.preprocess_config,
        plan.postprocess_config,
        caller.principal_id,
    )


async def _enqueue(connection: Connection, caller: Caller, prediction_id: str, priority: int) -> str:
    """The job and its reservation, which is given back if the job fails."""
    job_id = await enqueue(
        connection,
        kind="prediction",
        organization_id=caller.organization_id,
        subject_id=prediction_id,
        priority=priority,
    )
    await reserve_for_new(connection, caller.organization_id, JobId(job_id), {"predictions": 1})
    return job_id


async def _outcome(state: AppState, caller: Caller, prediction_id: str, job_id: str) -> Prediction:
    """The finished prediction, or the error that its job ended with: then nothing of it is kept."""
    async with state.connection() as connection:
        row = await statements.GET_PREDICTION.fetch_one(connection, caller.organization_id, prediction_id)
        if row is None or row["status"] != "succeeded":
            ended = await ended_job(connection, caller.organization_id, job_id)
            error = None if ended is None else ended.error()
            if error is not None:
                await statements.DELETE_FAILED_PREDICTION.execute(
                    connection, caller.organization_id, prediction_id
                )
                raise error
    if row is None:
        raise NotFound(f"Prediction {prediction_id} not found")
    return to_prediction(row)


def _still_pending(prediction_id: str) -> Response[dict[str, str]]:
    return Response(
        {
            "message": f"The prediction takes longer; get it from /predictions/{prediction_id}",
            "predictionId": prediction_id,
        },
        status_code=503,
        headers={"Retry-After": str(SECONDS_TO_RETRY_AFTER)},
    )

"""Models: ``/models``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import asyncpg
import msgspec
from litestar import Controller, Request, delete, get, patch, post
from litestar.di import Provide
from msgspec import UNSET, Meta, UnsetType

from db import models as statements
from db.statements import Connection
from db.trainings import TRAINING_TO_PREDICT_WITH
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection, release_connection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    Metadata,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    change,
    checked_metadata,
    require_members,
)
from pagemill.api.http.state import AppState
from pagemill.api.resources.field_config import FieldConfig, checked_field_config
from pagemill.api.resources.page_configs import (
    PostprocessConfig,
    PreprocessConfig,
    model_postprocess_config,
    model_preprocess_config,
)
from pagemill.api.resources.statistics import StatisticsLastNDays, statistics_of
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import ModelId, new_id
from pagemill.jobs.queue import request_cancel
from pagemill.objects.keys import data_bundle_key, training_prefix
from pagemill.objects.removal import remove
from pagemill.usage.counting import count, uncount

ValidTrainingId: TypeAlias = Annotated[str, Meta(pattern=r"^las:model-training:[a-z0-9\-_]{1,128}$")]
MODEL_PATHS = ["/{model_id:str}", "/{owner:str}/{model_id:str}"]
"""A model may be named with its organization before it; the slash arrives raw or as %2F."""


def below_model(path: str) -> list[str]:
    """The paths of what belongs to a model."""
    return [model + path for model in MODEL_PATHS]


class PostModel(RequestStruct):
    field_config: FieldConfig
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    preprocess_config: PreprocessConfig | UnsetType = UNSET
    postprocess_config: PostprocessConfig | UnsetType = UNSET


class PatchModel(RequestStruct):
    """null clears name, description and trainingId (the model is then inactive)."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    field_config: FieldConfig | UnsetType = UNSET
    preprocess_config: PreprocessConfig | UnsetType = UNSET
    postprocess_config: PostprocessConfig | UnsetType = UNSET
    training_id: ValidTrainingId | UnsetType | None = UNSET


class Model(Audited, kw_only=True):
    model_id: str
    organization_id: str
    name: str | None
    description: str | None
    status: Literal["active", "inactive"]
    training_id: str | None
    field_config: dict[str, Any]
    preprocess_config: dict[str, Any]
    postprocess_config: dict[str, Any]
    metadata: dict[str, Any]
    statistics: dict[str, Any] | None
    version: int
    number_of_data_bundles: int
    number_of_running_trainings: int


class Models(ResponseStruct):
    models: list[Model]
    next_token: str | None


def to_model(row: asyncpg.Record, statistics: dict[str, Any] | None = None) -> Model:
    return Model(
        model_id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        description=row["description"],
        status="active" if row["training_id"] else "inactive",
        training_id=row["training_id"],
        field_config=row["field_config"],
        preprocess_config=row["preprocess_config"],
        postprocess_config=row["postprocess_config"],
        metadata=row["metadata"],
        statistics=statistics,
        version=row["version"],
        number_of_data_bundles=row["number_of_data_bundles"],
        number_of_running_trainings=row["number_of_running_trainings"],
        **audit(row),
    )


def to_visible_model(row: asyncpg.Record, caller: Caller, statistics: dict[str, Any] | None = None) -> Model:
    """The model as the caller may see it: of another organization's, not who works on it, nor their notes."""
    model = to_model(row, statistics)
    if row["organization_id"] == caller.organization_id:
        return model
    return msgspec.structs.replace(model, metadata=None, created_by=None, updated_by=None)


def own_model_id(request: Request[Any, Any, Any], caller: Caller) -> str:
    """The plain id of the model in the path. Another organization's is answered like an unknown one."""
    model_id = str(request.path_params["model_id"])
    if model_owner(request, caller) != caller.organization_id:
        raise model_not_found(model_id)
    return model_id


def model_owner(request: Request[Any, Any, Any], caller: Caller) -> str:
    """The organization that the path names, else the caller's."""
    return str(request.path_params.get("owner", caller.organization_id))


MODEL_DEPENDENCIES = {
    "own_model_id": Provide(own_model_id, sync_to_thread=False),
    "model_owner": Provide(model_owner, sync_to_thread=False),
}


def model_not_found(model_id: str) -> NotFound:
    return NotFound(f"Model {model_id} not found")


async def require_model(connection: Connection, caller: Caller, model_id: str) -> None:
    """Raises NotFound."""
    if not await statements.MODEL_EXISTS.fetch_value(connection, caller.organization_id, model_id):
        raise model_not_found(model_id)


async def hold_model(connection: Connection, caller: Caller, model_id: str) -> None:
    """Keep the model from being deleted until the transaction ends. Raises NotFound."""
    if await statements.LOCK_MODEL.fetch_one(connection, caller.organization_id, model_id) is None:
        raise model_not_found(model_id)


class ModelController(Controller):
    path = "/models"
    tags = ("Models",)
    dependencies = MODEL_DEPENDENCIES

    @post(status_code=200)
    async def create_model(self, data: PostModel, caller: Caller, connection: RequestConnection) -> Model:
        """A new model is inactive until it is given a training."""
        values = (
            data.name,
            data.description,
            checked_metadata(data.metadata) or {},
            checked_field_config(data.field_config),
            model_preprocess_config(data.preprocess_config),
            model_postprocess_config(data.postprocess_config),
        )
        async with connection.transaction():
            row = await statements.INSERT_MODEL.fetch_one(
                connection, caller.organization_id, new_id(ModelId), *values, caller.principal_id
            )
            await count(connection, caller.organization_id, "models")
        return to_model(row)

    @get()
    async def list_models(
        self, caller: Caller, connection: RequestConnection, page: PageRequest, owner: list[str] | None = None
    ) -> Models:
        """The organization's own models, or those of ``owner``: of others what they share."""
        own = caller.organization_id
        owners = [own if name == "me" else name for name in owner or [own]]
        if owners == [own]:
            rows = await statements.LIST_MODELS.fetch(connection, own, *page.after, page.limit)
        else:
            rows = await statements.LIST_MODELS_OF_OWNERS.fetch(
                connection, own, owners, *page.after, page.limit
            )
        shown, next_token = cut(rows, page)
        return Models(models=[to_visible_model(row, caller) for row in shown], next_token=next_token)

    @get(MODEL_PATHS)
    async def get_model(
        self,
        model_id: str,
        model_owner: str,
        caller: Caller,
        connection: RequestConnection,
        statistics_last_n_days: StatisticsLastNDays = None,
    ) -> Model:
        """A model of another organization is there when it is shared; the statistics are the caller's own."""
        own = model_owner == caller.organization_id
        getting = statements.GET_MODEL if own else statements.GET_SHARED_MODEL
        row = await getting.fetch_one(connection, model_owner, model_id)
        if row is None:
            raise model_not_found(model_id)
        statistics = await statistics_of(connection, caller, model_id, statistics_last_n_days)
        return to_visible_model(row, caller, statistics)

    @patch(MODEL_PATHS)
    async def update_model(
        self, own_model_id: str, data: PatchModel, caller: Caller, connection: RequestConnection
    ) -> Model:
        require_members(data)
        async with connection.transaction():
            await hold_model(connection, caller, own_model_id)
            await _check_training(connection, caller, own_model_id, data.training_id)
            row = await statements.UPDATE_MODEL.fetch_one(
                connection, caller.organization_id, own_model_id, *_changes(data), caller.principal_id
            )
        return to_model(row)

    @delete(MODEL_PATHS, status_code=200)
    async def delete_model(
        self,
        own_model_id: str,
        request: Request[Any, Any, Any],
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Model:
        """Bundles and trainings go with their model, and what works on them is cancelled."""
        organization_id = caller.organization_id
        async with connection.transaction():
            row = await statements.LOCK_MODEL_TO_DELETE.fetch_one(connection, organization_id, own_model_id)
            if row is None:
                raise model_not_found(own_model_id)
            for subject in await statements.MODEL_SUBJECTS.fetch(connection, organization_id, own_model_id):
                await request_cancel(connection, organization_id, subject["id"])
            parts = await statements.MODEL_PARTS.fetch(connection, organization_id, own_model_id)
            await statements.DELETE_MODEL.execute(connection, organization_id, own_model_id)
            await uncount(connection, organization_id, "models")
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await remove(
            app_state.objects,
            keys=[
                data_bundle_key(organization_id, one["id"]) for one in parts if one["kind"] == "data-bundle"
            ],
            prefixes=[
                training_prefix(organization_id, one["id"]) for one in parts if one["kind"] == "training"
            ],
        )
        return to_model(row)


async def _check_training(
    connection: Connection, caller: Caller, model_id: str, training_id: str | UnsetType | None
) -> None:
    if training_id is UNSET or training_id is None:
        return
    if not await TRAINING_TO_PREDICT_WITH.fetch_value(
        connection, caller.organization_id, model_id, training_id
    ):
        raise BadRequest("trainingId: must be a succeeded training of this model")


def _changes(data: PatchModel) -> tuple[Any, ...]:
    """The arguments of UPDATE_MODEL between the model and the caller."""
    return (
        *change(data.name),
        *change(data.description),
        None if data.metadata is UNSET else checked_metadata(data.metadata) or {},
        None if data.field_config is UNSET else checked_field_config(data.field_config),
        None if data.preprocess_config is UNSET else model_preprocess_config(data.preprocess_config),
        None if data.postprocess_config is UNSET else model_postprocess_config(data.postprocess_config),
        *change(data.training_id),
    )

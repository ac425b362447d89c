"""Models: which fields to find in documents; ``/models``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import Provide
from msgspec import UNSET, Meta, UnsetType

from db import models as statements
from db.statements import Connection
from db.trainings import find_succeeded_training_of_model
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection, release_connection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.request_bodies import LABELS_BODY_BYTES
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.schemas import (
    Audited,
    Metadata,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    changed_metadata,
    checked_metadata,
    require_members,
)
from pagemill.api.resources.field_config import FieldConfig, checked_field_config
from pagemill.api.resources.page_configs import (
    PostprocessConfig,
    PreprocessConfig,
    model_postprocess_config,
    model_preprocess_config,
)
from pagemill.api.resources.statistics import StatisticsLastNDays, statistics_of
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import ModelId, OrganizationId, TrainingId, new_id
from pagemill.jobs.kind import JobKinds
from pagemill.jobs.queue import request_cancel
from pagemill.objects.discarding import discard
from pagemill.objects.keys import data_bundle_names, training_prefix
from pagemill.usage.counting import count, uncount
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.trainings import TRAINING

ValidTrainingId: TypeAlias = Annotated[TrainingId, Meta(pattern=r"^las:model-training:[a-z0-9\-_]{1,128}$")]
MODEL_PATHS = ["/{model_id:str}", "/{owner:str}/{model_id:str}"]
"""A model may be named with its organization before it; the slash arrives raw or as %2F."""
KINDS_OF_MODELS = JobKinds((DATA_BUNDLE, TRAINING))
"""Kinds of the jobs that work for a model."""


def below_model(path: str) -> list[str]:
    """Return the paths of a resource that belongs to a model."""
    return [model + path for model in MODEL_PATHS]


class PostModel(RequestStruct):
    """A new model."""

    field_config: FieldConfig
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    preprocess_config: PreprocessConfig | UnsetType = UNSET
    postprocess_config: PostprocessConfig | UnsetType = UNSET


class PatchModel(RequestStruct):
    """Changes of a model; null clears ``name``, ``description`` and ``trainingId``."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    field_config: FieldConfig | UnsetType = UNSET
    preprocess_config: PreprocessConfig | UnsetType = UNSET
    postprocess_config: PostprocessConfig | UnsetType = UNSET
    training_id: ValidTrainingId | UnsetType | None = UNSET


class Model(Audited, kw_only=True):
    """A model. It is ``active`` while it has a training to predict with.

    Of another organization's shared model, ``metadata`` is null.
    """

    model_id: ModelId
    organization_id: OrganizationId
    name: str | None
    description: str | None
    status: Literal["active", "inactive"]
    training_id: TrainingId | None
    field_config: dict[str, Any]
    preprocess_config: dict[str, Any]
    postprocess_config: dict[str, Any]
    metadata: dict[str, Any] | None
    statistics: dict[str, Any] | None
    version: int
    number_of_data_bundles: int
    number_of_running_trainings: int


class Models(ResponseStruct):
    """A page of models."""

    models: list[Model]
    next_token: str | None


def to_model(row: statements.ModelRow, statistics: dict[str, object] | None = None) -> Model:
    """Return a model as its owner sees it."""
    return Model(
        model_id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        description=row.description,
        status="active" if row.training_id else "inactive",
        training_id=row.training_id,
        field_config=row.field_config,
        preprocess_config=row.preprocess_config,
        postprocess_config=row.postprocess_config,
        metadata=row.metadata,
        statistics=statistics,
        version=row.version,
        number_of_data_bundles=row.number_of_data_bundles,
        number_of_running_trainings=row.number_of_running_trainings,
        **audit(row),
    )


def to_visible_model(
    row: statements.ModelRow, caller: Caller, statistics: dict[str, object] | None = None
) -> Model:
    """Return a model as the caller may see it: another organization's without its metadata and its users."""
    model = to_model(row, statistics)
    if row.organization_id == caller.organization_id:
        return model
    return msgspec.structs.replace(model, metadata=None, created_by=None, updated_by=None)


def own_model_id(request: ApiRequest, caller: Caller) -> ModelId:
    """Return the plain id of the model in the path.

    Raises NotFound when the path names another organization, as for an unknown model.
    """
    model_id = ModelId(request.path_params["model_id"])
    if model_owner(request, caller) != caller.organization_id:
        raise model_not_found(model_id)
    return model_id


def model_owner(request: ApiRequest, caller: Caller) -> OrganizationId:
    """Return the organization that the path names, else the caller's."""
    return OrganizationId(request.path_params.get("owner", caller.organization_id))


MODEL_DEPENDENCIES = {
    "own_model_id": Provide(own_model_id, sync_to_thread=False),
    "model_owner": Provide(model_owner, sync_to_thread=False),
}


def model_not_found(model_id: ModelId) -> NotFound:
    """Return the error for a model that the caller's organization does not have."""
    return NotFound(f"Model {model_id} not found")


async def require_model(connection: Connection, caller: Caller, model_id: ModelId) -> None:
    """Check that the caller's organization has the model. Raises NotFound."""
    found = await statements.find_model(connection, organization_id=caller.organization_id, model_id=model_id)
    if found is None:
        raise model_not_found(model_id)


async def keep_model(connection: Connection, caller: Caller, model_id: ModelId) -> None:
    """Keep the model from being deleted until the transaction ends. Raises NotFound."""
    found = await statements.keep_model(connection, organization_id=caller.organization_id, model_id=model_id)
    if found is None:
        raise model_not_found(model_id)


class ModelController(Controller):
    """Operations on models."""

    path = "/models"
    tags = ("Models",)
    dependencies = MODEL_DEPENDENCIES

    @post(status_code=200, transaction="request", request_max_body_size=LABELS_BODY_BYTES)
    async def create_model(self, data: PostModel, caller: Caller, connection: RequestConnection) -> Model:
        """Create a model.

        ``fieldConfig`` names the fields to find in documents: label -> type, or type ``lines`` for tables,
        whose ``fields`` are the columns. A new model is ``inactive``: bundle labelled datasets, train on the
        bundles, then set ``trainingId`` to a succeeded training.

        No value is longer than a field's ``maxLength``. ``format`` is an expression of RE2 for strings and
        digits, or says how dates ("DD.MM.YYYY") and numbers ("#.##0,00") are printed. A ``strict`` field has
        no value that does not fit; another one has it with less confidence. With ``isMultivalue`` all values
        of a document are returned.

        ``preprocessConfig`` and ``postprocessConfig`` are the defaults of the model's predictions; members
        that are left out are ``imageQuality`` LOW, ``autoRotate`` false, ``maxPages`` 1 and ``strategy``
        BEST_FIRST. Answers 400 when ``fieldConfig`` is not valid, and 429 when the plan allows no more
        models.
        """
        async with connection.transaction():
            row = await statements.insert_model(
                connection,
                organization_id=caller.organization_id,
                model_id=new_id(ModelId),
                name=data.name,
                description=data.description,
                metadata=checked_metadata(data.metadata or {}),
                field_config=checked_field_config(data.field_config),
                preprocess_config=model_preprocess_config(data.preprocess_config),
                postprocess_config=model_postprocess_config(data.postprocess_config),
                created_by=caller.principal_id,
            )
            await count(connection, caller.organization_id, "models")
        return to_model(row)

    @get()
    async def list_models(
        self, caller: Caller, connection: RequestConnection, page: PageRequest, owner: list[str] | None = None
    ) -> Models:
        """List models, oldest first.

        Without ``owner``, the organization's own models. ``owner`` is an organization id, or ``me`` for the
        caller's, and can be repeated; of other organizations only shared models are listed.
        """
        owners = [
            caller.organization_id if name == "me" else OrganizationId(name)
            for name in owner or [caller.organization_id]
        ]
        rows = await _list(connection, caller, owners, page)
        shown, next_token = cut(rows, page)
        return Models(models=[to_visible_model(row, caller) for row in shown], next_token=next_token)

    @get(MODEL_PATHS)
    async def get_model(
        self,
        model_id: ModelId,
        model_owner: OrganizationId,
        caller: Caller,
        connection: RequestConnection,
        statistics_last_n_days: StatisticsLastNDays = None,
    ) -> Model:
        """Get a model.

        A shared model of another organization is found as ``<organizationId>/<modelId>``; its metadata and
        its users are not shown. ``statistics`` tells, for the predictions of the caller's organization in the
        last ``statisticsLastNDays`` days (7 unless given), the share of each field's values whose confidence
        makes a check by a human unnecessary, and of those whose documents got a label since, the share that
        is right.
        """
        if model_owner == caller.organization_id:
            row = await statements.get_model(connection, organization_id=model_owner, model_id=model_id)
        else:
            row = await statements.get_shared_model(connection, owner_id=model_owner, model_id=model_id)
        if row is None:
            raise model_not_found(model_id)
        statistics = await statistics_of(connection, caller, model_id, statistics_last_n_days)
        return to_visible_model(row, caller, statistics)

    @patch(MODEL_PATHS, request_max_body_size=LABELS_BODY_BYTES)
    async def update_model(
        self, own_model_id: ModelId, data: PatchModel, caller: Caller, connection: RequestConnection
    ) -> Model:
        """Update a model.

        Members that are left out keep their value; null clears ``name``, ``description`` and ``trainingId``.
        Setting ``trainingId`` to a succeeded training of the model makes it ``active``, null makes it
        ``inactive``. Other objects are replaced as a whole. ``version`` grows by one when ``fieldConfig`` or
        ``trainingId`` changes.
        """
        require_members(data)
        async with connection.transaction():
            await keep_model(connection, caller, own_model_id)
            await _check_training(connection, caller, own_model_id, data.training_id)
            row = await statements.update_model(
                connection,
                organization_id=caller.organization_id,
                model_id=own_model_id,
                name=data.name,
                description=data.description,
                metadata=changed_metadata(data.metadata),
                field_config=(
                    UNSET if data.field_config is UNSET else checked_field_config(data.field_config)
                ),
                preprocess_config=(
                    UNSET
                    if data.preprocess_config is UNSET
                    else model_preprocess_config(data.preprocess_config)
                ),
                postprocess_config=(
                    UNSET
                    if data.postprocess_config is UNSET
                    else model_postprocess_config(data.postprocess_config)
                ),
                training_id=data.training_id,
                updated_by=caller.principal_id,
            )
        return to_model(row)

    @delete(MODEL_PATHS, status_code=200)
    async def delete_model(
        self,
        own_model_id: ModelId,
        request: ApiRequest,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Model:
        """Delete a model.

        Its data bundles and trainings are deleted with it, running ones are cancelled. Predictions stay.
        """
        organization_id = caller.organization_id
        async with connection.transaction():
            row = await statements.lock_model(
                connection, organization_id=organization_id, model_id=own_model_id
            )
            if row is None:
                raise model_not_found(own_model_id)
            unfinished = await statements.list_unfinished_subjects(
                connection, organization_id=organization_id, model_id=own_model_id
            )
            for subject in unfinished:
                await request_cancel(
                    connection,
                    KINDS_OF_MODELS[subject.kind],
                    organization_id=organization_id,
                    subject_id=subject.id,
                )
            data_bundle_ids = await statements.list_data_bundle_ids(
                connection, organization_id=organization_id, model_id=own_model_id
            )
            training_ids = await statements.list_training_ids(
                connection, organization_id=organization_id, model_id=own_model_id
            )
            await statements.delete_model(connection, organization_id=organization_id, model_id=own_model_id)
            await uncount(connection, organization_id, "models")
        # Storage may be slow: meanwhile others need the connection.
        await release_connection(request.scope)
        await discard(
            app_state.objects,
            keys=[name for one in data_bundle_ids for name in data_bundle_names(organization_id, one)],
            prefixes=[training_prefix(organization_id, training_id) for training_id in training_ids],
        )
        return to_model(row)


async def _list(
    connection: Connection, caller: Caller, owners: Sequence[OrganizationId], page: PageRequest
) -> list[statements.ListedModelRow]:
    """Return the rows of a page of models; the caller's own models have a statement of their own."""
    if owners == [caller.organization_id]:
        return await statements.list_models(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
    return await statements.list_models_of_owners(
        connection,
        organization_id=caller.organization_id,
        owner_ids=owners,
        after_time=page.after_time,
        after_id=page.after_id,
        limit=page.limit,
    )


async def _check_training(
    connection: Connection, caller: Caller, model_id: ModelId, training_id: TrainingId | UnsetType | None
) -> None:
    """Check that the model can predict with the training. Raises BadRequest."""
    if training_id is UNSET or training_id is None:
        return
    found = await find_succeeded_training_of_model(
        connection, organization_id=caller.organization_id, model_id=model_id, training_id=training_id
    )
    if found is None:
        raise BadRequest("trainingId: must be a succeeded training of this model")

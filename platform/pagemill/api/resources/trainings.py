"""Trainings of a model: ``/models/{modelId}/trainings``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import asyncpg
from litestar import Controller, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from db import trainings as statements
from db.data_bundles import DATA_BUNDLES_TO_TRAIN
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection
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
from pagemill.api.resources.deployment_environments import checked_deployment_environment
from pagemill.api.resources.models import (
    MODEL_DEPENDENCIES,
    ValidTrainingId,
    below_model,
    hold_model,
    require_model,
)
from pagemill.api.resources.statistics import StatisticsLastNDays, statistics_of
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import TrainingId, new_id
from pagemill.jobs.job import BATCH
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.notices.events import tell_of_training
from pagemill.usage.counting import count

TrainingStatus: TypeAlias = Literal[
    "waiting-for-approval",
    "preparing",
    "pending",
    "running",
    "running-final-evaluation",
    "succeeded",
    "failed",
    "cancelled",
]
ValidDataBundleId: TypeAlias = Annotated[str, Meta(pattern=r"^las:model-data-bundle:[a-f0-9]{32}$")]
ValidDeploymentEnvironmentId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^(|las:organization:[a-z0-9\-_]+/)"
        r"las:deployment-environment:[a-z0-9\-_]+(|:@[a-z0-9\-_]+|:[0-9]+)$",
        max_length=512,
    ),
]
InstanceType: TypeAlias = Literal["small-gpu", "medium-gpu", "large-gpu"]
FINAL = ("succeeded", "failed", "cancelled")
MINIMUM_DOCUMENTS = 5
"""With fewer there is nothing left to judge the training by once a part is held out."""
MAXIMUM_DATA_BUNDLES = 100
ONE = below_model("/trainings/{training_id:str}")


class WarmStartConfig(RequestStruct):
    training_id: ValidTrainingId


class PostTraining(RequestStruct):
    data_bundle_ids: (
        Annotated[list[ValidDataBundleId], Meta(min_length=1, max_length=MAXIMUM_DATA_BUNDLES)] | UnsetType
    ) = UNSET
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    instance_type: InstanceType | None = None
    warm_start_config: WarmStartConfig | UnsetType = UNSET
    data_scientist_assistance: bool = False


class PatchTraining(RequestStruct):
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    status: Literal["cancelled"] | UnsetType = UNSET
    deployment_environment_id: ValidDeploymentEnvironmentId | UnsetType | None = UNSET


class Training(Audited, kw_only=True):
    training_id: str
    model_id: str
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    data_bundle_ids: list[str]
    warm_start_config: dict[str, Any] | UnsetType
    instance_type: InstanceType
    data_scientist_assistance: bool
    deployment_environment_id: str | None
    status: TrainingStatus
    evaluation: dict[str, Any]
    statistics: dict[str, Any] | None
    gpu_hours: float | None


class Trainings(ResponseStruct):
    trainings: list[Training]
    next_token: str | None
    status: list[TrainingStatus] | UnsetType = UNSET


def to_training(row: asyncpg.Record, statistics: dict[str, Any] | None = None) -> Training:
    return Training(
        training_id=row["id"],
        model_id=row["model_id"],
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        data_bundle_ids=row["data_bundle_ids"],
        warm_start_config=row["warm_start_config"] or UNSET,
        instance_type=row["instance_type"],
        data_scientist_assistance=row["data_scientist_assistance"],
        deployment_environment_id=row["deployment_environment_id"],
        status=row["status"],
        evaluation=row["evaluation"],
        statistics=statistics,
        gpu_hours=row["gpu_hours"],
        **audit(row),
    )


def training_not_found(training_id: str) -> NotFound:
    return NotFound(f"Training {training_id} not found")


class TrainingController(Controller):
    path = "/models"
    tags = ("Trainings",)
    dependencies = MODEL_DEPENDENCIES

    @post(below_model("/trainings"), status_code=200)
    async def create_training(
        self, own_model_id: str, data: PostTraining, caller: Caller, connection: RequestConnection
    ) -> Training:
        """Train on succeeded data bundles of the model."""
        async with connection.transaction():
            await hold_model(connection, caller, own_model_id)
            await _check_warm_start(connection, caller, data.warm_start_config)
            data_bundle_ids = await _checked_data_bundles(connection, caller, own_model_id, data)
            training = await _insert(connection, caller, own_model_id, data, data_bundle_ids)
            await count(connection, caller.organization_id, "trainings")
        return training

    @get(below_model("/trainings"))
    async def list_trainings(
        self,
        own_model_id: str,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: list[TrainingStatus] | None = None,
    ) -> Trainings:
        await require_model(connection, caller, own_model_id)
        rows = await statements.LIST_TRAININGS.fetch(
            connection, caller.organization_id, own_model_id, status, *page.after, page.limit
        )
        shown, next_token = cut(rows, page)
        return Trainings(
            trainings=[to_training(row) for row in shown],
            next_token=next_token,
            status=status or UNSET,
        )

    @get(ONE)
    async def get_training(
        self,
        own_model_id: str,
        training_id: str,
        caller: Caller,
        connection: RequestConnection,
        statistics_last_n_days: StatisticsLastNDays = None,
    ) -> Training:
        row = await statements.GET_TRAINING.fetch_one(
            connection, caller.organization_id, own_model_id, training_id
        )
        if row is None:
            raise training_not_found(training_id)
        statistics = await statistics_of(
            connection, caller, own_model_id, statistics_last_n_days, training_id=training_id
        )
        return to_training(row, statistics)

    @patch(ONE)
    async def update_training(
        self,
        own_model_id: str,
        training_id: str,
        data: PatchTraining,
        caller: Caller,
        connection: RequestConnection,
    ) -> Training:
        """Change what describes the training, or cancel it: its workers stop when they hear of it."""
        require_members(data)
        key = (caller.organization_id, own_model_id, training_id)
        async with connection.transaction():
            training = await statements.GET_TRAINING.fetch_one(connection, *key)
            if training is None:
                raise training_not_found(training_id)
            environment = data.deployment_environment_id
            if isinstance(environment, str):
                environment = await checked_deployment_environment(connection, caller, environment)
            if data.status == "cancelled":
                await _cancel(connection, key, training["status"])
            row = await statements.UPDATE_TRAINING.fetch_one(
                connection, *key, *_changes(data, environment), caller.principal_id
            )
        return to_training(row)


async def _check_warm_start(
    connection: Connection, caller: Caller, warm_start: WarmStartConfig | UnsetType
) -> None:
    if warm_start is UNSET:
        return
    if not await statements.TRAINING_TO_START_FROM.fetch_value(
        connection, caller.organization_id, warm_start.training_id
    ):
        raise BadRequest("warmStartConfig.trainingId: must be a succeeded training")


async def _checked_data_bundles(
    connection: Connection, caller: Caller, model_id: str, data: PostTraining
) -> list[str]:
    """The bundles to train on, each once. Raises BadRequest unless they are the model's, ready and enough."""
    ids = [] if data.data_bundle_ids is UNSET else list(dict.fromkeys(data.data_bundle_ids))
    rows = await DATA_BUNDLES_TO_TRAIN.fetch(connection, caller.organization_id, model_id, ids)
    status = {row["id"]: row["status"] for row in rows}
    for data_bundle_id in ids:
        if data_bundle_id not in status:
            raise BadRequest(f"dataBundleIds: {data_bundle_id} does not exist in this model")
        if status[data_bundle_id] != "succeeded":
            raise BadRequest(
                f"dataBundleIds: {data_bundle_id} is {status[data_bundle_id]}, it must have succeeded"
            )
    documents = number_of_documents([row["datasets"] for row in rows])
    if documents < MINIMUM_DOCUMENTS:
        raise BadRequest(
            f"dataBundleIds: a training needs at least {MINIMUM_DOCUMENTS} documents, there are {documents}"
        )
    return ids


def number_of_documents(bundled: Sequence[Sequence[dict[str, Any]]]) -> int:
    """How many documents bundles hold: a dataset that is in several of them counts once."""
    sizes = {
        dataset["datasetId"]: dataset["numberOfDocuments"] for datasets in bundled for dataset in datasets
    }
    return sum(sizes.values())


async def _insert(
    connection: Connection, caller: Caller, model_id: str, data: PostTraining, data_bundle_ids: list[str]
) -> Training:
    """The training and, unless a human was asked for, its job.

    More than 1000 documents need no approval here: whoever runs the machines decides about them by the
    plan's limits. Who asks for a data scientist wants to wait for one.
    """
    training_id = new_id(TrainingId)
    row = await statements.INSERT_TRAINING.fetch_one(
        connection,
        caller.organization_id,
        training_id,
        model_id,
        data.name,
        data.description,
        checked_metadata(data.metadata),
        data_bundle_ids,
        None if data.warm_start_config is UNSET else {"trainingId": data.warm_start_config.training_id},
        data.instance_type or "small-gpu",
        data.data_scientist_assistance,
        "waiting-for-approval" if data.data_scientist_assistance else "pending",
        caller.principal_id,
    )
    if not data.data_scientist_assistance:
        await enqueue(
            connection,
            kind="training",
            organization_id=caller.organization_id,
            subject_id=training_id,
            priority=BATCH,
        )
    return to_training(row)


async def _cancel(connection: Connection, key: tuple[str, str, str], status: TrainingStatus) -> None:
    """Cancel the training or its job. Raises BadRequest when it is in a final state."""
    organization_id, _, training_id = key
    if status in FINAL:
        cancelled = False
    elif status == "waiting-for-approval":
        training = await statements.CANCEL_UNAPPROVED_TRAINING.fetch_one(connection, *key)
        await tell_of_training(connection, organization_id, training)
        cancelled = training is not None
    else:
        cancelled = await request_cancel(connection, organization_id, training_id)
    if not cancelled:
        raise BadRequest("status: the training is in a final state, it cannot be cancelled")


def _changes(data: PatchTraining, environment: str | UnsetType | None) -> tuple[Any, ...]:
    """The arguments of UPDATE_TRAINING between its key and the caller."""
    return (
        *change(data.name),
        *change(data.description),
        None if data.metadata is UNSET else checked_metadata(data.metadata) or {},
        *change(environment),
    )

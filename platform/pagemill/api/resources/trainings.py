"""Trainings of a model: ``/models/{modelId}/trainings``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from litestar import Controller, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from db import trainings as statements
from db.data_bundles import keep_data_bundles
from db.statements import Connection
from db.trainings import InstanceType, TrainingStatus
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
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
from pagemill.api.resources.deployment_environments import checked_deployment_environment
from pagemill.api.resources.models import (
    MODEL_DEPENDENCIES,
    ValidTrainingId,
    below_model,
    keep_model,
    require_model,
)
from pagemill.api.resources.statistics import StatisticsLastNDays, statistics_of
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import (
    DataBundleId,
    DeploymentEnvironmentId,
    ModelId,
    TrainingId,
    new_id,
)
from pagemill.jobs.queue import enqueue
from pagemill.usage.counting import count
from pagemill.work.training_administration import cancel_training
from pagemill.work.trainings import TRAINING

ValidDataBundleId: TypeAlias = Annotated[DataBundleId, Meta(pattern=r"^las:model-data-bundle:[a-f0-9]{32}$")]
ValidDeploymentEnvironmentId: TypeAlias = Annotated[
    DeploymentEnvironmentId,
    Meta(
        pattern=r"^(|las:organization:[a-z0-9\-_]+/)"
        r"las:deployment-environment:[a-z0-9\-_]+(|:@[a-z0-9\-_]+|:[0-9]+)$",
        max_length=512,
    ),
]
MINIMUM_DOCUMENTS = 5
"""Fewer documents leave no part to evaluate the training on."""
MAXIMUM_DATA_BUNDLES = 100
RUNNING: tuple[TrainingStatus, ...] = ("running", "running-final-evaluation")
ONE = below_model("/trainings/{training_id:str}")


class WarmStartConfig(RequestStruct):
    """The training whose weights a new training starts from."""

    training_id: ValidTrainingId


class PostTraining(RequestStruct):
    """A new training."""

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
    """Changes of a training; null clears."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    status: Literal["cancelled"] | UnsetType = UNSET
    deployment_environment_id: ValidDeploymentEnvironmentId | UnsetType | None = UNSET


class TrainingProgress(ResponseStruct):
    """Progress of a training: steps taken and planned, and the latest figures."""

    step: int
    steps: int
    loss: float | None
    f1: float | None
    seconds_left: float | None


class Training(Audited, kw_only=True):
    """A training of a model; ``evaluation`` is empty and ``gpuHours`` null until it has succeeded.

    ``progress`` is there while it runs, ``error`` once it has failed.
    """

    training_id: TrainingId
    model_id: ModelId
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    data_bundle_ids: list[DataBundleId]
    warm_start_config: dict[str, Any] | UnsetType
    instance_type: InstanceType
    data_scientist_assistance: bool
    deployment_environment_id: DeploymentEnvironmentId | None
    status: TrainingStatus
    evaluation: dict[str, Any]
    statistics: dict[str, Any] | None
    gpu_hours: float | None
    progress: TrainingProgress | UnsetType = UNSET
    error: str | UnsetType = UNSET


class Trainings(ResponseStruct):
    """A page of trainings."""

    trainings: list[Training]
    next_token: str | None
    status: list[TrainingStatus] | UnsetType = UNSET


def to_training(row: statements.TrainingRow, statistics: dict[str, object] | None = None) -> Training:
    """Return a training as the API shows it."""
    return Training(
        training_id=row.id,
        model_id=row.model_id,
        name=row.name,
        description=row.description,
        metadata=row.metadata,
        data_bundle_ids=row.data_bundle_ids,
        warm_start_config=row.warm_start_config or UNSET,
        instance_type=row.instance_type,
        data_scientist_assistance=row.data_scientist_assistance,
        deployment_environment_id=row.deployment_environment_id,
        status=row.status,
        evaluation=row.evaluation,
        statistics=statistics,
        gpu_hours=row.gpu_hours,
        progress=_progress(row),
        error=UNSET if row.status != "failed" or row.error is None else row.error,
        **audit(row),
    )


def _progress(row: statements.TrainingRow) -> TrainingProgress | UnsetType:
    if row.status not in RUNNING or row.progress is None:
        return UNSET
    return msgspec.convert(row.progress, TrainingProgress)


def training_not_found(training_id: TrainingId) -> NotFound:
    """Return the error for a training that the model does not have."""
    return NotFound(f"Training {training_id} not found")


class TrainingController(Controller):
    """Operations on the trainings of a model."""

    path = "/models"
    tags = ("Trainings",)
    dependencies = MODEL_DEPENDENCIES

    @post(below_model("/trainings"), status_code=200, transaction="request")
    async def create_training(
        self, own_model_id: ModelId, data: PostTraining, caller: Caller, connection: RequestConnection
    ) -> Training:
        """Start a training of a model.

        ``dataBundleIds`` are succeeded data bundles of the model with at least 5 documents together. The
        training is queued: ``pending``, ``preparing`` (the documents are gathered), ``pending`` again while
        it waits for a machine, ``running``, ``running-final-evaluation``, then ``succeeded`` or ``failed``.
        With ``dataScientistAssistance`` it is ``waiting-for-approval`` first. It can be ``cancelled`` until
        it ends. Get the training to follow it, or have a webhook told of each change; while it runs,
        ``progress`` tells how far it is, and ``error`` says why one has failed.

        ``warmStartConfig`` starts from the weights of an earlier succeeded training. Set the ``trainingId``
        of the model to predict with the training. Answers 400 when a bundle is missing or not ready, and 429
        when the plan allows no more trainings this month.
        """
        async with connection.transaction():
            await keep_model(connection, caller, own_model_id)
            await _check_warm_start(connection, caller, data.warm_start_config)
            data_bundle_ids = await _checked_data_bundles(connection, caller, own_model_id, data)
            training = await _insert(connection, caller, own_model_id, data, data_bundle_ids)
            await count(connection, caller.organization_id, "trainings")
        return training

    @get(below_model("/trainings"))
    async def list_trainings(
        self,
        own_model_id: ModelId,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: list[TrainingStatus] | None = None,
    ) -> Trainings:
        """List the trainings of a model, oldest first.

        ``status`` can be repeated to list several statuses.
        """
        await require_model(connection, caller, own_model_id)
        rows = await statements.list_trainings(
            connection,
            organization_id=caller.organization_id,
            model_id=own_model_id,
            statuses=status,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
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
        own_model_id: ModelId,
        training_id: TrainingId,
        caller: Caller,
        connection: RequestConnection,
        statistics_last_n_days: StatisticsLastNDays = None,
    ) -> Training:
        """Get a training.

        Once it has succeeded, ``evaluation`` tells how well it found each field in documents that it did not
        learn from, and ``gpuHours`` what it took (0 without a GPU). ``statistics`` tells, for the predictions
        with this training in the last ``statisticsLastNDays`` days (7 unless given), the share of each
        field's values whose confidence makes a check by a human unnecessary, and of those whose documents got
        a label since, the share that is right.
        """
        row = await statements.get_training(
            connection,
            organization_id=caller.organization_id,
            model_id=own_model_id,
            training_id=training_id,
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
        own_model_id: ModelId,
        training_id: TrainingId,
        data: PatchTraining,
        caller: Caller,
        connection: RequestConnection,
    ) -> Training:
        """Update or cancel a training.

        ``status`` can only be set to ``cancelled``, and only before the training has ended (400 otherwise):
        the training shows it at once and its workers stop soon after. Setting ``deploymentEnvironmentId``
        deploys the training to an available environment; null takes it out again.
        """
        require_members(data)
        organization_id = caller.organization_id
        async with connection.transaction():
            training = await statements.get_training(
                connection, organization_id=organization_id, model_id=own_model_id, training_id=training_id
            )
            if training is None:
                raise training_not_found(training_id)
            environment = data.deployment_environment_id
            if isinstance(environment, str):
                environment = DeploymentEnvironmentId(
                    await checked_deployment_environment(connection, caller, environment)
                )
            if data.status == "cancelled" and not await cancel_training(
                connection, organization_id, training
            ):
                raise BadRequest("status: the training is in a final state, it cannot be cancelled")
            row = await statements.update_training(
                connection,
                organization_id=organization_id,
                model_id=own_model_id,
                training_id=training_id,
                name=data.name,
                description=data.description,
                metadata=changed_metadata(data.metadata),
                deployment_environment_id=environment,
                updated_by=caller.principal_id,
            )
        return to_training(row)


async def _check_warm_start(
    connection: Connection, caller: Caller, warm_start: WarmStartConfig | UnsetType
) -> None:
    """Check that the training to start from has succeeded. Raises BadRequest."""
    if warm_start is UNSET:
        return
    found = await statements.find_succeeded_training(
        connection, organization_id=caller.organization_id, training_id=warm_start.training_id
    )
    if found is None:
        raise BadRequest("warmStartConfig.trainingId: must be a succeeded training")


async def _checked_data_bundles(
    connection: Connection, caller: Caller, model_id: ModelId, data: PostTraining
) -> list[DataBundleId]:
    """Return the data bundles to train on, each once.

    Raises BadRequest unless they belong to the model, have succeeded and have enough documents.
    """
    ids = [] if data.data_bundle_ids is UNSET else list(dict.fromkeys(data.data_bundle_ids))
    rows = await keep_data_bundles(
        connection, organization_id=caller.organization_id, model_id=model_id, data_bundle_ids=ids
    )
    status = {row.id: row.status for row in rows}
    for data_bundle_id in ids:
        if data_bundle_id not in status:
            raise BadRequest(f"dataBundleIds: {data_bundle_id} does not exist in this model")
        if status[data_bundle_id] != "succeeded":
            raise BadRequest(
                f"dataBundleIds: {data_bundle_id} is {status[data_bundle_id]}, it must have succeeded"
            )
    documents = number_of_documents([row.datasets for row in rows])
    if documents < MINIMUM_DOCUMENTS:
        raise BadRequest(
            f"dataBundleIds: a training needs at least {MINIMUM_DOCUMENTS} documents, there are {documents}"
        )
    return ids


def number_of_documents(bundled: Sequence[Sequence[dict[str, Any]]]) -> int:
    """Return the number of documents in bundles; a dataset that is in several of them counts once."""
    sizes = {
        dataset["datasetId"]: dataset["numberOfDocuments"] for datasets in bundled for dataset in datasets
    }
    return sum(sizes.values())


async def _insert(
    connection: Connection,
    caller: Caller,
    model_id: ModelId,
    data: PostTraining,
    data_bundle_ids: list[DataBundleId],
) -> Training:
    """Insert the training and, unless a data scientist was asked for, its job.

    More than 1000 documents need no approval here: the operator limits trainings by the plan.
    """
    training_id = new_id(TrainingId)
    row = await statements.insert_training(
        connection,
        organization_id=caller.organization_id,
        training_id=training_id,
        model_id=model_id,
        name=data.name,
        description=data.description,
        metadata=checked_metadata(data.metadata),
        data_bundle_ids=data_bundle_ids,
        warm_start_config=(
            None if data.warm_start_config is UNSET else {"trainingId": data.warm_start_config.training_id}
        ),
        instance_type=data.instance_type or "small-gpu",
        data_scientist_assistance=data.data_scientist_assistance,
        status="waiting-for-approval" if data.data_scientist_assistance else "pending",
        created_by=caller.principal_id,
    )
    if not data.data_scientist_assistance:
        await enqueue(connection, TRAINING, organization_id=caller.organization_id, subject_id=training_id)
    return to_training(row)

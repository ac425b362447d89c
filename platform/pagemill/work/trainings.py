"""Jobs that train a model; an actor in the cluster trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from db.statements import Connection
from db.trainings import end_training, reopen_training, succeed_training
from pagemill.ids import OrganizationId, SubjectId, TrainingId
from pagemill.jobs.job import BATCH, KindName
from pagemill.jobs.kind import Finished, JobKind, Runner
from pagemill.notices.events import tell_of_training
from pagemill.tracing.spans import within_trace
from pagemill.work.metering import MeteredUsage
from pagemill.work.resources import WorkResources


class TrainingResult(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluation of a training and the prefix of its artefact; without GPUs it takes 0 GPU hours."""

    evaluation: dict[str, object]
    artefact_key: str
    gpu_hours: float


@dataclass(frozen=True, kw_only=True)
class TrainingResources(WorkResources):
    """Resources with the cluster's actor that trains."""

    train: Runner[TrainingResult]


async def _succeed(connection: Connection, finished: Sequence[Finished[TrainingResult]]) -> None:
    for job, result in finished:
        row = await succeed_training(
            connection,
            organization_id=job.organization_id,
            training_id=TrainingId(job.subject_id),
            evaluation=result.evaluation,
            artefact_key=result.artefact_key,
            gpu_hours=result.gpu_hours,
        )
        with within_trace(job.trace_context):
            await tell_of_training(connection, job.organization_id, row)


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, message: str
) -> None:
    row = await end_training(
        connection,
        organization_id=organization_id,
        training_id=TrainingId(subject_id),
        status="failed",
        error=message,
    )
    await tell_of_training(connection, organization_id, row)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    row = await end_training(
        connection,
        organization_id=organization_id,
        training_id=TrainingId(subject_id),
        status="cancelled",
        error=None,
    )
    await tell_of_training(connection, organization_id, row)


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    row = await reopen_training(
        connection, organization_id=organization_id, training_id=TrainingId(subject_id)
    )
    await tell_of_training(connection, organization_id, row)
    return row is not None


TRAINING: JobKind[TrainingResources, TrainingResult] = JobKind(
    name=KindName("training"),
    description="Train a model on data bundles",
    runner=lambda resources: resources.train,
    concurrency=lambda settings: settings.training_concurrency,
    priority=BATCH,
    succeed=_succeed,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
    usage=MeteredUsage(used=lambda result: {"gpu-hours": result.gpu_hours}),
)

"""Administration of trainings: operators list, approve and cancel them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import msgspec

from db import training_reports as statements
from db.statements import Connection
from db.trainings import InstanceType, TrainingRow, TrainingStatus, cancel_unapproved_training
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import ModelId, OrganizationId, PrincipalId, TrainingId
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.notices.events import tell_of_training
from pagemill.work.trainings import TRAINING

ENDED: tuple[TrainingStatus, ...] = ("succeeded", "failed", "cancelled")


class CurvePoint(msgspec.Struct, frozen=True, array_like=True):
    """The figures after an epoch; ``f1`` is None where no document was held out."""

    seconds: float
    step: int
    loss: float
    f1: float | None


class TrainingReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A training of any organization; ``progress`` is the last that its workers have written."""

    id: TrainingId
    organization_id: OrganizationId
    model_id: ModelId
    name: str | None
    status: TrainingStatus
    instance_type: InstanceType
    data_scientist_assistance: bool
    progress: dict[str, Any] | None
    evaluation: dict[str, Any]
    gpu_hours: float | None
    error: str | None
    created_time: datetime.datetime
    created_by: PrincipalId | None


async def list_trainings(
    connection: Connection,
    *,
    statuses: Sequence[TrainingStatus] = (),
    organization_id: OrganizationId | None = None,
    limit: int = 50,
) -> list[TrainingReport]:
    """List trainings, the newest first."""
    rows = await statements.list_training_reports(
        connection, statuses=list(statuses) or None, organization_id=organization_id, limit=limit
    )
    return [TrainingReport(**msgspec.structs.asdict(row)) for row in rows]


async def find_training(connection: Connection, training_id: TrainingId) -> TrainingReport:
    """Return the training of an id. Raises NotFound."""
    row = await statements.find_training_report(connection, training_id=training_id)
    if row is None:
        raise NotFound(f"there is no training {training_id}")
    return TrainingReport(**msgspec.structs.asdict(row))


async def find_curve(connection: Connection, training_id: TrainingId) -> list[CurvePoint]:
    """Return the figures after each epoch of a training. Raises NotFound, BadRequest when there are none."""
    curve = await statements.find_training_curve(connection, training_id=training_id)
    if not curve:
        training = await find_training(connection, training_id)
        raise BadRequest(f"{training_id} is {training.status}: no epoch of it has ended")
    return msgspec.convert(curve, list[CurvePoint])


async def approve(connection: Connection, training_id: TrainingId) -> TrainingReport:
    """Queue a training that waits for approval.

    Raises NotFound, BadRequest when it does not wait, LimitExceeded.
    """
    training = await find_training(connection, training_id)
    async with connection.transaction():
        row = await statements.approve_training(
            connection, organization_id=training.organization_id, training_id=training_id
        )
        if row is None:
            raise BadRequest(f"{training_id} is {training.status}: it does not wait for an approval")
        await enqueue(connection, TRAINING, organization_id=training.organization_id, subject_id=training_id)
        await tell_of_training(connection, training.organization_id, row)
    return await find_training(connection, training_id)


async def cancel(connection: Connection, training_id: TrainingId) -> TrainingReport:
    """End a training that has not ended. Raises NotFound, BadRequest when it has."""
    training = await find_training(connection, training_id)
    async with connection.transaction():
        cancelled = await cancel_training(connection, training.organization_id, training)
    if not cancelled:
        raise BadRequest(f"{training_id} is {training.status}: it has ended")
    return await find_training(connection, training_id)


async def cancel_training(
    connection: Connection, organization_id: OrganizationId, training: TrainingReport | TrainingRow
) -> bool:
    """Cancel a training, or the job that works for it; return False when it has ended."""
    # The job of a cancelled training may still run: its worker has to let go of it.
    if training.status in ENDED:
        return False
    if training.status != "waiting-for-approval":
        return await request_cancel(
            connection, TRAINING, organization_id=organization_id, subject_id=training.id
        )
    row = await cancel_unapproved_training(
        connection, organization_id=organization_id, model_id=training.model_id, training_id=training.id
    )
    await tell_of_training(connection, organization_id, row)
    return row is not None

"""What becomes of the resource that a job works for when the job does not succeed, for each kind of job.

A kind without a resource of the API (housekeeping, for one) has ``Subject()``: its job is all there is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import asyncpg

from db.data_bundles import FAIL_DATA_BUNDLE, REOPEN_DATA_BUNDLE
from db.predictions import FAIL_PREDICTION, REOPEN_PREDICTION
from db.statements import Connection, UntypedStatement
from db.trainings import END_TRAINING, REOPEN_TRAINING
from db.transformations import END_TRANSFORMATION, REOPEN_TRANSFORMATION
from db.webhooks import END_DELIVERY, REOPEN_DELIVERY
from pagemill.jobs.job import JobKind
from pagemill.notices.events import tell_of_data_bundle, tell_of_prediction, tell_of_training
from pagemill.usage.meters import Amount, Meter

End: TypeAlias = Callable[[Connection, str, str, str], Awaitable[None]]
"""Takes the organization, the subject's id, and the message of the error."""
Tell: TypeAlias = Callable[[Connection, str, asyncpg.Record | None], Awaitable[None]]
"""Takes the organization, and what the statement returned."""
Reopen: TypeAlias = Callable[[Connection, str, str], Awaitable[bool]]


async def _nothing(_connection: Connection, _organization_id: str, _subject_id: str, _message: str) -> None:
    return


async def _always(_connection: Connection, _organization_id: str, _subject_id: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """How a kind's resource shows that its job failed, was cancelled, or is tried again by the operator."""

    fail: End = _nothing
    cancel: End = _nothing
    reopen: Reopen = _always
    """Returns whether the resource is still there and had failed."""
    reserved: Mapping[Meter, Amount] = field(default_factory=dict)
    """What a job holds from its first moment, and gives back when it fails."""


async def _tell_nobody(_connection: Connection, _organization_id: str, _row: asyncpg.Record | None) -> None:
    return


def _ends(statement: UntypedStatement, *arguments: str, tell: Tell = _tell_nobody) -> End:
    async def end(connection: Connection, organization_id: str, subject_id: str, _message: str) -> None:
        row = await statement.fetch_one(connection, organization_id, subject_id, *arguments)
        await tell(connection, organization_id, row)

    return end


def _ends_with_message(statement: UntypedStatement, tell: Tell) -> End:
    async def end(connection: Connection, organization_id: str, subject_id: str, message: str) -> None:
        row = await statement.fetch_one(connection, organization_id, subject_id, message)
        await tell(connection, organization_id, row)

    return end


def _reopens(statement: UntypedStatement, tell: Tell = _tell_nobody) -> Reopen:
    async def reopen(connection: Connection, organization_id: str, subject_id: str) -> bool:
        row = await statement.fetch_one(connection, organization_id, subject_id)
        await tell(connection, organization_id, row)
        return row is not None

    return reopen


# Trainings have a state for being cancelled; the others have failed then.
SUBJECTS: Mapping[JobKind, Subject] = {
    "prediction": Subject(
        fail=_ends_with_message(FAIL_PREDICTION, tell_of_prediction),
        cancel=_ends_with_message(FAIL_PREDICTION, tell_of_prediction),
        reopen=_reopens(REOPEN_PREDICTION),
        reserved={"predictions": 1},
    ),
    "data-bundle": Subject(
        fail=_ends(FAIL_DATA_BUNDLE, tell=tell_of_data_bundle),
        cancel=_ends(FAIL_DATA_BUNDLE, tell=tell_of_data_bundle),
        reopen=_reopens(REOPEN_DATA_BUNDLE),
    ),
    "training": Subject(
        fail=_ends(END_TRAINING, "failed", tell=tell_of_training),
        cancel=_ends(END_TRAINING, "cancelled", tell=tell_of_training),
        reopen=_reopens(REOPEN_TRAINING, tell_of_training),
    ),
    "transformation": Subject(
        fail=_ends(END_TRANSFORMATION, "failed"),
        cancel=_ends(END_TRANSFORMATION, "failed"),
        reopen=_reopens(REOPEN_TRANSFORMATION),
    ),
    "retention": Subject(),
    "object-sweep": Subject(),
    "month-statement": Subject(),
    "mail": Subject(),
    "webhook": Subject(
        fail=_ends(END_DELIVERY, "failed"),
        cancel=_ends(END_DELIVERY, "failed"),
        reopen=_reopens(REOPEN_DELIVERY),
    ),
    "limit-warnings": Subject(),
}

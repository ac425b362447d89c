"""Jobs of steps: a step that somebody else than a person does is queued in the transaction that begins it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from db.jobs import insert_job
from db.statements import Connection
from db.transitions import TransitionType
from pagemill.ids import OrganizationId, SubjectId, TransitionExecutionId
from pagemill.jobs.job import BATCH, KindName
from pagemill.jobs.queue import new_job_id
from pagemill.tracing.spans import context_to_send


class StepJob(NamedTuple):
    """Name, priority and maximum attempts of the kind of job that runs the steps of a type."""

    kind: KindName
    priority: int
    maximum_attempts: int


FUNCTION: Final = StepJob(KindName("function"), BATCH, 5)
CONTAINER: Final = StepJob(KindName("container"), BATCH, 20)

STEP_JOBS: Mapping[TransitionType, StepJob] = {"lambda": FUNCTION, "docker": CONTAINER}
"""The jobs of steps, by type of transition. A manual step waits for a person."""


async def queue_step(
    connection: Connection,
    organization_id: OrganizationId,
    transition_type: TransitionType,
    execution_id: TransitionExecutionId,
    *,
    delay: float,
) -> None:
    """Queue the job of a step that is due in ``delay`` seconds; its subject is the step's execution."""
    job = STEP_JOBS.get(transition_type)
    if job is not None:
        await insert_job(
            connection,
            organization_id=organization_id,
            job_id=new_job_id(),
            kind=job.kind,
            subject_id=SubjectId(execution_id),
            payload={},
            priority=job.priority,
            maximum_attempts=job.maximum_attempts,
            trace_context=context_to_send(),
            delay=delay,
        )

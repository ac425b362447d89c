"""Jobs of steps: a step that somebody else than a person does is queued in the transaction that begins it.

A step has one job, whose id follows from the step's: however often it is queued, one worker begins it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from db.jobs import cancel_jobs_of_subjects, insert_job
from db.statements import Connection
from db.transitions import TransitionType
from db.workflow_progress import NewStepJob
from pagemill.ids import JobId, OrganizationId, SubjectId, TransitionExecutionId, slug_of
from pagemill.jobs.job import BATCH, KindName
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


def job_of_step(transition_type: TransitionType, execution_id: TransitionExecutionId) -> NewStepJob | None:
    """Return the job of a step, whose subject is the step's execution; None for those that a person does."""
    job = STEP_JOBS.get(transition_type)
    if job is None:
        return None
    return NewStepJob(
        id=JobId(slug_of(execution_id)),
        kind=job.kind,
        priority=job.priority,
        maximum_attempts=job.maximum_attempts,
        trace_context=context_to_send(),
    )


async def queue_step(
    connection: Connection,
    organization_id: OrganizationId,
    transition_type: TransitionType,
    execution_id: TransitionExecutionId,
) -> None:
    """Queue the job of a step that has become due, once."""
    job = job_of_step(transition_type, execution_id)
    if job is not None:
        await insert_job(
            connection,
            organization_id=organization_id,
            job_id=job.id,
            kind=job.kind,
            subject_id=SubjectId(execution_id),
            payload={},
            priority=job.priority,
            maximum_attempts=job.maximum_attempts,
            trace_context=job.trace_context,
        )


async def cancel_steps(
    connection: Connection, organization_id: OrganizationId, execution_ids: Sequence[TransitionExecutionId]
) -> list[TransitionExecutionId]:
    """Cancel the open jobs of steps that have ended.

    Return the steps whose job somebody else is writing just now: it has to be cancelled again then.
    """
    passed_over = await cancel_jobs_of_subjects(
        connection,
        organization_id=organization_id,
        subject_ids=[SubjectId(execution_id) for execution_id in execution_ids],
        kinds=[job.kind for job in STEP_JOBS.values()],
    )
    return [TransitionExecutionId(subject_id) for subject_id in passed_over]

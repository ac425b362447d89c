"""Jobs that are timers of workflows: what a step or an execution waits for becomes due."""

from __future__ import annotations

from db.pool import Pool, acquire
from db.statements import Connection
from db.workflow_timers import KIND, MAXIMUM_ATTEMPTS, PRIORITY, claim_timers, seconds_to_next_timer
from pagemill.ids import OrganizationId, SubjectId
from pagemill.jobs.job import Job, KindName
from pagemill.jobs.kind import JobKind, Timing
from pagemill.work.resources import WorkResources
from pagemill.workflows.timers import abandon_timer, fire_timer

CONCURRENCY = 8


class WorkflowTimerRunner:
    """Runner of timers. Each fires in one transaction, which another attempt would find done."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self, job: Job) -> None:
        """Do what is due."""
        async with acquire(self._pool) as connection, connection.transaction():
            await fire_timer(connection, job.organization_id, job.subject_id, job.payload)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    await abandon_timer(connection, organization_id, subject_id, "it was cancelled")


WORKFLOW_TIMER: JobKind[WorkResources, None] = JobKind(
    name=KindName(KIND),
    description="Fire a timer of a workflow: a time to wait, a delay or a time-out",
    runner=lambda resources: WorkflowTimerRunner(resources.pool),
    concurrency=lambda _settings: CONCURRENCY,
    priority=PRIORITY,
    maximum_attempts=MAXIMUM_ATTEMPTS,
    # It runs in the dispatcher itself, whose death says nothing about the timer.
    maximum_lost_workers=MAXIMUM_ATTEMPTS,
    fail=abandon_timer,
    cancel=_cancel,
    timing=Timing(claim=claim_timers, seconds_to_next=seconds_to_next_timer),
)

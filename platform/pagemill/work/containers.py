"""Jobs that run containers: steps of docker transitions, and completed tasks."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Final

from db.containers import delete_container_credentials
from db.statements import Connection
from db.transition_executions import find_step_to_run
from pagemill.containers.engine import Engine
from pagemill.errors import BadRequest
from pagemill.ids import OrganizationId, SubjectId, TransitionExecutionId
from pagemill.jobs.job import BATCH
from pagemill.jobs.kind import JobKind
from pagemill.work.container_runner import ContainerRunner
from pagemill.work.container_tasks import CompletedTasks, Steps
from pagemill.work.resources import WorkResources
from pagemill.workflows.completed_tasks import COMPLETED_TASK as COMPLETED_TASK_NAME
from pagemill.workflows.completed_tasks import MAXIMUM_ATTEMPTS
from pagemill.workflows.failures import TASK_LOST
from pagemill.workflows.step_endings import finish_step
from pagemill.workflows.step_jobs import CONTAINER as CONTAINER_JOB
from pagemill.workflows.transition_executions import StepResult

CANCELLED: Final = "The job of the step was cancelled"


@dataclass(frozen=True, kw_only=True)
class ContainerResources(WorkResources):
    """Resources of the runners of containers; ``container_engine`` is None where none is configured."""

    container_engine: Engine | None


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, message: str
) -> None:
    """End the step of a job that has failed for good."""
    result = StepResult("failed", message=message, error=TASK_LOST)
    await _end_step(connection, organization_id, subject_id, result)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    """End the step of a job that somebody has cancelled: that is no reason to run another container."""
    await _end_step(connection, organization_id, subject_id, StepResult("failed", message=CANCELLED))


async def _end_step(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, result: StepResult
) -> None:
    execution_id = TransitionExecutionId(subject_id)
    step = await find_step_to_run(connection, organization_id=organization_id, execution_id=execution_id)
    if step is not None and step.status == "running":
        with contextlib.suppress(BadRequest):
            await finish_step(connection, organization_id, step.transition_id, execution_id, result, by=None)
    await delete_container_credentials(connection, organization_id=organization_id, subject_id=subject_id)


def _step_runner(resources: ContainerResources) -> ContainerRunner:
    return ContainerRunner(resources, resources.container_engine, Steps())


def _completed_task_runner(resources: ContainerResources) -> ContainerRunner:
    return ContainerRunner(resources, resources.container_engine, CompletedTasks())


CONTAINER: JobKind[ContainerResources, Any] = JobKind(
    name=CONTAINER_JOB.kind,
    description="Run the container of a step",
    runner=_step_runner,
    concurrency=lambda settings: settings.container_concurrency,
    priority=CONTAINER_JOB.priority,
    maximum_attempts=CONTAINER_JOB.maximum_attempts,
    # A container lives on without the worker that follows it: it cannot be what kills workers.
    maximum_lost_workers=CONTAINER_JOB.maximum_attempts,
    fail=_fail,
    cancel=_cancel,
)
COMPLETED_TASK: JobKind[ContainerResources, Any] = JobKind(
    name=COMPLETED_TASK_NAME,
    description="Run the container of a workflow whose execution has ended",
    runner=_completed_task_runner,
    concurrency=lambda settings: settings.container_concurrency,
    priority=BATCH,
    maximum_attempts=MAXIMUM_ATTEMPTS,
    maximum_lost_workers=MAXIMUM_ATTEMPTS,
)

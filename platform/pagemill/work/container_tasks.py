"""Tasks of containers: a step of a workflow, and what runs once a workflow's execution has ended."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from db.containers import find_completed_task, find_reporter
from db.statements import Connection
from db.transition_executions import find_step_to_run
from pagemill.errors import BadRequest
from pagemill.ids import (
    LogId,
    OrganizationId,
    SecretId,
    SubjectId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    slug_of,
)
from pagemill.jobs.job import Job
from pagemill.workflows.failures import TASK_FAILED
from pagemill.workflows.logs import write_line
from pagemill.workflows.step_endings import finish_step
from pagemill.workflows.transition_executions import StepResult

COMPLETED_TASK_SECONDS: Final = 1800.0
"""Time limit of a completed task: that of docker transitions unless they have another."""
LONGEST_MESSAGE: Final = 4096


class ContainerParameters(msgspec.Struct, frozen=True, rename="camel"):
    """Members of a docker transition's parameters, and of a workflow's ``completedConfig``."""

    image_url: str
    cpu: int = 256
    memory: int = 512
    environment: dict[str, Any] | None = None
    environment_secrets: list[SecretId] | None = None
    secret_id: SecretId | None = None


TaskPhase: TypeAlias = Literal["open", "reported", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerTask:
    """A container to run. ``permissions`` are what its own credentials allow.

    ``phase`` is reported when the task has ended because its program, or one beside it, has said so.
    """

    organization_id: OrganizationId
    subject_id: SubjectId
    log_id: LogId | None
    parameters: ContainerParameters
    ids: Mapping[str, str]
    permissions: Sequence[Mapping[str, str]]
    seconds_left: float
    phase: TaskPhase = "open"
    transition_id: TransitionId | None = None

    @property
    def is_over(self) -> bool:
        """Return whether its container has nothing more to do."""
        return self.phase != "open" or self.seconds_left <= 0


class Ending(NamedTuple):
    """End of a container; ``error`` is None for one that has ended well."""

    message: str
    error: str | None = TASK_FAILED


class Subjects(Protocol):
    """Resources that containers run for."""

    async def find(self, connection: Connection, job: Job) -> ContainerTask | None:
        """Return the task of a job; None when it is gone."""
        ...

    async def finish(self, connection: Connection, task: ContainerTask, ending: Ending) -> None:
        """End the task in the caller's transaction, unless somebody else has."""
        ...


class Steps:
    """Executions of docker transitions."""

    async def find(self, connection: Connection, job: Job) -> ContainerTask | None:
        """Return the task of a job; None when it is gone."""
        execution_id = TransitionExecutionId(job.subject_id)
        row = await find_step_to_run(
            connection, organization_id=job.organization_id, execution_id=execution_id
        )
        if row is None:
            return None
        phase: TaskPhase = "open"
        if row.status != "running":
            reporter = await find_reporter(
                connection, organization_id=job.organization_id, execution_id=execution_id
            )
            phase = "over" if reporter is None or reporter.startswith("las:user:") else "reported"
        return ContainerTask(
            organization_id=job.organization_id,
            subject_id=job.subject_id,
            log_id=row.log_id,
            parameters=msgspec.convert(row.parameters, ContainerParameters),
            ids={"TRANSITION_ID": row.transition_id, "EXECUTION_ID": row.id},
            permissions=[_allow(row.id, "read"), _allow(row.id, "write")],
            seconds_left=COMPLETED_TASK_SECONDS if row.seconds_left is None else row.seconds_left,
            phase=phase,
            transition_id=row.transition_id,
        )

    async def finish(self, connection: Connection, task: ContainerTask, ending: Ending) -> None:
        """End the step as failed: a container that has done its work has said so before."""
        assert task.transition_id is not None, "a step has a transition"
        result = StepResult(
            "failed", message=ending.message[:LONGEST_MESSAGE], error=ending.error or TASK_FAILED
        )
        with contextlib.suppress(BadRequest):
            await finish_step(
                connection,
                task.organization_id,
                task.transition_id,
                TransitionExecutionId(task.subject_id),
                result,
                by=None,
            )


class CompletedTasks:
    """Executions of workflows that have ended."""

    async def find(self, connection: Connection, job: Job) -> ContainerTask | None:
        """Return the task of a job; None when its execution or its configuration is gone."""
        row = await find_completed_task(
            connection,
            organization_id=job.organization_id,
            execution_id=WorkflowExecutionId(job.subject_id),
            job_id=job.id,
        )
        if row is None or row.completed_config is None:
            return None
        return ContainerTask(
            organization_id=job.organization_id,
            subject_id=job.subject_id,
            log_id=row.log_id,
            parameters=msgspec.convert(row.completed_config, ContainerParameters),
            ids={"WORKFLOW_ID": row.workflow_id, "EXECUTION_ID": row.id},
            permissions=[_allow(row.id, "read")],
            seconds_left=COMPLETED_TASK_SECONDS - (row.seconds or 0.0),
        )

    async def finish(self, connection: Connection, task: ContainerTask, ending: Ending) -> None:
        """Write the end of the container into its log: the workflow's execution stays as it is."""
        await write_line(connection, task.organization_id, task.log_id, ending.message)


def container_name(subject_id: SubjectId) -> str:
    """Return the name of a subject's container."""
    kind = subject_id.split(":")[1]
    return f"pagemill-{kind}-{slug_of(subject_id)}"


def _allow(resource_id: str, action: str) -> dict[str, str]:
    return {"resourceId": resource_id, "action": action, "effect": "allow"}

"""Jobs that call functions of the operator: the steps of ``lambda`` transitions, and of commons."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from db.pool import acquire
from db.statements import Connection
from db.transition_executions import StepToRunRow, find_step_to_run
from pagemill.concurrency import finish_despite_cancellation
from pagemill.errors import BadRequest
from pagemill.ids import OrganizationId, SubjectId, TransitionExecutionId
from pagemill.jobs.job import Job
from pagemill.jobs.kind import JobKind
from pagemill.jobs.leases import hold
from pagemill.jobs.outcome_writer import write_patiently
from pagemill.work.resources import WorkResources
from pagemill.workflows import step_jobs
from pagemill.workflows.failures import TASK_LOST
from pagemill.workflows.functions.mapping import FunctionMapping, FunctionMissing
from pagemill.workflows.functions.messages import FunctionCall
from pagemill.workflows.functions.processes import FunctionProcesses
from pagemill.workflows.step_environment import EnvironmentMissing, environment_of_step
from pagemill.workflows.step_log import StepLog
from pagemill.workflows.transition_executions import StepResult
from pagemill.workflows.workflow_executions import finish_step

MISSING: Final = "Pagemill.FunctionMissing"
ENVIRONMENT_MISSING: Final = "Pagemill.EnvironmentMissing"
LONGEST_SECONDS: Final = 10_800.0
"""The longest time-out of a transition."""
MARGIN: Final = 0.95
"""Part of the time left after which a function is ended: its result can still be written then."""
GIBIBYTE: Final = 1024**3


@dataclass(frozen=True, kw_only=True)
class FunctionResources(WorkResources):
    """Resources of the dispatcher of workflows."""

    functions: FunctionMapping
    function_processes: FunctionProcesses


class FunctionRunner:
    """Runner of function jobs. A function whose worker is lost is called again: it may run twice.

    A step that has ended, however it has, is left as it is.
    """

    def __init__(self, resources: FunctionResources) -> None:
        self._resources = resources

    async def __call__(self, job: Job) -> None:
        """Call the function and end its step. Raises Unavailable, and JobCancelled."""
        organization_id, pool = job.organization_id, self._resources.pool
        async with acquire(pool) as connection:
            step = await find_step_to_run(
                connection,
                organization_id=organization_id,
                execution_id=TransitionExecutionId(job.subject_id),
            )
            if step is None or step.status != "running":
                return
            prepared = await self._prepare(connection, organization_id, step)
        if isinstance(prepared, FunctionCall):
            log = StepLog(pool, organization_id, step.log_id)
            seconds = MARGIN * (LONGEST_SECONDS if step.seconds_left is None else step.seconds_left)
            prepared = await self._resources.function_processes.call(prepared, log, seconds=seconds)
        await finish_despite_cancellation(self._finish(job, step, prepared))

    async def _prepare(
        self, connection: Connection, organization_id: OrganizationId, step: StepToRunRow
    ) -> FunctionCall | StepResult:
        """Return the call of a step's function, or the failure of a step that cannot be run."""
        functions, box = self._resources.functions, self._resources.secret_box
        function_id = step.parameters.get("lambdaId", step.transition_id)
        try:
            function = await asyncio.to_thread(functions.find, function_id, organization_id)
            environment = await environment_of_step(connection, box, organization_id, step)
        except FunctionMissing as error:
            return StepResult("failed", message=error.message, error=MISSING)
        except EnvironmentMissing as error:
            return StepResult("failed", message=error.message, error=ENVIRONMENT_MISSING)
        return FunctionCall(
            callable=function,
            directory=functions.directory,
            memory_bytes=int(self._resources.settings.function_memory * GIBIBYTE),
            input=step.input,
            environment=[{"name": name, "value": value} for name, value in environment.items()],
        )

    async def _finish(self, job: Job, step: StepToRunRow, result: StepResult) -> None:
        """End the step, and wait while Postgres is away. Raises JobCancelled."""

        async def end(connection: Connection) -> None:
            async with connection.transaction():
                await hold(connection, job)
                await end_step(connection, job.organization_id, step.id, result)

        await write_patiently(self._resources.pool, f"ending {step.id}", end)


async def end_step(
    connection: Connection,
    organization_id: OrganizationId,
    execution_id: TransitionExecutionId,
    result: StepResult,
) -> None:
    """End a step with what its worker has come to, unless it has ended or timed out meanwhile."""
    step = await find_step_to_run(connection, organization_id=organization_id, execution_id=execution_id)
    if step is None:
        return
    try:
        await finish_step(connection, organization_id, step.transition_id, execution_id, result, by=None)
    except BadRequest:
        return


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, message: str
) -> None:
    result = StepResult("failed", message=message, error=TASK_LOST)
    await end_step(connection, organization_id, TransitionExecutionId(subject_id), result)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    result = StepResult("failed", message="The job of the step was cancelled")
    await end_step(connection, organization_id, TransitionExecutionId(subject_id), result)


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    """Return whether the step still runs: one that has ended is run again by its workflow alone."""
    step = await find_step_to_run(
        connection, organization_id=organization_id, execution_id=TransitionExecutionId(subject_id)
    )
    return step is not None and step.status == "running"


FUNCTION: JobKind[FunctionResources, None] = JobKind(
    name=step_jobs.FUNCTION.kind,
    description="Call a function of the operator, as a step of a workflow",
    runner=FunctionRunner,
    concurrency=lambda settings: settings.function_concurrency,
    priority=step_jobs.FUNCTION.priority,
    maximum_attempts=step_jobs.FUNCTION.maximum_attempts,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
)

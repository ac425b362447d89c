"""Jobs that call functions of the operator: the steps of ``lambda`` transitions, and of commons."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from db.pool import acquire
from db.statements import Connection
from db.transition_executions import StepToRunRow, find_step_to_run, find_steps_to_run
from pagemill.batching import Batcher, BatchFailed
from pagemill.errors import Unavailable
from pagemill.ids import OrganizationId, SubjectId, TransitionExecutionId
from pagemill.jobs.job import Job
from pagemill.jobs.kind import Finished, JobKind
from pagemill.work.resources import WorkResources
from pagemill.workflows import step_jobs
from pagemill.workflows.failures import TASK_LOST
from pagemill.workflows.functions.mapping import FunctionMapping, FunctionMissing, MappedFunction
from pagemill.workflows.functions.messages import FunctionCall
from pagemill.workflows.functions.processes import FunctionProcesses
from pagemill.workflows.step_endings import ReportedStep, finish_steps
from pagemill.workflows.step_environment import EnvironmentMissing, environment_of_step
from pagemill.workflows.step_log import StepLog
from pagemill.workflows.transition_executions import StepResult

MISSING: Final = "Pagemill.FunctionMissing"
ENVIRONMENT_MISSING: Final = "Pagemill.EnvironmentMissing"
LONGEST_SECONDS: Final = 10_800.0
"""The longest time-out of a transition."""
STEPS_AT_ONCE: Final = 64
MARGIN: Final = 0.95
"""Part of the time left after which a function is ended: its result can still be written then."""
GIBIBYTE: Final = 1024**3


@dataclass(frozen=True, kw_only=True)
class FunctionResources(WorkResources):
    """Resources of the dispatcher of workflows."""

    functions: FunctionMapping
    function_processes: FunctionProcesses


class _Prepared(NamedTuple):
    """A call, and how many calls its process may serve."""

    call: FunctionCall
    calls_per_process: int


class _Found(NamedTuple):
    """A step, and its function as it was found."""

    step: StepToRunRow
    function: MappedFunction | FunctionMissing


class FunctionRunner:
    """Runner of function jobs. A function whose worker is lost is called again: it may run twice.

    A step that has ended, however it has, is left as it is.
    """

    def __init__(self, resources: FunctionResources) -> None:
        self._resources = resources
        self._steps: Batcher[Job, _Found | None] = Batcher(
            self._find_steps, max_size=STEPS_AT_ONCE, concurrency=1
        )

    async def __call__(self, job: Job) -> StepResult | None:
        """Call the function and return the step's result; None when it has ended. Raises Unavailable."""
        organization_id, pool = job.organization_id, self._resources.pool
        try:
            found = await self._steps.submit(job)
        except BatchFailed as failed:
            raise Unavailable(detail=str(failed)) from failed
        if found is None or found.step.status != "running":
            return None
        step = found.step
        prepared = await self._prepare(organization_id, found)
        if isinstance(prepared, StepResult):
            return prepared
        return await self._resources.function_processes.call(
            prepared.call,
            StepLog(pool, organization_id, step.log_id),
            seconds=MARGIN * (LONGEST_SECONDS if step.seconds_left is None else step.seconds_left),
            organization_id=organization_id,
            calls_per_process=prepared.calls_per_process,
        )

    async def _find_steps(self, jobs: Sequence[Job]) -> list[_Found | None]:
        async with acquire(self._resources.pool) as connection:
            rows = await find_steps_to_run(
                connection,
                organization_ids=[job.organization_id for job in jobs],
                execution_ids=[TransitionExecutionId(job.subject_id) for job in jobs],
            )
        steps = {str(row.id): row for row in rows}
        # The file of the functions is looked at: not on the event loop.
        return await asyncio.to_thread(lambda: [self._found(job, steps.get(job.subject_id)) for job in jobs])

    def _found(self, job: Job, step: StepToRunRow | None) -> _Found | None:
        if step is None:
            return None
        function_id = step.parameters.get("lambdaId", step.transition_id)
        try:
            return _Found(step, self._resources.functions.find(function_id, job.organization_id))
        except FunctionMissing as error:
            return _Found(step, error)

    async def _prepare(self, organization_id: OrganizationId, found: _Found) -> _Prepared | StepResult:
        """Return the call of a step's function, or the failure of a step that cannot be run."""
        step, function = found
        if isinstance(function, FunctionMissing):
            return StepResult("failed", message=function.message, error=MISSING)
        functions, box = self._resources.functions, self._resources.secret_box
        try:
            environment = await environment_of_step(self._resources.pool, box, organization_id, step)
        except EnvironmentMissing as error:
            return StepResult("failed", message=error.message, error=ENVIRONMENT_MISSING)
        call = FunctionCall(
            callable=function.callable,
            directory=functions.directory,
            memory_bytes=int(self._resources.settings.function_memory * GIBIBYTE),
            input=step.input,
            environment=[{"name": name, "value": value} for name, value in environment.items()],
        )
        return _Prepared(call, function.calls_per_process)


async def _succeed(connection: Connection, finished: Sequence[Finished[StepResult | None]]) -> None:
    """End the steps of jobs that end, whatever their results are."""
    await finish_steps(
        connection,
        [
            ReportedStep(job.organization_id, TransitionExecutionId(job.subject_id), result)
            for job, result in finished
            if result is not None
        ],
    )


async def _end_step(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, result: StepResult
) -> None:
    step = ReportedStep(organization_id, TransitionExecutionId(subject_id), result)
    await finish_steps(connection, [step])


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, message: str
) -> None:
    result = StepResult("failed", message=message, error=TASK_LOST)
    await _end_step(connection, organization_id, subject_id, result)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    result = StepResult("failed", message="The job of the step was cancelled")
    await _end_step(connection, organization_id, subject_id, result)


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    """Return whether the step still runs: one that has ended is run again by its workflow alone."""
    step = await find_step_to_run(
        connection, organization_id=organization_id, execution_id=TransitionExecutionId(subject_id)
    )
    return step is not None and step.status == "running"


FUNCTION: JobKind[FunctionResources, StepResult | None] = JobKind(
    name=step_jobs.FUNCTION.kind,
    description="Call a function of the operator, as a step of a workflow",
    runner=FunctionRunner,
    concurrency=lambda settings: settings.function_concurrency,
    priority=step_jobs.FUNCTION.priority,
    maximum_attempts=step_jobs.FUNCTION.maximum_attempts,
    succeed=_succeed,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
    gathered=True,
)

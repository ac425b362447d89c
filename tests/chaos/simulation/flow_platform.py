"""Workflows as a simulation runs them: the product's handlers and runners, and functions that only wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

from db.pool import DATABASE_ERRORS
from pagemill.api.auth.tokens import Caller
from pagemill.api.resources.transition_executions import (
    PatchTransitionExecution,
    PostHeartbeat,
    PostTransitionExecution,
    TransitionExecutionController,
)
from pagemill.api.resources.workflow_executions import PostWorkflowExecution, WorkflowExecutionController
from pagemill.errors import Unavailable
from pagemill.ids import WorkflowExecutionId
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.kind import RunnableKind
from pagemill.work.functions import FUNCTION, FunctionRunner
from pagemill.work.workflow_timers import WORKFLOW_TIMER, WorkflowTimerRunner
from pagemill.workflows.execution_administration import cancel_execution
from pagemill.workflows.execution_starts import ExecutionStarts
from pagemill.workflows.failures import TIMED_OUT
from pagemill.workflows.functions.mapping import MappedFunction
from pagemill.workflows.functions.messages import FunctionCall
from pagemill.workflows.functions.processes import CRASHED
from pagemill.workflows.step_log import StepLog
from pagemill.workflows.transition_executions import StepResult
from tests.chaos.simulation.platform import HEARTBEAT, LEASE, POLL, SETTINGS, World
from tests.chaos.simulation.postgres import Pool, Process

PACES = ((0.5,), (0.05, 0.5), (0.5, 1.5, 12.0), (6.0, 30.0))
"""How long a function takes; the longest ones are longer than their steps may."""


class FlowWorld(World):
    """What all processes share, and how often the function of each step was called."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pace = self.chance.choice(PACES)
        self.calls: Counter[str] = Counter()


class FlowApi:
    """An API process: the handlers of the product on connections that break."""

    def __init__(self, _world: FlowWorld, process: Process) -> None:
        self.process = process
        self._pool = cast("Any", Pool(process, 4))
        self._starts = ExecutionStarts(self._pool, development_allowance=0)

    async def run(self) -> None:
        await self.process.died.wait()

    async def _call(self, handler: Any, *arguments: Any, **options: Any) -> Any:
        async with self._pool.acquire() as connection:
            return await handler.fn(None, *arguments, connection=connection, **options)

    async def begin(self, caller: Caller, workflow_id: str, data: dict[str, Any]) -> str:
        """The id of a new execution, whose first states have been entered."""
        handler: Any = WorkflowExecutionController.execute_workflow
        begun = await handler.fn(
            *(None, workflow_id, PostWorkflowExecution(input=data), caller),
            connection=None,  # without an idempotency key
            app_state=SimpleNamespace(execution_starts=self._starts),
        )
        return str(begun.execution_id)

    async def claim(self, caller: Caller, transition_id: str) -> Any:
        """A step that waits; raises NotFound when none does."""
        handler = TransitionExecutionController.execute_transition
        return await self._call(handler, transition_id, PostTransitionExecution(), caller)

    async def beat(self, caller: Caller, step: Any) -> None:
        handler = TransitionExecutionController.send_heartbeat
        await self._call(handler, step.transition_id, step.execution_id, PostHeartbeat(), caller)

    async def report(self, caller: Caller, step: Any) -> None:
        handler = TransitionExecutionController.update_transition_execution
        result = PatchTransitionExecution(status="succeeded", output={"number": step.input["number"]})
        await self._call(handler, step.transition_id, step.execution_id, result, caller)

    async def cancel(self, execution_id: str) -> None:
        async with self._pool.acquire() as connection:
            await cancel_execution(connection, WorkflowExecutionId(execution_id))

    async def delete(self, caller: Caller, workflow_id: str, execution_id: str) -> None:
        handler = WorkflowExecutionController.delete_workflow_execution
        await self._call(handler, workflow_id, execution_id, caller)


class _Functions:
    """What the functions do: ``double``, ``unlucky`` until it is tried again, and ``fatal``."""

    directory = None

    def __init__(self, world: FlowWorld, process: Process) -> None:
        self._world, self._process = world, process

    def find(self, function_id: str, _organization_id: str) -> MappedFunction:
        return MappedFunction(function_id.split(":")[2])

    async def call(
        self, call: FunctionCall, log: StepLog, *, seconds: float, **_purpose: object
    ) -> StepResult:
        world, process = self._world, self._process
        await process.lives()
        world.calls[dict((pair["name"], pair["value"]) for pair in call.environment)["EXECUTION_ID"]] += 1
        takes = world.chance.choice(world.pace)
        await asyncio.sleep(min(takes, seconds))
        await process.lives()
        log.feed(b"a line\n")
        with contextlib.suppress(*DATABASE_ERRORS):
            await log.write()
        if takes > seconds:
            return StepResult("failed", message="It took too long", error=TIMED_OUT)
        if world.happens(0.05):
            raise Unavailable("There is no process for the function now")
        if world.happens(0.05):
            return StepResult("failed", message="It has crashed", error=CRASHED)
        return _result(call.callable, call.input)


def _result(name: str, data: dict[str, Any]) -> StepResult:
    if name == "fatal":
        return StepResult("failed", message="the end", error="Fatal")
    if name == "unlucky" and data["attempt"] == 0:
        return StepResult("failed", message="not yet", error="NotYet")
    return StepResult("succeeded", output={"number": data["number"]})


class FlowDispatcher:
    """A dispatcher with the product's runners of timers and functions."""

    def __init__(self, world: FlowWorld, process: Process) -> None:
        self.process = process
        pool = cast("Any", Pool(process, 6))
        functions = _Functions(world, process)
        resources = SimpleNamespace(
            pool=pool, settings=SETTINGS, secret_box=None, functions=functions, function_processes=functions
        )
        kinds: list[RunnableKind[Any]] = [
            RunnableKind(kind=FUNCTION, run=FunctionRunner(cast("Any", resources)), concurrency=3),
            RunnableKind(kind=WORKFLOW_TIMER, run=WorkflowTimerRunner(pool), concurrency=4),
        ]
        self._dispatcher = Dispatcher(
            pool,
            kinds,
            owner=f"{process.name} {len(world.server.processes)}",
            lease=LEASE,
            heartbeat=HEARTBEAT,
            poll=POLL,
        )

    async def run(self) -> None:
        await self._dispatcher.run()

    def drain(self, seconds: float | None) -> None:
        self._dispatcher.drain(seconds)

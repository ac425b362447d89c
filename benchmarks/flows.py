"""Flows of the benchmark of workflows: how they are stored, started as the API does, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from db.pool import Pool
from pagemill.ids import OrganizationId, PrincipalId, TransitionId, WorkflowExecutionId, WorkflowId, new_id
from pagemill.workflows.execution_starts import ExecutionStarts
from pagemill.workflows.workflow_executions import Start

OWNER = OrganizationId("las:organization:benchmark")
BY = PrincipalId("las:app-client:benchmark")
FUNCTIONS = """
def work(data, environment):
    return {**data, "worked": True}
"""
MAPPING = """
[functions]
work = { callable = "flow_functions:work", calls_per_process = 1000 }
"""
POLL_SECONDS = 0.01
STATES = 5
"""States that an execution of ``five_states`` goes through."""


def write_functions(directory: Path) -> Path:
    """Write the functions that steps call; return the file that names them."""
    (directory / "flow_functions.py").write_text(FUNCTIONS)
    file = directory / "functions.toml"
    file.write_text(MAPPING)
    return file


def five_states(task: TransitionId) -> dict[str, Any]:
    """Return a flow of a Pass, a Choice, a Task, a Pass and a Succeed."""
    positive = {"Variable": "$.amount", "NumericGreaterThan": 0, "Next": "Work"}
    return {
        "Begin": {"Type": "Pass", "Result": {"by": "Begin"}, "ResultPath": "$.begun", "Next": "Decide"},
        "Decide": {"Type": "Choice", "Choices": [positive], "Default": "Done"},
        "Work": {"Type": "Task", "Resource": task, "Next": "Tidy"},
        "Tidy": {"Type": "Pass", "Parameters": {"amount.$": "$.amount"}, "Next": "Done"},
        "Done": {"Type": "Succeed"},
    }


def chain(task: TransitionId, length: int) -> dict[str, Any]:
    """Return a flow of so many tasks, one after the other."""
    names = [f"Task{number}" for number in range(length)]
    following: list[dict[str, Any]] = [*({"Next": name} for name in names[1:]), {"End": True}]
    return {
        name: {"Type": "Task", "Resource": task, **after}
        for name, after in zip(names, following, strict=True)
    }


def waiting(seconds: int) -> dict[str, Any]:
    """Return a flow that waits."""
    return {"Wait": {"Type": "Wait", "Seconds": seconds, "End": True}}


async def store_task(pool: Pool) -> TransitionId:
    """Add the organization of the benchmark with a transition that calls a function."""
    await pool.execute("INSERT INTO plan (id, slug, version) VALUES ('plan', 'plan', 1)")
    await pool.execute("INSERT INTO organization (id, plan_id) VALUES ($1, 'plan')", OWNER)
    transition_id = new_id(TransitionId)
    await pool.execute(
        """
        INSERT INTO transition (organization_id, id, transition_type, parameters, timeout_in_seconds)
        VALUES ($1, $2, 'lambda', $3, 60)
        """,
        *(OWNER, transition_id, {"lambdaId": "las:lambda:work:1"}),
    )
    return transition_id


async def store_workflow(pool: Pool, states: Mapping[str, Any]) -> WorkflowId:
    """Add a workflow in production that starts at the first state."""
    workflow_id = new_id(WorkflowId)
    await pool.execute(
        "INSERT INTO workflow (organization_id, id, definition, status) VALUES ($1, $2, $3, 'production')",
        *(OWNER, workflow_id, {"StartAt": next(iter(states)), "States": states}),
    )
    return workflow_id


async def start(starts: ExecutionStarts, workflow_id: WorkflowId) -> WorkflowExecutionId:
    """Start an execution as POST does."""
    execution = await starts.start(OWNER, Start(workflow_id, {"amount": 7}, BY))
    assert execution is not None
    return execution.id


@dataclass
class Ends:
    """Executions that somebody waits for; ``watch`` tells how they have ended, all by one statement."""

    pool: asyncpg.Pool
    waiting: dict[WorkflowExecutionId, asyncio.Future[str]] = field(default_factory=dict)

    async def of(self, execution_id: WorkflowExecutionId) -> str:
        """Return the status with which an execution has ended."""
        future = self.waiting[execution_id] = asyncio.get_running_loop().create_future()
        return await future

    async def watch(self) -> None:
        """Look for executions that have ended, until it is cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            rows = await self.pool.fetch(
                "SELECT id, status FROM workflow_execution WHERE id = ANY($1) AND status <> 'running'",
                list(self.waiting),
            )
            for execution_id, status in rows:
                self.waiting.pop(execution_id).set_result(status)

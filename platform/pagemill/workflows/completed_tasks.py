"""Completed tasks: the container that a workflow has run once one of its executions has ended."""

from __future__ import annotations

from typing import Final

from db import containers as statements
from db.jobs import insert_job
from db.statements import Connection
from pagemill.ids import OrganizationId, SubjectId, WorkflowExecutionId, WorkflowId
from pagemill.jobs.job import BATCH, KindName
from pagemill.jobs.queue import new_job_id
from pagemill.tracing.spans import context_to_send
from pagemill.workflows.logs import open_log

COMPLETED_TASK: Final = KindName("completed-task")
MAXIMUM_ATTEMPTS: Final = 20


async def queue_completed_task(
    connection: Connection,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    execution_id: WorkflowExecutionId,
) -> None:
    """Queue the container of an execution that the caller's transaction ends, whose workflow has one."""
    log_id = await open_log(
        connection,
        organization_id,
        f"Execution {execution_id} has ended: its completed task is queued",
        workflow_id=workflow_id,
        workflow_execution_id=execution_id,
    )
    await statements.set_completed_task_log(
        connection, organization_id=organization_id, execution_id=execution_id, log_id=log_id
    )
    await insert_job(
        connection,
        organization_id=organization_id,
        job_id=new_job_id(),
        kind=COMPLETED_TASK,
        subject_id=SubjectId(execution_id),
        payload={},
        priority=BATCH,
        maximum_attempts=MAXIMUM_ATTEMPTS,
        trace_context=context_to_send(),
    )

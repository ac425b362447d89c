"""Logs of executions."""

from __future__ import annotations

from db import logs as statements
from db.statements import Connection
from pagemill.ids import (
    LogId,
    OrganizationId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
    new_id,
)

LONGEST_LINE = 16_384


async def open_log(
    connection: Connection,
    organization_id: OrganizationId,
    first_line: str,
    *,
    workflow_id: WorkflowId | None = None,
    workflow_execution_id: WorkflowExecutionId | None = None,
    transition_id: TransitionId | None = None,
    transition_execution_id: TransitionExecutionId | None = None,
) -> LogId:
    """Add the log of an execution with its first line and return its id."""
    log_id = new_id(LogId)
    await statements.insert_log(
        connection,
        organization_id=organization_id,
        log_id=log_id,
        workflow_id=workflow_id,
        workflow_execution_id=workflow_execution_id,
        transition_id=transition_id,
        transition_execution_id=transition_execution_id,
    )
    await write_line(connection, organization_id, log_id, first_line)
    return log_id


async def write_line(
    connection: Connection, organization_id: OrganizationId, log_id: LogId | None, line: str
) -> None:
    """Add a line to a log, if there is one; a line that is too long is cut."""
    if log_id is not None:
        await statements.insert_log_line(
            connection, organization_id=organization_id, log_id=log_id, message=line[:LONGEST_LINE]
        )

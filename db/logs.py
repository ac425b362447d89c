"""Logs of executions, and their lines."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from db.keyset import Order
from db.statements import Connection, Row, columns, tenant
from pagemill.ids import (
    LogId,
    OrganizationId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
)


class LogRow(Row):
    """A log, and the execution that it belongs to."""

    id: LogId
    workflow_id: WorkflowId | None
    workflow_execution_id: WorkflowExecutionId | None
    transition_id: TransitionId | None
    transition_execution_id: TransitionExecutionId | None
    start_time: datetime.datetime


class LogLineRow(Row):
    """A line of a log."""

    time: datetime.datetime
    message: str


@tenant("""
    INSERT INTO log (
        organization_id, id, workflow_id, workflow_execution_id, transition_id, transition_execution_id,
        start_time
    )
    VALUES (
        :organization_id, :log_id, :workflow_id, :workflow_execution_id, :transition_id,
        :transition_execution_id, now()
    )
""")
async def insert_log(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    log_id: LogId,
    workflow_id: WorkflowId | None,
    workflow_execution_id: WorkflowExecutionId | None,
    transition_id: TransitionId | None,
    transition_execution_id: TransitionExecutionId | None,
) -> None:
    """Add an empty log."""


@tenant("""
    INSERT INTO log_event (organization_id, log_id, time, message)
    VALUES (:organization_id, :log_id, clock_timestamp(), :message)
""")
async def insert_log_line(
    connection: Connection, *, organization_id: OrganizationId, log_id: LogId, message: str
) -> None:
    """Add a line to a log."""


@tenant("""
    INSERT INTO log_event (organization_id, log_id, time, message)
    SELECT :organization_id, log.id, clock_timestamp(), line.message
    FROM log
    CROSS JOIN unnest(:messages::text[]) WITH ORDINALITY AS line (message, number)
    WHERE log.organization_id = :organization_id AND log.id = :log_id
    ORDER BY line.number
""")
async def insert_log_lines(
    connection: Connection, *, organization_id: OrganizationId, log_id: LogId, messages: Sequence[str]
) -> None:
    """Add lines to a log, in their order, unless it has been deleted."""


@tenant(f"SELECT {columns(LogRow)} FROM log WHERE organization_id = :organization_id AND id = :log_id")
async def get_log(connection: Connection, *, organization_id: OrganizationId, log_id: LogId) -> LogRow | None:
    """Return a log without its lines."""


@tenant(f"""
    SELECT {columns(LogLineRow)} FROM (
        SELECT id, time, message FROM log_event
        WHERE organization_id = :organization_id AND log_id = :log_id
        ORDER BY id DESC LIMIT :limit
    ) AS newest
    ORDER BY id
""")
async def list_log_lines(
    connection: Connection, *, organization_id: OrganizationId, log_id: LogId, limit: int
) -> list[LogLineRow]:
    """Return the newest lines of a log, in the order in which they were written."""


_FILTERED_LOGS = f"""
    SELECT {columns(LogRow)} FROM log
    WHERE organization_id = :organization_id
        AND (:workflow_id::text IS NULL OR workflow_id = :workflow_id)
        AND (:workflow_execution_id::text IS NULL OR workflow_execution_id = :workflow_execution_id)
        AND (:transition_id::text IS NULL OR transition_id = :transition_id)
        AND (:transition_execution_id::text IS NULL OR transition_execution_id = :transition_execution_id)
"""


@tenant(f"""
    {_FILTERED_LOGS}
        AND (start_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY start_time, id LIMIT :limit
""")
async def list_logs_ascending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId | None,
    workflow_execution_id: WorkflowExecutionId | None,
    transition_id: TransitionId | None,
    transition_execution_id: TransitionExecutionId | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[LogRow]:
    """Return a page of the logs that meet all filters, oldest first."""


@tenant(f"""
    {_FILTERED_LOGS}
        AND (start_time, id) < (
            coalesce(:after_time::timestamptz, 'infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY start_time DESC, id DESC LIMIT :limit
""")
async def list_logs_descending(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId | None,
    workflow_execution_id: WorkflowExecutionId | None,
    transition_id: TransitionId | None,
    transition_execution_id: TransitionExecutionId | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[LogRow]:
    """Return a page of the logs that meet all filters, newest first."""


async def list_logs(
    connection: Connection,
    *,
    order: Order,
    organization_id: OrganizationId,
    workflow_id: WorkflowId | None,
    workflow_execution_id: WorkflowExecutionId | None,
    transition_id: TransitionId | None,
    transition_execution_id: TransitionExecutionId | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[LogRow]:
    """Return a page of the logs that meet all filters, by their start time."""
    statement = list_logs_ascending if order == "ascending" else list_logs_descending
    return await statement(
        connection,
        organization_id=organization_id,
        workflow_id=workflow_id,
        workflow_execution_id=workflow_execution_id,
        transition_id=transition_id,
        transition_execution_id=transition_execution_id,
        after_time=after_time,
        after_id=after_id,
        limit=limit,
    )


@tenant("DELETE FROM log WHERE organization_id = :organization_id AND transition_id = :transition_id")
async def delete_logs_of_transition(
    connection: Connection, *, organization_id: OrganizationId, transition_id: TransitionId
) -> None:
    """Delete the logs of a transition's executions with their lines."""


@tenant("DELETE FROM log WHERE organization_id = :organization_id AND workflow_id = :workflow_id")
async def delete_logs_of_workflow(
    connection: Connection, *, organization_id: OrganizationId, workflow_id: WorkflowId
) -> None:
    """Delete the logs of a workflow's executions with their lines."""


@tenant("""
    DELETE FROM log
    WHERE organization_id = :organization_id AND workflow_execution_id = :workflow_execution_id
""")
async def delete_logs_of_workflow_execution(
    connection: Connection, *, organization_id: OrganizationId, workflow_execution_id: WorkflowExecutionId
) -> None:
    """Delete the logs of a workflow's execution and of its steps with their lines."""

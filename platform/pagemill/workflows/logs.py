"""Logs that executions write: each has one from its beginning on."""

from __future__ import annotations

from db import logs as statements
from db.statements import Connection
from pagemill.ids import LogId, new_id

LONGEST_LINE = 16_384


async def open_log(
    connection: Connection,
    organization_id: str,
    first_line: str,
    *,
    workflow_id: str | None = None,
    workflow_execution_id: str | None = None,
    transition_id: str | None = None,
    transition_execution_id: str | None = None,
) -> str:
    """A new log with its first line, in the same transaction as what writes it."""
    log_id = new_id(LogId)
    await statements.INSERT_LOG.execute(
        connection,
        organization_id,
        log_id,
        workflow_id,
        workflow_execution_id,
        transition_id,
        transition_execution_id,
    )
    await write_line(connection, organization_id, log_id, first_line)
    return log_id


async def write_line(connection: Connection, organization_id: str, log_id: str | None, line: str) -> None:
    """Add a line; one that is too long is cut."""
    if log_id is not None:
        await statements.INSERT_LINE.execute(connection, organization_id, log_id, line[:LONGEST_LINE])

"""Logs of executions, and their lines."""

from __future__ import annotations

from typing import Literal

from db.statements import UntypedStatement
from db.statements import untyped_tenant as tenant

LOG_COLUMNS = "id, workflow_id, workflow_execution_id, transition_id, transition_execution_id, start_time"

INSERT_LOG = tenant(
    "logs.insert",
    """
    INSERT INTO log (
        organization_id, id, workflow_id, workflow_execution_id, transition_id, transition_execution_id,
        start_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, now())
    """,
)

INSERT_LINE = tenant(
    "logs.insert_line",
    """
    INSERT INTO log_event (organization_id, log_id, time, message)
    VALUES ($1, $2, clock_timestamp(), $3)
    """,
)

GET_LOG = tenant("logs.get", f"SELECT {LOG_COLUMNS} FROM log WHERE organization_id = $1 AND id = $2")

# The newest lines of a log that is longer, in the order in which they were written.
LOG_LINES = tenant(
    "logs.lines",
    """
    SELECT time, message FROM (
        SELECT id, time, message FROM log_event
        WHERE organization_id = $1 AND log_id = $2
        ORDER BY id DESC LIMIT $3
    ) AS newest
    ORDER BY id
    """,
)

_FILTERS = """
    organization_id = $1
        AND ($2::text IS NULL OR workflow_id = $2)
        AND ($3::text IS NULL OR workflow_execution_id = $3)
        AND ($4::text IS NULL OR transition_id = $4)
        AND ($5::text IS NULL OR transition_execution_id = $5)
"""

LIST_LOGS: dict[Literal["ascending", "descending"], UntypedStatement] = {
    "ascending": tenant(
        "logs.list_ascending",
        f"""
        SELECT {LOG_COLUMNS} FROM log
        WHERE {_FILTERS}
            AND (start_time, id) > (coalesce($6::timestamptz, '-infinity'), coalesce($7::text, ''))
        ORDER BY start_time, id LIMIT $8
        """,
    ),
    "descending": tenant(
        "logs.list_descending",
        f"""
        SELECT {LOG_COLUMNS} FROM log
        WHERE {_FILTERS}
            AND (start_time, id) < (coalesce($6::timestamptz, 'infinity'), coalesce($7::text, ''))
        ORDER BY start_time DESC, id DESC LIMIT $8
        """,
    ),
}

# A log goes with the execution that wrote it; its lines go with the log.
DELETE_LOGS_OF_TRANSITION = tenant(
    "logs.delete_of_transition", "DELETE FROM log WHERE organization_id = $1 AND transition_id = $2"
)

DELETE_LOGS_OF_WORKFLOW = tenant(
    "logs.delete_of_workflow", "DELETE FROM log WHERE organization_id = $1 AND workflow_id = $2"
)

DELETE_LOGS_OF_WORKFLOW_EXECUTION = tenant(
    "logs.delete_of_workflow_execution",
    "DELETE FROM log WHERE organization_id = $1 AND workflow_execution_id = $2",
)

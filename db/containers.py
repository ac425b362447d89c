"""Containers of steps: their credentials, how far their output is in the log, and which were abandoned.

The subject of a container is the execution of a transition, or that of a workflow for its completed task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import (
    JobId,
    LogId,
    OrganizationId,
    PrincipalId,
    SubjectId,
    TransitionExecutionId,
    WorkflowExecutionId,
    WorkflowId,
)

CONTAINER_KINDS = "('container', 'completed-task')"


class ContainerCredentialRow(Row):
    """The hash of a container's secret, and the subject that it acts as."""

    organization_id: OrganizationId
    subject_id: SubjectId
    secret_hash: str


class CompletedTaskRow(Row):
    """An execution of a workflow that has ended, and the container that runs then.

    ``seconds`` is the time since its job was claimed first.
    """

    id: WorkflowExecutionId
    workflow_id: WorkflowId
    log_id: LogId | None
    completed_config: dict[str, Any] | None
    seconds: float | None


@tenant("""
    INSERT INTO container_credential (organization_id, id, subject_id, secret_hash, permissions)
    VALUES (:organization_id, :client_id, :subject_id, :secret_hash, :permissions)
""")
async def insert_container_credential(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    client_id: str,
    subject_id: SubjectId,
    secret_hash: str,
    permissions: Sequence[Mapping[str, str]],
) -> None:
    """Add credentials of a container."""


@crossing(
    "the organization of a caller is not known before its credentials are checked",
    f"SELECT {columns(ContainerCredentialRow)} FROM container_credential WHERE id = :client_id",
)
async def find_container_credential(
    connection: Connection, *, client_id: str
) -> ContainerCredentialRow | None:
    """Return the credentials of this client id."""


@tenant("""
    DELETE FROM container_credential WHERE organization_id = :organization_id AND subject_id = :subject_id
""")
async def delete_container_credentials(
    connection: Connection, *, organization_id: OrganizationId, subject_id: SubjectId
) -> RowCount:
    """Delete the credentials of a subject's container."""


@tenant("SELECT output_lines FROM log WHERE organization_id = :organization_id AND id = :log_id")
async def find_output_lines(
    connection: Connection, *, organization_id: OrganizationId, log_id: LogId
) -> int | None:
    """Return how many lines of a container's output have been taken."""


# Whoever writes says how far the output was: of two that follow the same container only one writes.
@tenant("""
    WITH moved AS (
        UPDATE log SET output_lines = :to_line
        WHERE organization_id = :organization_id AND id = :log_id AND output_lines = :from_line
        RETURNING id
    ), written AS (
        INSERT INTO log_event (organization_id, log_id, time, message)
        SELECT :organization_id, moved.id, clock_timestamp(), line.message
        FROM moved CROSS JOIN unnest(:messages::text[]) WITH ORDINALITY AS line (message, number)
        ORDER BY line.number
    )
    SELECT id FROM moved
""")
async def append_output(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    log_id: LogId,
    from_line: int,
    to_line: int,
    messages: Sequence[str],
) -> LogId | None:
    """Add lines of a container to a log, unless its output is not at ``from_line`` any more."""


COMPLETED_TASK = columns(
    CompletedTaskRow,
    "execution",
    log_id="execution.completed_task_log_id",
    completed_config="workflow.completed_config",
    seconds="""(
        SELECT extract(epoch FROM now() - started_time)::double precision FROM job
        WHERE organization_id = :organization_id AND id = :job_id
    )""",
)


@tenant(f"""
    SELECT {COMPLETED_TASK}
    FROM workflow_execution AS execution JOIN workflow ON workflow.id = execution.workflow_id
    WHERE execution.organization_id = :organization_id AND execution.id = :execution_id
""")
async def find_completed_task(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    execution_id: WorkflowExecutionId,
    job_id: JobId,
) -> CompletedTaskRow | None:
    """Return an execution with the completed task of its workflow."""


@tenant("""
    SELECT completed_by FROM transition_execution
    WHERE organization_id = :organization_id AND id = :execution_id AND status <> 'running'
""")
async def find_reporter(
    connection: Connection, *, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> PrincipalId | None:
    """Return the principal that has reported the result of an execution, if one has."""


@tenant("""
    UPDATE workflow_execution SET completed_task_log_id = :log_id
    WHERE organization_id = :organization_id AND id = :execution_id
""")
async def set_completed_task_log(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    execution_id: WorkflowExecutionId,
    log_id: LogId,
) -> None:
    """Set the log of an execution's completed task."""


@crossing(
    "the sweep of containers looks at those of all organizations of this database",
    f"""
    SELECT one.subject_id
    FROM unnest(:organization_ids::text[], :subject_ids::text[]) AS one (organization_id, subject_id)
    WHERE EXISTS (SELECT FROM organization WHERE organization.id = one.organization_id)
        AND NOT EXISTS (
            SELECT FROM job
            WHERE job.organization_id = one.organization_id AND job.subject_id = one.subject_id
                AND job.kind IN {CONTAINER_KINDS} AND job.state IN ('queued', 'running')
        )
    """,
)
async def list_abandoned_subjects(
    connection: Connection, *, organization_ids: Sequence[OrganizationId], subject_ids: Sequence[SubjectId]
) -> list[Annotated[SubjectId, NeverNull("of the rows that are asked for")]]:
    """Return the subjects of containers for which no job is open; those of other databases are left out."""


@crossing(
    "the sweep of containers ends the credentials of all that nobody follows any more",
    f"""
    DELETE FROM container_credential AS credential
    WHERE NOT EXISTS (
        SELECT FROM job
        WHERE job.organization_id = credential.organization_id AND job.subject_id = credential.subject_id
            AND job.kind IN {CONTAINER_KINDS} AND job.state IN ('queued', 'running')
    )
    """,
)
async def delete_abandoned_credentials(connection: Connection) -> RowCount:
    """Delete the credentials of containers of which no job is open."""

"""Erasure of values: what holds those of documents and predictions that are gone, and is emptied.

``erased_resource`` names what is gone. An execution holds its values when its data, or those of a step, name
one of them.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated

from db.jobs import NEW_JOB_ID, queueing
from db.mail import KIND as MAIL
from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing, tenant
from pagemill.ids import (
    ConsentId,
    DocumentId,
    OrganizationId,
    PredictionId,
    TransitionExecutionId,
    WorkflowExecutionId,
    WorkflowId,
)

KIND = "erasure"
PRIORITY = 20
"""The one of housekeeping, which nobody waits for."""
MAXIMUM_ATTEMPTS = 20
_NO_OPEN_JOB = """NOT EXISTS (
            SELECT FROM job
            WHERE job.organization_id = :organization_id AND job.subject_id = {execution}.id
                AND job.state IN ('queued', 'running')
        )"""
"""A condition: no job works for the execution, as the task does that runs when it has ended."""
NAMED_ID = "(las:(document|prediction):[0-9a-f]{32})"
"""A regular expression; its first group is the id."""


class ErasedDocumentRow(Row):
    """A document that is gone."""

    id: DocumentId
    objects_erased: bool


class NamingExecutionRow(Row):
    """An execution of a workflow, the resources it names that are gone, and whether it has ended."""

    workflow_id: WorkflowId
    start_time: datetime.datetime
    id: WorkflowExecutionId
    named: Annotated[list[str], NeverNull("coalesce")]
    has_ended: Annotated[bool, NeverNull("of a column that is not null")]
    """Also, no job works for it."""


class NamingStepRow(Row):
    """An execution of a transition on its own; otherwise the same."""

    id: TransitionExecutionId
    named: Annotated[list[str], NeverNull("coalesce")]
    has_ended: Annotated[bool, NeverNull("of a column that is not null")]


# Predictions that are pending are left: their jobs have to be cancelled first, which the erasure does.
@tenant(
    queueing(
        f"'{KIND}'",
        f"""
        SELECT :organization_id::text, {NEW_JOB_ID}, '{KIND}', :organization_id::text, '{{}}'::jsonb,
            {PRIORITY}, {MAXIMUM_ATTEMPTS}
        WHERE (SELECT count(*) FROM recorded) > 0 AND NOT EXISTS (
            SELECT FROM job AS open
            WHERE open.kind = '{KIND}' AND open.organization_id = :organization_id AND open.state = 'queued'
        )
        """,
        parts="""
        gone AS (
            DELETE FROM prediction
            WHERE organization_id = :organization_id AND document_id = ANY(:document_ids::text[])
                AND status <> 'pending'
            RETURNING id, created_time
        ), recorded AS (
            INSERT INTO erased_resource (organization_id, id, consent_id, existed_from)
            SELECT :organization_id, document.id, document.consent_id, document.created_time
            FROM unnest(:document_ids::text[], :consent_ids::text[], :created_times::timestamptz[])
                AS document (id, consent_id, created_time)
            UNION ALL
            SELECT :organization_id, gone.id, NULL, gone.created_time FROM gone
            ON CONFLICT (organization_id, id) DO NOTHING
            RETURNING id
        ),
        """,
    )
)
async def begin_erasure(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    document_ids: Sequence[DocumentId],
    consent_ids: Sequence[ConsentId | None],
    created_times: Sequence[datetime.datetime],
) -> Annotated[int, NeverNull("count(*)")]:
    """Record that documents are gone, delete the predictions of them that have ended, and queue the rest."""


@tenant("""
    WITH gone AS (
        DELETE FROM prediction
        WHERE organization_id = :organization_id AND document_id = ANY(:document_ids::text[])
        RETURNING id, created_time
    )
    INSERT INTO erased_resource (organization_id, id, existed_from)
    SELECT :organization_id, id, created_time FROM gone
    ON CONFLICT (organization_id, id) DO NOTHING
""")
async def erase_predictions(
    connection: Connection, *, organization_id: OrganizationId, document_ids: Sequence[DocumentId]
) -> RowCount:
    """Delete all predictions of documents that are gone, and record them as gone, too."""


@tenant("""
    SELECT id FROM prediction
    WHERE organization_id = :organization_id AND document_id = ANY(:document_ids::text[])
        AND status = 'pending'
    ORDER BY id
""")
async def list_pending_predictions(
    connection: Connection, *, organization_id: OrganizationId, document_ids: Sequence[DocumentId]
) -> list[PredictionId]:
    """Return the predictions of some documents that have not ended."""


@tenant("""
    UPDATE job SET error_message = NULL
    WHERE organization_id = :organization_id AND error_message IS NOT NULL
        AND state NOT IN ('queued', 'running')
        AND subject_id IN (SELECT id FROM erased_resource WHERE organization_id = :organization_id)
""")
async def clear_errors(connection: Connection, *, organization_id: OrganizationId) -> RowCount:
    """Remove the messages of errors of jobs that worked for what is gone: they can quote it."""


@tenant(f"""
    SELECT {columns(ErasedDocumentRow)} FROM erased_resource
    WHERE organization_id = :organization_id AND id > :after_id AND id NOT LIKE 'las:prediction:%'
    ORDER BY id LIMIT :limit
""")
async def list_erased_documents(
    connection: Connection, *, organization_id: OrganizationId, after_id: str, limit: int
) -> list[ErasedDocumentRow]:
    """Return a page of the documents that are gone."""


@tenant("""
    UPDATE erased_resource SET objects_erased = true
    WHERE organization_id = :organization_id AND id = ANY(:document_ids::text[])
""")
async def record_erased_objects(
    connection: Connection, *, organization_id: OrganizationId, document_ids: Sequence[DocumentId]
) -> RowCount:
    """Record that nothing of some documents is in object storage any more."""


@tenant("""
    SELECT count(*) FROM erased_resource WHERE organization_id = :organization_id AND consent_id = :consent_id
""")
async def count_erased(
    connection: Connection, *, organization_id: OrganizationId, consent_id: ConsentId
) -> Annotated[int, NeverNull("count(*)")]:
    """Count the documents under a consent that are gone and whose values are still looked for."""


def _named(texts: str) -> str:
    """Return an expression for the resources that are gone and that ``texts``, a list of texts, name."""
    return f"""coalesce((
        SELECT array_agg(DISTINCT erased.id)
        FROM regexp_matches(concat_ws(' ', {texts}), '{NAMED_ID}', 'g') AS found (id)
        JOIN erased_resource AS erased
            ON erased.organization_id = :organization_id AND erased.id = found.id[1]
    ), '{{}}')"""


# One page after another, so that no statement takes long. What had ended before the first of the documents
# existed cannot name them: its data are not even read.
@tenant(f"""
    WITH since AS MATERIALIZED (
        SELECT min(coalesce(existed_from, '-infinity')) AS time
        FROM erased_resource WHERE organization_id = :organization_id
    ), page AS MATERIALIZED (
        SELECT workflow_id, start_time, id, status IN ('running', 'retry') AS is_open,
            input, output, machine, events, coalesce(end_time, 'infinity') AS end_time
        FROM workflow_execution
        WHERE organization_id = :organization_id
            AND (workflow_id, start_time, id) > (
                :after_workflow_id::text, coalesce(:after_time::timestamptz, '-infinity'), :after_id::text
            )
        ORDER BY workflow_id, start_time, id LIMIT :limit
    )
    SELECT workflow_id, start_time, id,
        CASE WHEN page.end_time < (SELECT time FROM since) THEN '{{}}' ELSE {
    _named('''
            page.input::text, page.output::text, page.machine::text, page.events::text, (
                SELECT string_agg(concat_ws(' ', step.input::text, step.output::text, step.error::text), ' ')
                FROM transition_execution AS step
                WHERE step.organization_id = :organization_id AND step.workflow_execution_id = page.id
            )
    ''')
} END AS named,
        NOT page.is_open AND {_NO_OPEN_JOB.format(execution="page")} AS has_ended
    FROM page ORDER BY workflow_id, start_time, id
""")
async def list_naming_executions(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_workflow_id: str,
    after_time: datetime.datetime | None,
    after_id: str,
    limit: int,
) -> list[NamingExecutionRow]:
    """Return a page of an organization's executions of workflows, with what is gone that each names."""


@tenant(f"""
    SELECT id, {_named("step.input::text, step.output::text, step.error::text")} AS named,
        status <> 'running' AS has_ended
    FROM transition_execution AS step
    WHERE organization_id = :organization_id AND workflow_execution_id IS NULL AND id > :after_id
    ORDER BY id LIMIT :limit
""")
async def list_naming_steps(
    connection: Connection, *, organization_id: OrganizationId, after_id: str, limit: int
) -> list[NamingStepRow]:
    """Return a page of the executions of transitions that belong to no workflow, otherwise the same."""


# An execution that has been opened again meanwhile is left: it is emptied when it ends.
@tenant(f"""
    WITH execution AS (
        UPDATE workflow_execution SET
            input = '{{}}', output = CASE WHEN output IS NULL THEN NULL ELSE '{{}}'::jsonb END,
            machine = NULL, events = '[]'
        WHERE organization_id = :organization_id AND id = ANY(:execution_ids::text[])
            AND status NOT IN ('running', 'retry') AND {_NO_OPEN_JOB.format(execution="workflow_execution")}
        RETURNING id
    ), step AS (
        UPDATE transition_execution SET
            input = '{{}}', output = CASE WHEN output IS NULL THEN NULL ELSE '{{}}'::jsonb END, error = NULL
        WHERE organization_id = :organization_id
            AND workflow_execution_id IN (SELECT id FROM execution)
        RETURNING id
    ), lines AS (
        DELETE FROM log_event USING log
        WHERE log.organization_id = :organization_id AND log_event.organization_id = :organization_id
            AND log.workflow_execution_id IN (SELECT id FROM execution) AND log_event.log_id = log.id
    ), jobs AS (
        UPDATE job SET payload = '{{}}', error_message = NULL
        WHERE organization_id = :organization_id AND state NOT IN ('queued', 'running')
            AND subject_id IN (SELECT id FROM execution UNION ALL SELECT id FROM step)
    ), mail AS (
        UPDATE job SET payload = payload || '{{"error": "", "cause": "The document is gone"}}'
        WHERE organization_id = :organization_id AND kind = '{MAIL}'
            AND payload ->> 'executionId' IN (SELECT id FROM execution)
    )
    SELECT count(*) FROM execution
""")
async def empty_executions(
    connection: Connection, *, organization_id: OrganizationId, execution_ids: Sequence[WorkflowExecutionId]
) -> Annotated[int, NeverNull("count(*)")]:
    """Empty executions of workflows that have ended, with their steps, logs and mail; return how many."""


@tenant("""
    WITH step AS (
        UPDATE transition_execution SET
            input = '{}', output = CASE WHEN output IS NULL THEN NULL ELSE '{}'::jsonb END, error = NULL
        WHERE organization_id = :organization_id AND id = ANY(:alone_ids::text[])
            AND workflow_execution_id IS NULL AND status <> 'running'
        RETURNING id
    ), lines AS (
        DELETE FROM log_event USING log
        WHERE log.organization_id = :organization_id AND log_event.organization_id = :organization_id
            AND log.transition_execution_id IN (SELECT id FROM step) AND log_event.log_id = log.id
    ), jobs AS (
        UPDATE job SET payload = '{}', error_message = NULL
        WHERE organization_id = :organization_id AND state NOT IN ('queued', 'running')
            AND subject_id IN (SELECT id FROM step)
    )
    SELECT count(*) FROM step
""")
async def empty_steps(
    connection: Connection, *, organization_id: OrganizationId, alone_ids: Sequence[TransitionExecutionId]
) -> Annotated[int, NeverNull("count(*)")]:
    """Empty executions of transitions that have ended, with their logs; return how many."""


@tenant("""
    SELECT EXISTS (
        SELECT FROM erased_resource
        WHERE organization_id = :organization_id AND id = ANY(:named::text[]) AND erased_time < :before
    )
""")
async def is_gone_since(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    named: Sequence[str],
    before: datetime.datetime,
) -> Annotated[bool, NeverNull("EXISTS")]:
    """Return whether one of some resources was gone before a time."""


@tenant("""
    UPDATE idempotency_key SET body = NULL, status_code = 404, named = '[]'
    WHERE organization_id = :organization_id AND named <> '[]' AND EXISTS (
        SELECT FROM jsonb_array_elements_text(named) AS one (id)
        JOIN erased_resource AS erased
            ON erased.organization_id = :organization_id AND erased.id = one.id
    )
""")
async def empty_answers(connection: Connection, *, organization_id: OrganizationId) -> RowCount:
    """Empty the kept answers to requests with an idempotency key that name what is gone."""


@tenant("""
    DELETE FROM erased_resource
    WHERE organization_id = :organization_id AND erased_time < :before
        AND (objects_erased OR id LIKE 'las:prediction:%') AND id <> ALL(:still_named::text[])
""")
async def end_erasures(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    before: datetime.datetime,
    still_named: Sequence[str],
) -> RowCount:
    """Forget what was gone before a time and is named nowhere any more."""


@crossing(
    "the schedule is the platform's, for all organizations",
    """
    SELECT id FROM organization
    WHERE id > :after AND EXISTS (SELECT FROM erased_resource WHERE organization_id = organization.id)
    ORDER BY id LIMIT :limit
    """,
)
async def list_organizations_with_erasures(
    connection: Connection, *, after: str, limit: int
) -> list[OrganizationId]:
    """Return organizations whose erasures have not come to their end, in the order of their ids."""

"""Transitions, which the steps of workflows run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UnsetType

from db.keyset import within_bytes
from db.statements import Connection, NeverNull, Row, RowCount, columns, tenant
from pagemill.ids import OrganizationId, PrincipalId, TransitionId, WorkflowId

TransitionType: TypeAlias = Literal["docker", "manual", "lambda"]


class TransitionRow(Row):
    """A transition; the members of ``parameters`` depend on its type."""

    id: TransitionId
    name: str | None
    description: str | None
    transition_type: TransitionType
    parameters: dict[str, Any]
    timeout_in_seconds: int
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class ListedTransitionRow(TransitionRow):
    """A transition in a page that may have fewer rows than the limit."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class TransitionToExecuteRow(Row):
    """The members of a transition that its executions depend on.

    ``missing_parameter`` names the parameter without which it cannot be executed, while that is not set.
    """

    id: TransitionId
    transition_type: TransitionType
    timeout_in_seconds: int
    missing_parameter: str | None


TO_EXECUTE = columns(
    TransitionToExecuteRow,
    missing_parameter="""CASE
        WHEN transition_type = 'docker' AND NOT parameters ? 'imageUrl' THEN 'imageUrl'
        WHEN transition_type = 'lambda' AND NOT parameters ? 'lambdaId' THEN 'lambdaId'
    END""",
)


@tenant(f"""
    INSERT INTO transition (
        organization_id, id, name, description, transition_type, parameters, timeout_in_seconds, created_by,
        created_time
    )
    VALUES (
        :organization_id, :transition_id, :name, :description, :transition_type, :parameters,
        :timeout_in_seconds, :created_by, now()
    )
    RETURNING {columns(TransitionRow)}
""")
async def insert_transition(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    name: str | None,
    description: str | None,
    transition_type: TransitionType,
    parameters: Mapping[str, Any],
    timeout_in_seconds: int,
    created_by: PrincipalId,
) -> TransitionRow:
    """Add a transition."""


@tenant(f"""
    SELECT {columns(TransitionRow)} FROM transition
    WHERE organization_id = :organization_id AND id = :transition_id
""")
async def get_transition(
    connection: Connection, *, organization_id: OrganizationId, transition_id: TransitionId
) -> TransitionRow | None:
    """Return a transition."""


@tenant(
    within_bytes(
        f"""
        SELECT {columns(TransitionRow)} FROM transition
        WHERE organization_id = :organization_id
            AND (:transition_types::text[] IS NULL OR transition_type = ANY(:transition_types))
            AND (created_time, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
        ORDER BY created_time, id LIMIT :limit
        """,
        "parameters",
        order="created_time, id",
        columns=columns(TransitionRow),
    )
)
async def list_transitions(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_types: Sequence[TransitionType] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedTransitionRow]:
    """Return a page of transitions, oldest first."""


@tenant(f"""
    SELECT {columns(TransitionRow)} FROM transition
    WHERE organization_id = :organization_id AND id = :transition_id FOR UPDATE
""")
async def lock_transition(
    connection: Connection, *, organization_id: OrganizationId, transition_id: TransitionId
) -> TransitionRow | None:
    """Return a transition and lock it until the transaction ends."""


@tenant(f"""
    UPDATE transition SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        parameters = :parameters,
        updated_time = now(), updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :transition_id
    RETURNING {columns(TransitionRow)}
""")
async def update_transition(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    parameters: Mapping[str, Any],
    updated_by: PrincipalId,
) -> TransitionRow:
    """Change what is sent of a transition whose row is locked, and replace its parameters."""


@tenant("""
    SELECT id FROM workflow
    WHERE organization_id = :organization_id
        AND jsonb_path_exists(
            definition, '$.**.States.*.Resource ? (@ == $resource)',
            jsonb_build_object('resource', :transition_id::text)
        )
    ORDER BY created_time, id LIMIT 1
""")
async def find_workflow_with_transition(
    connection: Connection, *, organization_id: OrganizationId, transition_id: TransitionId
) -> WorkflowId | None:
    """Return the oldest workflow that runs the transition, in whichever of its branches."""


@tenant("""
    WITH steps AS (
        DELETE FROM transition_execution
        WHERE organization_id = :organization_id AND transition_id = :transition_id
    )
    DELETE FROM transition WHERE organization_id = :organization_id AND id = :transition_id
""")
async def delete_transition(
    connection: Connection, *, organization_id: OrganizationId, transition_id: TransitionId
) -> RowCount:
    """Delete a transition with its executions."""


@tenant("""
    SELECT id FROM transition
    WHERE organization_id = :organization_id AND id = ANY(:transition_ids::text[])
    ORDER BY id FOR KEY SHARE
""")
async def keep_transitions(
    connection: Connection, *, organization_id: OrganizationId, transition_ids: Sequence[TransitionId]
) -> list[TransitionId]:
    """Return which of the transitions exist, and keep them from being deleted until the transaction ends."""


@tenant(f"""
    SELECT {TO_EXECUTE} FROM transition
    WHERE organization_id = :organization_id AND id = :transition_id FOR KEY SHARE
""")
async def keep_transition(
    connection: Connection, *, organization_id: OrganizationId, transition_id: TransitionId
) -> TransitionToExecuteRow | None:
    """Return a transition to execute, and keep it from being deleted until the transaction ends."""

"""Executions of transitions: steps of workflows, and executions that were started alone.

An execution of a manual transition waits until it is claimed: see ``db/claims.py``. ``heartbeat_time`` is
null where no heartbeats are expected. A step whose state has HeartbeatSeconds ends when none came for so
long.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from db.keyset import IN_UNION, SORT_COLUMNS, Order, SortBy, nullable_page
from db.statements import Connection, NeverNull, Row, Statement, columns, crossing, tenant
from pagemill.ids import (
    LogId,
    OrganizationId,
    PrincipalId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
)

TransitionExecutionStatus: TypeAlias = Literal["running", "succeeded", "failed", "rejected", "retry"]


class TransitionExecutionRow(Row):
    """An execution of a transition; it has no start time until it is claimed or due."""

    id: Annotated[TransitionExecutionId, IN_UNION]
    transition_id: Annotated[TransitionId, IN_UNION]
    input: Annotated[dict[str, Any], IN_UNION]
    output: dict[str, Any] | None
    status: Annotated[TransitionExecutionStatus, IN_UNION]
    completed_by: PrincipalId | None
    log_id: LogId | None
    start_time: datetime.datetime | None
    end_time: datetime.datetime | None


class ListedTransitionExecutionRow(TransitionExecutionRow):
    """An execution of a transition in a page that may have fewer rows than the limit."""

    rows_in_page: Annotated[int, NeverNull("count(*)")]


class LockedTransitionExecutionRow(Row):
    """An execution of a transition whose row is locked; ``state`` is its state when it is a step.

    ``key`` is what the machine of the workflow's execution calls it; null for steps of an earlier release.
    ``former_holders`` had claims that have ended.
    """

    organization_id: OrganizationId
    id: TransitionExecutionId
    workflow_execution_id: WorkflowExecutionId | None
    state: str | None
    key: str | None
    attempt: int
    input: dict[str, Any]
    output: dict[str, Any] | None
    status: TransitionExecutionStatus
    claimed_by: PrincipalId | None
    claimed_time: datetime.datetime | None
    heartbeat_time: datetime.datetime | None
    running_since: datetime.datetime | None
    expires: datetime.datetime | None
    log_id: LogId | None
    now: Annotated[datetime.datetime, NeverNull("now()")]
    timed_out: Annotated[bool, NeverNull("coalesce")]
    heartbeat_missed: Annotated[bool, NeverNull("coalesce")]
    claim_lapsed: Annotated[bool, NeverNull("coalesce")]
    """Its claim had lapsed before it would have timed out: it waits again."""
    former_holders: Annotated[list[PrincipalId], NeverNull("an array of an array")]


class StepOfRow(Row):
    """The execution of a workflow that an execution of a transition is a step of, if it is one."""

    workflow_execution_id: WorkflowExecutionId | None


class StepToRunRow(Row):
    """An execution of a transition as its worker needs it; ``parameters`` are the transition's.

    A transition of all organizations has none. ``seconds_left`` is the time until it times out.
    """

    id: TransitionExecutionId
    transition_id: TransitionId
    status: TransitionExecutionStatus
    input: dict[str, Any]
    log_id: LogId | None
    parameters: Annotated[dict[str, Any], NeverNull("coalesce")]
    seconds_left: float | None


LEASE = "interval '60 seconds'"
"""A claim holds for so long after its last heartbeat."""
CLAIM_LAPSED = f"""coalesce(
    claimed_by IS NOT NULL AND heartbeat_time < now() - {LEASE} AND heartbeat_time + {LEASE} <= expires, false
)"""
LOCKED = columns(
    LockedTransitionExecutionRow,
    now="now()",
    timed_out="coalesce(expires < now(), false)",
    heartbeat_missed="coalesce(heartbeat_time + make_interval(secs => heartbeat_seconds) <= now(), false)",
    claim_lapsed=CLAIM_LAPSED,
    former_holders="jsonb_path_query_array(former_claims, '$[*].claimedBy')",
)
TO_RUN = columns(
    StepToRunRow,
    "execution",
    parameters="coalesce(transition.parameters, '{}')",
    seconds_left="extract(epoch FROM execution.expires - now())::double precision",
)


@tenant(f"""
    SELECT {columns(TransitionExecutionRow)} FROM transition_execution
    WHERE organization_id = :organization_id AND transition_id = :transition_id AND id = :execution_id
""")
async def get_transition_execution(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    execution_id: TransitionExecutionId,
) -> TransitionExecutionRow | None:
    """Return an execution of a transition."""


def _list_by(sort_by: SortBy, order: Order) -> Statement[..., list[ListedTransitionExecutionRow]]:
    async def list_by(
        connection: Connection,
        *,
        organization_id: OrganizationId,
        transition_id: TransitionId,
        statuses: Sequence[TransitionExecutionStatus] | None,
        execution_ids: Sequence[TransitionExecutionId] | None,
        after_time: datetime.datetime | None,
        after_id: str | None,
        limit: int,
    ) -> list[ListedTransitionExecutionRow]: ...

    list_by.__name__ = f"list_by_{SORT_COLUMNS[sort_by]}_{order}"
    filters = """
        organization_id = :organization_id AND transition_id = :transition_id
        AND (:statuses::text[] IS NULL OR status = ANY(:statuses))
        AND (:execution_ids::text[] IS NULL OR id = ANY(:execution_ids))
    """
    page = nullable_page(
        TransitionExecutionRow,
        "transition_execution",
        filters,
        column=SORT_COLUMNS[sort_by],
        order=order,
        large=("input", "output"),
    )
    return tenant(page)(list_by)


LISTS: dict[tuple[SortBy, Order], Statement[..., list[ListedTransitionExecutionRow]]] = {
    ("startTime", "ascending"): _list_by("startTime", "ascending"),
    ("startTime", "descending"): _list_by("startTime", "descending"),
    ("endTime", "ascending"): _list_by("endTime", "ascending"),
    ("endTime", "descending"): _list_by("endTime", "descending"),
}
"""The statements behind ``list_transition_executions``."""


async def list_transition_executions(
    connection: Connection,
    *,
    sort_by: SortBy,
    order: Order,
    organization_id: OrganizationId,
    transition_id: TransitionId,
    statuses: Sequence[TransitionExecutionStatus] | None,
    execution_ids: Sequence[TransitionExecutionId] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[ListedTransitionExecutionRow]:
    """Return a page of the executions of a transition that meet all filters."""
    return await LISTS[sort_by, order](
        connection,
        organization_id=organization_id,
        transition_id=transition_id,
        statuses=statuses,
        execution_ids=execution_ids,
        after_time=after_time,
        after_id=after_id,
        limit=limit,
    )


@tenant(f"""
    SELECT {columns(StepOfRow)} FROM transition_execution
    WHERE organization_id = :organization_id AND id = :execution_id
        AND transition_id = coalesce(:transition_id, transition_id)
""")
async def find_workflow_execution_of_step(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    transition_id: TransitionId | None,
    execution_id: TransitionExecutionId,
) -> StepOfRow | None:
    """Return the execution of a workflow that has to be locked before this step of it."""


@tenant(f"""
    SELECT {TO_RUN} FROM transition_execution AS execution
    LEFT JOIN transition
        ON transition.organization_id = :organization_id AND transition.id = execution.transition_id
    WHERE execution.organization_id = :organization_id AND execution.id = :execution_id
""")
async def find_step_to_run(
    connection: Connection, *, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> StepToRunRow | None:
    """Return an execution with the parameters of its transition."""


# OFFSET 0: see db/jobs.py.
@crossing(
    "steps of all organizations that were claimed at the same time are looked up together",
    f"""
    SELECT {TO_RUN}
    FROM unnest(:organization_ids::text[], :execution_ids::text[]) AS asked (organization_id, id)
    CROSS JOIN LATERAL (
        SELECT * FROM transition_execution
        WHERE id = asked.id AND organization_id = asked.organization_id OFFSET 0
    ) AS execution
    LEFT JOIN transition
        ON transition.organization_id = execution.organization_id AND transition.id = execution.transition_id
    """,
)
async def find_steps_to_run(
    connection: Connection,
    *,
    organization_ids: Sequence[OrganizationId],
    execution_ids: Sequence[TransitionExecutionId],
) -> list[StepToRunRow]:
    """Return executions with the parameters of their transitions, in any order."""


@tenant(f"""
    SELECT {LOCKED} FROM transition_execution
    WHERE organization_id = :organization_id AND id = :execution_id
    FOR UPDATE
""")
async def lock_transition_execution(
    connection: Connection, *, organization_id: OrganizationId, execution_id: TransitionExecutionId
) -> LockedTransitionExecutionRow | None:
    """Return an execution and lock it until the transaction ends."""


@tenant(f"""
    SELECT {LOCKED} FROM transition_execution
    WHERE organization_id = :organization_id AND workflow_execution_id = :workflow_execution_id
    ORDER BY created_time DESC, id DESC LIMIT 1
    FOR UPDATE
""")
async def lock_newest_step(
    connection: Connection, *, organization_id: OrganizationId, workflow_execution_id: WorkflowExecutionId
) -> LockedTransitionExecutionRow | None:
    """Return the newest step of a workflow's execution and lock it until the transaction ends."""


@tenant(f"""
    SELECT {LOCKED} FROM transition_execution
    WHERE organization_id = :organization_id AND workflow_execution_id = :workflow_execution_id
        AND status = 'running' AND (:key::text IS NULL OR key = :key)
    ORDER BY id FOR UPDATE
""")
async def lock_running_steps(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_execution_id: WorkflowExecutionId,
    key: str | None,
) -> list[LockedTransitionExecutionRow]:
    """Return the running steps of a workflow's execution, or the one of a key; lock them."""


@tenant("""
    SELECT id FROM transition_execution
    WHERE organization_id = :organization_id AND transition_id = :transition_id AND status = 'running'
    ORDER BY id FOR UPDATE
""")
async def lock_running_executions(
    connection: Connection, *, organization_id: OrganizationId, transition_id: TransitionId
) -> list[TransitionExecutionId]:
    """Return the running executions of a transition, waiting ones among them; lock them."""


@tenant("""
    UPDATE transition_execution SET start_time = :start_time
    WHERE organization_id = :organization_id AND id = :execution_id
""")
async def set_start_time(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    execution_id: TransitionExecutionId,
    start_time: datetime.datetime,
) -> None:
    """Set the start time that a client reports."""

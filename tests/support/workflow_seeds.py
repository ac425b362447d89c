"""Transitions and workflows with ids of other resources."""

from __future__ import annotations

from typing import Any

import asyncpg

from pagemill.ids import TransitionId, WorkflowId, new_id


async def seed_transition(
    pool: asyncpg.Pool, organization_id: str, parameters: dict[str, Any], transition_type: str = "docker"
) -> str:
    """A transition with these parameters."""
    transition_id = new_id(TransitionId)
    await pool.execute(
        """
        INSERT INTO transition (organization_id, id, transition_type, parameters, timeout_in_seconds)
        VALUES ($1, $2, $3, $4, 60)
        """,
        organization_id,
        transition_id,
        transition_type,
        parameters,
    )
    return transition_id


async def seed_workflow(
    pool: asyncpg.Pool,
    organization_id: str,
    *,
    completed: dict[str, Any] | None = None,
    email: dict[str, Any] | None = None,
) -> str:
    """A workflow with these configurations."""
    workflow_id = new_id(WorkflowId)
    await pool.execute(
        """
        INSERT INTO workflow (organization_id, id, definition, completed_config, email_config)
        VALUES ($1, $2, '{}', $3, $4)
        """,
        organization_id,
        workflow_id,
        completed,
        email,
    )
    return workflow_id

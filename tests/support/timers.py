"""Timers of workflows in tests: time passes when a test says so."""

from __future__ import annotations

from typing import Any

import asyncpg

from pagemill.jobs import leases, outcomes
from pagemill.work.workflow_timers import WORKFLOW_TIMER, WorkflowTimerRunner

SHIFTED = {
    "transition_execution": (
        *("created_time", "start_time", "running_since", "claimed_time", "heartbeat_time", "expires"),
    ),
    "workflow_execution": ("start_time",),
    "job": ("run_after",),
}


async def let_pass(pool: asyncpg.Pool, seconds: float) -> int:
    """Let time pass for all executions, and fire the timers that are due then; return how many."""
    await shift_time(pool, seconds)
    return await fire_due(pool)


async def shift_time(pool: asyncpg.Pool, seconds: float) -> None:
    """Let time pass for all executions."""
    for table, columns in SHIFTED.items():
        shifted = ", ".join(f"{column} = {column} - make_interval(secs => $1)" for column in columns)
        await pool.execute(f"UPDATE {table} SET {shifted}", seconds)


async def fire_due(pool: asyncpg.Pool) -> int:
    """Fire the timers that are due, and those that become due by that; return how many."""
    runner, fired = WorkflowTimerRunner(pool), 0
    async with pool.acquire() as connection:
        while jobs := await leases.claim(connection, WORKFLOW_TIMER, owner="test", lease=60.0, limit=50):
            for job in jobs:
                await runner(job)
                assert await outcomes.finish(connection, WORKFLOW_TIMER, job, None)
            fired += len(jobs)
    return fired


async def queued(pool: asyncpg.Pool, kind: str = "workflow-timer") -> list[dict[str, Any]]:
    """The queued jobs of a kind, those that become due first first."""
    rows = await pool.fetch(
        "SELECT * FROM job WHERE kind = $1 AND state = 'queued' ORDER BY run_after, id", kind
    )
    return [dict(row) for row in rows]

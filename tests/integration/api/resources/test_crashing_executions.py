"""Executions whose processes die between any two statements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from db.pool import acquire
from db.statements import Statement
from pagemill.workflows.timers import fire_timer
from tests.support.flows import (
    again,
    create_transition,
    create_workflow,
    ok,
    parallel,
    start,
    steps_of,
    succeed,
    task,
    wait,
)
from tests.support.seeds import used
from tests.support.tenants import Tenant
from tests.support.timers import queued, shift_time


class Crash:
    """A process that dies before one of its next statements; what it has not committed is rolled back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        run = Statement._run

        async def count(statement: Statement[..., Any], connection: Any, arguments: dict[str, Any]) -> Any:
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise asyncpg.ConnectionDoesNotExistError("crashed")
            return await run(statement, connection, arguments)

        monkeypatch.setattr(Statement, "_run", count)

    async def between_any_two(self, pool: asyncpg.Pool, act: Callable[[], Awaitable[Any]]) -> int:
        """Act again and again, dying one statement later each time; return after how many it survived.

        Whatever it dies before, nothing of what it did is left.
        """
        before = await kept(pool)
        for number in range(1000):
            self.left = number
            try:
                await act()
            except (asyncpg.ConnectionDoesNotExistError, AssertionError):
                if self.left >= 0:
                    raise
            survived, self.left = self.left >= 0, None
            if survived:
                return number
            assert await kept(pool) == before
        raise AssertionError


async def kept(pool: asyncpg.Pool) -> dict[str, Any]:
    """All that executions leave in the database."""
    found = {}
    for table in ("workflow_execution", "transition_execution", "log", "log_event", "usage_counter", "job"):
        rows = await pool.fetch(f"SELECT * FROM {table} ORDER BY 1")
        found[table] = [dict(row) for row in rows]
    return found


async def test_a_crash_between_any_two_statements_leaves_nothing_half_done(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await create_transition(api, "lambda", timeoutInSeconds=90), await create_transition(api, "docker")
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 30, "MaxAttempts": 1}]
    states = {
        "P": parallel({"A": task(a, "W", Retry=retry), "W": wait(60)}, {"B": task(b)}, Next="C"),
        "C": task(b, InputPath="$.results[0]"),
    }
    workflow_id = await create_workflow(api, states, status="production")
    crash, numbers = Crash(monkeypatch), []

    async def survive(act: Callable[[], Awaitable[Any]]) -> None:
        numbers.append(await crash.between_any_two(pool, act))

    async def fire(timer: dict[str, Any]) -> None:
        async with acquire(pool) as connection, connection.transaction():
            await fire_timer(connection, organization.organization_id, timer["subject_id"], timer["payload"])
            # Its job is claimed then, and ends.
            await connection.execute("DELETE FROM job WHERE id = $1", timer["id"])

    async def next_timer() -> dict[str, Any]:
        return next(one for one in await queued(pool) if one["subject_id"] != steps[b][0])

    await survive(lambda: start(api, workflow_id, {"n": 1}))
    execution = (await ok(await api.get(f"/v1/workflows/{workflow_id}/executions")))["executions"][0]
    steps = execution["transitionExecutions"]
    for seconds in (91, 30):
        timer = await next_timer()
        await shift_time(pool, seconds)
        await survive(lambda timer=timer: fire(timer))
    retried = (await steps_of(api, execution, a))[-1]
    await survive(lambda: succeed(api, retried, n=2))
    timer = await next_timer()
    await survive(lambda: fire(timer))
    await survive(lambda: succeed(api, {"transitionId": b, "executionId": steps[b][0]}))
    last = (await steps_of(api, execution, b))[-1]
    assert last["input"] == {"n": 2}
    await survive(lambda: succeed(api, last, n=3))
    ended = await again(api, execution)
    assert (ended["status"], ended["output"]) == ("succeeded", {"n": 3})
    assert [len(ids) for ids in ended["transitionExecutions"].values()] == [2, 2]
    assert await used(pool, organization.organization_id, "workflow-executions") == 1
    assert await used(pool, organization.organization_id, "transition-executions") == 4
    assert await queued(pool) == []
    assert min(numbers) > 1
    assert max(numbers) > 5

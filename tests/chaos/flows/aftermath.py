"""What must hold when all executions have ended, read past the API."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import asyncpg

from db.pool import DATABASE_ERRORS
from pagemill.ids import SubjectId
from pagemill.work.container_tasks import container_name
from tests.chaos.flows.definitions import Outcome
from tests.chaos.flows.site import Site

WITNESSES: Final = """
CREATE TABLE chaos_end (id text NOT NULL, status text NOT NULL);
CREATE FUNCTION chaos_note_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_end VALUES (NEW.id, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_ended AFTER UPDATE OF status ON workflow_execution FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION chaos_note_end();
CREATE TRIGGER chaos_ended AFTER UPDATE OF status ON transition_execution FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION chaos_note_end();
"""
"""Postgres itself takes down what a look at the end would not show."""
OPEN: Final = """
SELECT (SELECT count(*) FROM workflow_execution WHERE status IN ('running', 'retry'))
    + (SELECT count(*) FROM job WHERE state IN ('queued', 'running') AND kind = ANY($1))
"""
KINDS: Final = ["function", "container", "completed-task", "workflow-timer"]
MINUTES: Final = """
SELECT coalesce(sum(extract(epoch FROM
    greatest(least(end_time, expires) - coalesce(claimed_time, running_since), interval '0')
)), 0)::float8 / 60
FROM transition_execution WHERE $1::text IS NULL OR claimed_by = $1
"""
LOOK_SECONDS = 0.2
SWEEP_PATIENCE_SECONDS = 90.0


async def all_ended(pool: asyncpg.Pool, *, seconds: float) -> None:
    """Return when no execution runs and no job of one waits."""
    deadline = time.monotonic() + seconds
    left: Any = None
    while left != 0:
        assert time.monotonic() < deadline, f"{left} executions and jobs have not ended"
        try:
            left = await pool.fetchval(OPEN, KINDS)
        except DATABASE_ERRORS:
            left = None
        await asyncio.sleep(LOOK_SECONDS)


async def problems(
    pool: asyncpg.Pool, site: Site, begun: Mapping[str, Outcome], *, validator: str
) -> list[str]:
    """Return what must not have happened; ``begun`` are the executions that were acknowledged."""
    executions = [dict(row) for row in await pool.fetch("SELECT * FROM workflow_execution ORDER BY id")]
    steps = [dict(row) for row in await pool.fetch("SELECT * FROM transition_execution ORDER BY id")]
    ids = [one["id"] for one in (*executions, *steps)]
    ends = Counter(row["id"] for row in await pool.fetch("SELECT id FROM chaos_end"))
    jobs = {
        row["subject_id"]: dict(row)
        for row in await pool.fetch("SELECT * FROM job WHERE kind IN ('function', 'container')")
    }
    return [
        *_executions(executions, begun),
        *(f"{one} has ended {ends[one]} times" for one in ids if ends[one] != 1),
        *_steps(steps),
        *await _lines(pool, executions),
        *await _counters(pool, len(executions), len(steps), validator),
        *_calls(site, steps, jobs),
        *await _left(pool, site),
        *(_containers(site, steps, jobs) if site.engine is not None else ()),
    ]


def _executions(executions: list[dict[str, Any]], begun: Mapping[str, Outcome]) -> Iterator[str]:
    """Each has the outcome of its definition, and one POST has begun one."""
    if {one["id"] for one in executions} != set(begun):
        yield f"{len(begun)} executions were begun, there are {len(executions)}"
    for one in executions:
        wanted = begun.get(one["id"])
        error = one["events"][-1]["error"] if one["events"] else None
        found = Outcome(one["status"], one["output"], error)
        if wanted is not None and found != wanted:
            yield f"{one['id']} with input {one['input']}: {found}, not {wanted}: {one['events'][-1:]}"


def _steps(steps: list[dict[str, Any]]) -> Iterator[str]:
    """What the machine asks for once is begun once."""
    asked = Counter((step["workflow_execution_id"], step["key"]) for step in steps)
    for (execution_id, key), number in asked.items():
        if number != 1:
            yield f"{execution_id} has {number} steps {key}"


async def _lines(pool: asyncpg.Pool, executions: list[dict[str, Any]]) -> list[str]:
    """The end of each execution is told once."""
    told = Counter(
        row["message"]
        for row in await pool.fetch(
            "SELECT message FROM log_event WHERE message LIKE 'Execution las:workflow-execution:%: %'"
        )
    )
    ends = Counter(message.rpartition(": ")[0] for message in told.elements())
    return [
        f"the end of {one['id']} is told {ends[name]} times"
        for one in executions
        if ends[name := f"Execution {one['id']}"] != 1
    ]


async def _counters(pool: asyncpg.Pool, executions: int, steps: int, validator: str) -> list[str]:
    """Executions and steps are counted once, minutes to the microsecond."""
    rows = await pool.fetch("SELECT meter, sum(used)::float8 AS used FROM usage_counter GROUP BY meter")
    used = {row["meter"]: row["used"] for row in rows}
    expected = {
        "workflow-executions": executions,
        "transition-executions": steps,
        "production-workflow-minutes": await pool.fetchval(MINUTES, None),
        "user-minutes": await pool.fetchval(MINUTES, validator),
    }
    return [
        f"counted {used.get(meter, 0.0)} {meter}, done {amount}"
        for meter, amount in expected.items()
        if abs(used.get(meter, 0.0) - amount) > 1e-6 * max(1, steps)
    ]


def _calls(site: Site, steps: list[dict[str, Any]], jobs: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Functions are called at least once, and again only by another attempt of their job."""
    for step in steps:
        job = jobs.get(step["id"])
        if job is not None and job["kind"] == "function":
            file = site.calls / step["id"]
            calls = len(file.read_text().splitlines()) if file.exists() else 0
            fewest = 1 if step["status"] == "succeeded" else 0
            if not fewest <= calls <= job["attempt"]:
                yield f"{step['id']}, {step['status']}, was called {calls} times in {job['attempt']} attempts"


def _containers(site: Site, steps: list[dict[str, Any]], jobs: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """No step has started two, and none without has succeeded."""
    assert site.engine is not None
    starts = site.engine.starts()
    for step in steps:
        job = jobs.get(step["id"])
        if job is not None and job["kind"] == "container":
            name = container_name(SubjectId(step["id"]))
            number = starts.pop(name, 0)
            if number > 1 or (number == 0 and step["status"] == "succeeded"):
                yield f"{name} of a step that has {step['status']} was started {number} times"
    for name in starts:
        yield f"{name} was started for no step"


async def _left(pool: asyncpg.Pool, site: Site) -> list[str]:
    """What a dispatcher could not tidy up before its death is tidied up by the sweep of another one."""
    deadline = time.monotonic() + SWEEP_PATIENCE_SECONDS
    while True:
        credentials = await pool.fetchval("SELECT count(*) FROM container_credential")
        containers = [] if site.engine is None else await asyncio.to_thread(site.engine.containers)
        left = [f"{name} is left" for name in containers]
        left += [f"{credentials} credentials of containers are left"] if credentials else []
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(LOOK_SECONDS)

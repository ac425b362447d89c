"""What must hold when a story of workflows has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.chaos.simulation.flow_story import OUTCOMES, FlowStory
from tests.chaos.simulation.real import RealServer

STEPS = """
SELECT step.*, coalesce(job.attempt, 0) AS attempts, job.state AS job_state
FROM public.transition_execution AS step
LEFT JOIN public.job ON job.subject_id = step.id AND job.kind = 'function'
ORDER BY step.id
"""
LINES = """
SELECT message FROM public.log_event WHERE message LIKE 'Execution las:workflow-execution:%: %'
"""


async def flow_violations(real: RealServer, story: FlowStory) -> list[str]:
    """Empty when all is well."""
    executions = await real.admin("SELECT * FROM public.workflow_execution ORDER BY id")
    steps = await real.admin(STEPS)
    ends = await real.admin("SELECT * FROM simulation.flow_end")
    counters = await real.admin("SELECT meter, sum(used) AS used FROM public.usage_counter GROUP BY meter")
    lines = await real.admin(LINES)
    return [
        *_gone(executions, story),
        *(problem for one in executions for problem in _outcome(one, story)),
        *_ended_once(executions, steps, ends),
        *_begun_once(steps),
        *_told_once(executions, lines),
        *(problem for step in steps for problem in _called(step, story)),
        *_counted(counters, ends),
    ]


def _gone(executions: list[Any], story: FlowStory) -> Iterator[str]:
    found = {one["id"] for one in executions}
    for execution_id in story.expected.keys() - found - story.ended_by_somebody:
        yield f"{execution_id} was acknowledged and is not there"


def _outcome(execution: Any, story: FlowStory) -> Iterator[str]:
    """As the definition says; failed, too, when somebody has ended it."""
    name, number = execution["workflow_id"].rpartition(":")[2], execution["input"]["number"]
    status, output = OUTCOMES[name]
    found = execution["status"], execution["output"]
    by_somebody = execution["id"] in story.ended_by_somebody and found == ("failed", None)
    if found != (status, output(number)) and not by_somebody:
        yield f"{name} {execution['id']} is {found}, its events {execution['events'][-1:]}"


def _ended_once(executions: list[Any], steps: list[Any], ends: list[Any]) -> Iterator[str]:
    times = Counter(end["id"] for end in ends)
    for one in [*executions, *steps]:
        if times[one["id"]] != 1:
            yield f"{one['id']} has ended {times[one['id']]} times, it is {one['status']}"
    for execution_id, number in times.items():
        if number > 1:
            yield f"{execution_id} has ended {number} times"


def _begun_once(steps: list[Any]) -> Iterator[str]:
    asked = Counter((step["workflow_execution_id"], step["key"]) for step in steps)
    for (execution_id, key), number in asked.items():
        if number > 1:
            yield f"{execution_id} has {number} steps {key}"


def _told_once(executions: list[Any], lines: list[Any]) -> Iterator[str]:
    told = Counter(line["message"].rpartition(": ")[0] for line in lines)
    for one in executions:
        if told[f"Execution {one['id']}"] != 1:
            yield f"the end of {one['id']} is told {told[one['id']]} times"


def _called(step: Any, story: FlowStory) -> Iterator[str]:
    """At least once if it has succeeded, and at most once an attempt of its job."""
    calls = story.world.calls[step["id"]]
    if calls > step["attempts"]:
        yield f"{step['id']} was called {calls} times in {step['attempts']} attempts"
    if step["attempts"] and step["status"] == "succeeded" and not calls:
        yield f"{step['id']} has succeeded and was not called"
    if story.calm and step["attempts"] > 1:
        yield f"{step['id']} was tried {step['attempts']} times"


def _counted(counters: list[Any], ends: list[Any]) -> Iterator[str]:
    """Minutes as the rows had them when they ended, those that were deleted among them."""
    used = {row["meter"]: float(row["used"]) for row in counters}
    for meter, column in (("production-workflow-minutes", "minutes"), ("user-minutes", "user_minutes")):
        done = sum(float(end[column]) for end in ends)
        if abs(used.get(meter, 0.0) - done) > 1e-6:
            yield f"counted {used.get(meter, 0.0)} {meter}, done {done}"
    steps = sum(end["is_step"] for end in ends)
    if used.get("transition-executions", 0.0) != steps:
        yield f"counted {used.get('transition-executions', 0.0)} executions of transitions, done {steps}"

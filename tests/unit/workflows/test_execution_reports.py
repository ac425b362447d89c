"""Times of steps, and the timeline of an execution."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.execution_reports import StepReportRow
from pagemill.workflows.execution_reports import ExecutionStory, Moment, step_report, timeline

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def claimed(by: str, since: int, until: int, ending: str, reason: str | None = None) -> dict[str, Any]:
    times = {"claimedTime": at(since).isoformat(), "endedTime": at(until).isoformat()}
    return {"claimedBy": by, **times, "ending": ending, "reason": reason}


def row(**values: Any) -> StepReportRow:
    missing = dict.fromkeys(StepReportRow.__struct_fields__)
    given = {
        "id": "step",
        "transition_id": "transition",
        "transition_type": "manual",
        "state": "Check",
        "attempt": 1,
        "status": "running",
        "created_time": at(0),
        "former_claims": [],
    }
    return StepReportRow(**{**missing, **given, **values})


@pytest.mark.parametrize(
    ("values", "waiting", "working"),
    [
        ({}, 100, 0),
        ({"claimed_time": at(30), "claimed_by": "ada"}, 30, 70),
        ({"claimed_time": at(30), "claimed_by": "ada", "end_time": at(50), "status": "failed"}, 30, 20),
        ({"former_claims": [claimed("ada", 10, 30, "released")]}, 80, 20),
        (
            {
                "former_claims": [claimed("ada", 10, 30, "lapsed"), claimed("bob", 40, 45, "deferred")],
                "claimed_time": at(60),
                "claimed_by": "ada",
                "end_time": at(70),
            },
            35,
            35,
        ),
        ({"transition_type": "docker", "start_time": at(20)}, 20, 80),
        ({"transition_type": "docker", "start_time": at(20), "end_time": at(30)}, 20, 10),
        # It waits for its next attempt.
        ({"transition_type": "docker", "start_time": at(160)}, 100, 0),
        # Clients can report any start.
        ({"transition_type": "docker", "start_time": at(-5000), "end_time": at(30)}, 0, 30),
    ],
)
def test_the_time_of_a_step_is_waiting_and_work(
    values: dict[str, Any], waiting: float, working: float
) -> None:
    report = step_report(row(**values), now=at(100))
    assert (report.waiting_seconds, report.working_seconds) == (waiting, working)


def test_a_timeline_has_what_happened_in_its_order() -> None:
    step = row(
        former_claims=[claimed("ada", 10, 30, "deferred", "page 2 comes")],
        claimed_by="bob",
        claimed_time=at(60),
        completed_by="bob",
        end_time=at(70),
        status="failed",
        error={"message": "no page 2"},
        attempt=2,
    )
    story = ExecutionStory(
        id="execution",
        organization_id="organization",
        workflow_id="workflow",
        workflow_name=None,
        status="failed",
        state="Check",
        start_time=at(0),
        end_time=at(71),
        error="States.TaskFailed: no page 2",
        created_by="client",
        steps=[step_report(step, now=at(100))],
        events=[{"type": "ExecutionFailed", "timestamp": at(70).isoformat(), "state": "Check", "error": "E"}],
        last_lines=[],
    )
    assert timeline(story) == [
        Moment(at(0), "started by client"),
        Moment(at(0), "Check, attempt 2: step (manual)"),
        Moment(at(10), "Check: claimed by ada"),
        Moment(at(30), "Check: claim of ada deferred: page 2 comes"),
        Moment(at(60), "Check: claimed by bob"),
        Moment(at(70), "Check: failed by bob after 40 s of waiting, 30 s of work: no page 2"),
        Moment(at(70), "ExecutionFailed: Check, E"),
        Moment(at(71), "ended: failed"),
    ]

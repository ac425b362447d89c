"""Jobs: attempts that are current, requests to cancel, retries, and what the operator sees."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, get_args

import pytest

from db.job_outcomes import cancel_queued_job, end_job, requeue_failed_job, retry_job
from db.job_reports import (
    OpenJobsRow,
    QueueDepthRow,
    UnusableModelRow,
    WaitingJobsRow,
    find_job,
    list_jobs,
    list_open_jobs,
    list_queue_depths,
    list_unusable_models,
    list_waiting_jobs,
)
from db.jobs import (
    CancelRequestRow,
    EndedJobRow,
    JobState,
    cancel_jobs_of_subjects,
    get_ended_job,
    hold_attempt,
    insert_job,
    list_ended_among,
    lock_open_jobs_of_many,
    request_cancel,
)
from db.schedule import insert_scheduled_jobs
from db.statements import Connection
from pagemill.ids import JobId, SubjectId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOB, SUBJECT = JobId("job"), SubjectId("subject")
STATES: tuple[JobState, ...] = get_args(JobState)
ENDED = ("succeeded", "failed", "cancelled")
CURRENT = {"state": "running", "attempt": 2}
NOT_CURRENT = [
    {"attempt": 1},
    {"attempt": 3},
    *({"state": state} for state in STATES if state != "running"),
    {"id": "another"},
]


async def add(connection: Connection, own: dict[str, Any], name: str = JOB, **values: Any) -> str:
    values = {"id": name, "kind": "prediction", "subject_id": SUBJECT, **values}
    return await insert(connection, "job", **own, **values)


async def test_a_new_job_is_queued(connection: Connection, own: dict[str, Any], now: datetime) -> None:
    await insert_job(
        connection,
        **own,
        job_id=JOB,
        kind="prediction",
        subject_id=SUBJECT,
        payload={"a": 1},
        priority=10,
        maximum_attempts=5,
        trace_context="00-trace-span-01",
    )
    assert await connection.fetchval("SELECT trace_context FROM job") == "00-trace-span-01"
    report = await find_job(connection, name=JOB)
    assert report is not None
    assert (report.state, report.priority, report.attempt, report.maximum_attempts) == ("queued", 10, 0, 5)
    assert (report.created_time, report.run_after, report.started_time) == (now, now, None)
    assert await get_ended_job(connection, **own, job_id=JOB) is None


async def test_a_job_that_is_there_is_not_queued_again(connection: Connection, own: dict[str, Any]) -> None:
    for kind in ("function", "container"):
        await insert_job(
            connection,
            **own,
            job_id=JOB,
            kind=kind,
            subject_id=SUBJECT,
            payload={},
            priority=10,
            maximum_attempts=5,
            trace_context=None,
        )
    rows = await connection.fetch("SELECT kind FROM job")
    assert [row["kind"] for row in rows] == ["function"]


async def test_the_open_jobs_of_subjects_are_cancelled(connection: Connection, own: dict[str, Any]) -> None:
    for state in STATES:
        await add(connection, own, state, state=state)
    await add(connection, own, "of another subject", subject_id="another")
    await add(connection, own, "of another kind", kind="training")
    passed_over = await cancel_jobs_of_subjects(
        connection, **own, subject_ids=[SUBJECT], kinds=["prediction", "transformation"]
    )
    assert passed_over == []
    rows = await connection.fetch("SELECT id, state, cancel_requested, ended_time FROM job")
    found = {row["id"]: (row["state"], row["cancel_requested"]) for row in rows}
    assert found == {
        **{state: (state, False) for state in ENDED},
        "queued": ("cancelled", True),
        "running": ("running", True),
        "of another subject": ("queued", False),
        "of another kind": ("queued", False),
    }
    assert {row["id"] for row in rows if row["ended_time"] is not None} == {"queued"}


@pytest.mark.parametrize("state", STATES)
async def test_whether_a_job_has_ended(connection: Connection, own: dict[str, Any], state: JobState) -> None:
    await add(connection, own, state=state, error_class="Error", error_message="broken")
    is_open = state not in ENDED
    ended = await get_ended_job(connection, **own, job_id=JOB)
    assert ended == (None if is_open else EndedJobRow(state, "Error", "broken"))
    assert await list_ended_among(connection, job_ids=[JOB, JobId("unknown")]) == ([] if is_open else [JOB])
    owners = {"organization_ids": [own["organization_id"], "another"], "job_ids": [JOB, JOB]}
    for attempt, is_current in ((None, True), (0, True), (1, False)):
        found = await lock_open_jobs_of_many(connection, **owners, attempts=[attempt] * 2)
        assert found == ([JOB] if is_open and is_current else [])
    assert await cancel_queued_job(connection, **own, job_id=JOB) == (JOB if state == "queued" else None)


@pytest.mark.parametrize("state", STATES)
async def test_the_end_of_open_jobs_is_requested(
    connection: Connection, own: dict[str, Any], state: JobState
) -> None:
    await add(connection, own, state=state)
    await add(connection, own, "another kind", kind="training", state=state)
    await add(connection, own, "another subject", subject_id="another", state=state)
    rows = await request_cancel(connection, **own, subject_id=SUBJECT, kind="prediction")
    assert rows == ([] if state in ENDED else [CancelRequestRow(JOB, state)])
    requested = await connection.fetch("SELECT id FROM job WHERE cancel_requested")
    assert [row["id"] for row in requested] == [row.id for row in rows]


END: dict[str, Any] = {"state": "failed", "error_class": "E", "error_message": "m", "retryable": False}
RETRY: dict[str, Any] = {
    "delay": 30.0,
    "more_attempts": 1,
    "error_class": "E",
    "error_message": "m",
    "lost_workers": 1,
}


@pytest.mark.parametrize("values", NOT_CURRENT)
async def test_an_attempt_that_is_not_current_changes_nothing(
    connection: Connection, own: dict[str, Any], values: dict[str, Any]
) -> None:
    await add(connection, own, **{**CURRENT, **values})
    before = await connection.fetch("SELECT * FROM job")
    attempt = {**own, "job_id": JOB, "attempt": 2}
    assert await hold_attempt(connection, **attempt) is None
    assert await end_job(connection, **attempt, **END) is None
    assert await retry_job(connection, **attempt, **RETRY) is None
    assert await connection.fetch("SELECT * FROM job") == before


@pytest.mark.parametrize(("cancel_requested", "state"), [(False, "failed"), (True, "cancelled")])
async def test_a_job_ends_as_cancelled_when_that_was_requested(
    connection: Connection, own: dict[str, Any], now: datetime, cancel_requested: bool, state: str
) -> None:
    await add(connection, own, **CURRENT, cancel_requested=cancel_requested, lease_owner="worker")
    attempt = {**own, "job_id": JOB, "attempt": 2}
    assert (await hold_attempt(connection, **attempt) == JOB) is not cancel_requested
    assert await end_job(connection, **attempt, **END) == state
    report = await find_job(connection, name=JOB)
    assert report is not None
    assert (report.state, report.ended_time, report.lease_owner) == (state, now, None)
    assert (report.error_class, report.error_message, report.retryable) == ("E", "m", False)
    assert await end_job(connection, **attempt, **END) is None


@pytest.mark.parametrize("cancel_requested", [False, True])
async def test_a_job_is_tried_again_later_unless_it_is_cancelled(
    connection: Connection, own: dict[str, Any], now: datetime, cancel_requested: bool
) -> None:
    await add(connection, own, **CURRENT, cancel_requested=cancel_requested, lease_owner="worker")
    retried = await retry_job(connection, **own, job_id=JOB, attempt=2, **RETRY)
    assert (retried == JOB) is not cancel_requested
    report = await find_job(connection, name=JOB)
    assert report is not None
    if not cancel_requested:
        assert (report.state, report.run_after) == ("queued", now + timedelta(seconds=30))
        assert (report.attempt, report.maximum_attempts, report.lost_workers) == (2, 4, 1)
        assert (report.retryable, report.lease_owner) == (True, None)


@pytest.mark.parametrize("state", STATES)
async def test_only_a_failed_job_is_queued_again(
    connection: Connection, own: dict[str, Any], now: datetime, state: JobState
) -> None:
    await add(connection, own, state=state, attempt=3, lost_workers=2, error_class="E", ended_time=now)
    requeued = await requeue_failed_job(connection, **own, job_id=JOB, more_attempts=2)
    assert requeued == (JOB if state == "failed" else None)
    report = await find_job(connection, name=JOB)
    assert report is not None
    if requeued:
        assert (report.state, report.ended_time, report.error_class) == ("queued", None, None)
        # The attempt goes on counting: it fences writes of the attempts before.
        assert (report.attempt, report.maximum_attempts, report.lost_workers) == (3, 5, 0)
    else:
        assert (report.state, report.attempt, report.lost_workers) == (state, 3, 2)


@pytest.mark.parametrize(
    ("open_job", "queued"),
    [
        (None, 2),
        ({"state": "queued"}, 1),
        ({"state": "running"}, 1),
        ({"state": "failed"}, 2),
        ({"state": "queued", "kind": "another"}, 2),
        ({"state": "succeeded", "id": "mine"}, 1),
    ],
)
async def test_a_scheduled_job_exists_once_and_waits_for_the_one_before(
    connection: Connection, own: dict[str, Any], theirs: Tenant, open_job: Any, queued: int
) -> None:
    if open_job is not None:
        values = {"id": "before", "kind": "sweep", **open_job}
        await add(connection, own, **{"name": values.pop("id"), **values})
    wanted = {
        "kind": "sweep",
        "job_ids": [JobId("mine"), JobId("theirs")],
        "organization_ids": [own["organization_id"], theirs.organization_id],
        "priority": 10,
        "maximum_attempts": 3,
    }
    assert await insert_scheduled_jobs(connection, **wanted) == queued
    assert await insert_scheduled_jobs(connection, **wanted) == 0


async def test_the_operator_looks_for_jobs(
    connection: Connection, own: dict[str, Any], theirs: Tenant, now: datetime
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    for owner, name, kind, state, age in (
        (own, "a", "prediction", "queued", 1),
        (own, "b", "prediction", "failed", 2),
        (foreign, "c", "training", "running", 3),
        (foreign, "d", "prediction", "queued", 4),
    ):
        created_time = now - timedelta(seconds=age)
        await add(connection, owner, name, kind=kind, state=state, created_time=created_time)
    unfiltered: dict[str, Any] = {"states": None, "kind": None, "organization_id": None, "limit": 10}
    for filters, expected in (
        ({}, "abcd"),
        ({"limit": 2}, "ab"),
        ({"states": ["queued", "failed"]}, "abd"),
        ({"kind": "training"}, "c"),
        (foreign, "cd"),
        ({**foreign, "kind": "prediction"}, "d"),
    ):
        rows = await list_jobs(connection, **{**unfiltered, **filters})
        assert [row.id for row in rows] == list(expected)
    newest = await find_job(connection, name=SUBJECT)
    assert newest is not None
    assert newest.id == "a"
    assert await find_job(connection, name="unknown") is None
    assert await list_queue_depths(connection) == [
        QueueDepthRow("prediction", "queued", 2),
        QueueDepthRow("training", "running", 1),
    ]


async def test_open_jobs_are_counted_with_the_age_of_the_oldest(
    connection: Connection, own: dict[str, Any], theirs: Tenant, now: datetime
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    minute = timedelta(minutes=1)
    for owner, name, kind, state, values in (
        (own, "a", "mail", "queued", {"created_time": now - minute}),
        (foreign, "b", "mail", "queued", {"created_time": now - 2 * minute}),
        (own, "c", "mail", "queued", {"created_time": now - 3 * minute, "run_after": now + minute}),
        (own, "d", "mail", "running", {"created_time": now}),
        (own, "e", "training", "running", {"created_time": now - minute}),
        (own, "f", "mail", "succeeded", {"created_time": now - minute, "ended_time": now}),
        (own, "g", "workflow-timer", "queued", {"created_time": now - 9 * minute, "run_after": now - minute}),
        (own, "h", "workflow-timer", "queued", {"run_after": now + minute}),
    ):
        await add(connection, owner, name, kind=kind, state=state, **values)
    assert QueueDepthRow("workflow-timer", "queued", 1) in await list_queue_depths(connection)

    rows = await list_open_jobs(connection)

    assert sorted(rows, key=lambda row: (row.kind, row.state)) == [
        OpenJobsRow("mail", "queued", jobs=2, oldest=120.0),
        OpenJobsRow("mail", "running", jobs=1, oldest=0.0),
        OpenJobsRow("training", "running", jobs=1, oldest=60.0),
        OpenJobsRow("workflow-timer", "queued", jobs=1, oldest=60.0),
    ]


async def test_trainings_are_named_whose_weights_have_failed_predictions(
    connection: Connection, own: dict[str, Any], theirs: Tenant, now: datetime
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    failed = {"state": "failed", "error_class": "ModelMissing"}
    for owner, name, training_id, minutes, values in (
        (own, "a", "lost", 5, failed),
        (own, "b", "lost", 3, failed),
        (own, "c", "lost", 1, failed | {"error_class": "ModelDamaged"}),
        (foreign, "d", "theirs", 2, failed),
        (own, "long ago", "old", 61, failed),
        (own, "another error", "good", 1, failed | {"error_class": "BadRequest"}),
        (own, "tried again", "good", 1, failed | {"state": "succeeded"}),
    ):
        await insert(connection, "prediction", **owner, id=name, training_id=training_id)
        ended = now - timedelta(minutes=minutes)
        await add(connection, owner, f"job {name}", subject_id=name, ended_time=ended, **values)
    asked: dict[str, Any] = {"error_classes": ["ModelMissing", "ModelDamaged"], "seconds": 3600.0}
    rows = await list_unusable_models(connection, **asked, limit=10)
    assert rows == [
        UnusableModelRow("ModelDamaged", "lost", 1, now - timedelta(minutes=1)),
        UnusableModelRow("ModelMissing", "theirs", 1, now - timedelta(minutes=2)),
        UnusableModelRow("ModelMissing", "lost", 2, now - timedelta(minutes=3)),
    ]
    assert await list_unusable_models(connection, **asked, limit=1) == rows[:1]


async def test_waiting_jobs_are_counted_by_organization_up_to_a_limit(
    connection: Connection, own: dict[str, Any], theirs: Tenant, now: datetime
) -> None:
    foreign = {"organization_id": theirs.organization_id}
    for owner, priority, count in ((own, 0, 1), (own, 10, 4), (foreign, 0, 2)):
        for number in range(count):
            name = f"{owner['organization_id']} {priority} {number}"
            await add(connection, owner, name, priority=priority)
    # The mean of what succeeded at the first try, of the newest jobs that have ended.
    for name, state, attempt, seconds, age in (
        ("fast", "succeeded", 1, 2, 1),
        ("slow", "succeeded", 1, 4, 2),
        ("tried twice", "succeeded", 2, 100, 3),
        ("failed", "failed", 1, 100, 4),
        ("long ago", "succeeded", 1, 100, 5),
    ):
        ended = now - timedelta(minutes=age)
        times = {"started_time": ended - timedelta(seconds=seconds), "ended_time": ended}
        await add(connection, own, name, state=state, attempt=attempt, **times)
    asked = {"kind": "prediction", "in_all": 100, "recent_jobs": 4}
    rows = await list_waiting_jobs(connection, **asked, per_organization=3)
    assert sorted(rows, key=lambda row: (row.organization_id, row.priority)) == sorted(
        [
            WaitingJobsRow(own["organization_id"], 0, 1, 3.0),
            WaitingJobsRow(own["organization_id"], 10, 2, 3.0),
            WaitingJobsRow(theirs.organization_id, 0, 2, 3.0),
        ],
        key=lambda row: (row.organization_id, row.priority),
    )
    rows = await list_waiting_jobs(connection, **{**asked, "in_all": 2, "recent_jobs": 0}, per_organization=3)
    assert sum(row.jobs for row in rows) == 2
    assert {row.seconds for row in rows} == {None}

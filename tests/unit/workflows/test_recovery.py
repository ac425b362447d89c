"""Failures of states: which are tried again, caught, or end the execution."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.workflows.failures import (
    DATA_LIMIT,
    HEARTBEAT_TIMED_OUT,
    INTRINSIC,
    PARAMETER_PATH,
    RESULT_PATH,
    RUNTIME,
    TASK_FAILED,
    TASK_LOST,
    TIMED_OUT,
)
from pagemill.workflows.machine import Failed
from pagemill.workflows.work_bounds import DATA_BYTES
from tests.support.machines import Run, alone, machine, task


def retrier(*errors: str, **members: Any) -> dict[str, Any]:
    return {"ErrorEquals": list(errors), **members}


def test_a_task_is_tried_again_after_a_growing_delay() -> None:
    run = Run(alone(task(Retry=[retrier("E", IntervalSeconds=2, MaxAttempts=3, BackoffRate=3)])), {"a": 1})
    seen = [(run.task.key, run.task.attempt, run.task.delay_seconds)]
    for _ in range(3):
        run.fail("A")
        seen.append((run.task.key, run.task.attempt, run.task.delay_seconds))
        assert run.task.input == {"a": 1}
    assert seen == [(":1", 1, 0), (":2", 2, 2), (":3", 3, 6), (":4", 4, 18)]
    run.fail("A", cause="still")
    assert run.failure == Failed("A", "E", "still")


def test_each_retrier_counts_its_own_attempts() -> None:
    retry = [
        retrier("None", MaxAttempts=0),
        retrier("E", "F", MaxAttempts=1, IntervalSeconds=10),
        retrier("States.ALL", MaxAttempts=2, IntervalSeconds=1, BackoffRate=2),
    ]
    run = Run(alone(task(Retry=retry)))
    for error, delay in (("G", 1), ("E", 10), ("G", 2)):
        run.fail("A", error)
        assert run.task.delay_seconds == delay
    assert run.task.attempt == 4
    run.fail("A", "F")
    assert run.failure.error == "F"
    run = Run(alone(task(Retry=retry)))
    run.fail("A", "None")
    assert run.failure.error == "None"


def test_attempts_are_counted_anew_at_the_next_visit() -> None:
    again = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.again", "BooleanEquals": True, "Next": "A"}],
        "Default": "E",
    }
    run = Run(
        machine("A", A=task(Next="C", Retry=[retrier("E", MaxAttempts=1)]), C=again, E={"Type": "Succeed"})
    )
    for _ in range(3):
        run.fail("A")
        assert run.task.attempt == 2
        run.succeed("A", again=True)
        assert run.task.attempt == 1


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(TIMED_OUT, 4), (HEARTBEAT_TIMED_OUT, 4), (TASK_LOST, 4), (TASK_FAILED, 1), ("Mine", 1)],
)
def test_a_task_without_retry_is_tried_again_when_it_is_late_or_lost(error: str, attempts: int) -> None:
    run = Run(alone(task()))
    while run.end is None:
        attempt = run.task.attempt
        run.fail("A", error)
    assert attempt == attempts
    assert Run(alone(task(Retry=[]))).fail("A", TIMED_OUT) == (Failed("A", TIMED_OUT, ""),)


def test_a_worker_may_ask_for_another_attempt() -> None:
    run = Run(alone(task()))
    for delay in (2, 4, 8):
        run.fail("A", TASK_FAILED, retry=True)
        assert run.task.delay_seconds == delay
    run.fail("A", TASK_FAILED, "please", retry=True)
    assert run.failure == Failed("A", TASK_FAILED, "please")
    run = Run(alone(task(Retry=[])))
    run.fail("A", TASK_FAILED, retry=True)
    assert run.failure.error == TASK_FAILED


def test_the_retry_count_is_in_the_context() -> None:
    run = Run(alone(task(Parameters={"n.$": "$$.State.RetryCount"}, Retry=[retrier("E")])))
    assert run.task.input == {"n": 0}
    run.fail("A")
    assert run.task.input == {"n": 1}


def test_a_full_jitter_is_drawn_up_to_the_delay() -> None:
    retry = [retrier("E", IntervalSeconds=100, BackoffRate=1, MaxAttempts=50, JitterStrategy="FULL")]
    run = Run(alone(task(Retry=retry)))
    delays = []
    for _ in range(50):
        run.fail("A")
        delays.append(run.task.delay_seconds)
    assert all(0 <= delay <= 100 for delay in delays)
    assert len(set(delays)) == 50
    assert min(delays) < 20 < 80 < max(delays)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("Mine", "M"),
        ("Other", "O"),
        (TASK_FAILED, "O"),
        (TIMED_OUT, "L"),
        (HEARTBEAT_TIMED_OUT, "L"),
        (DATA_LIMIT, None),
        (RUNTIME, None),
    ],
)
def test_the_first_catch_that_matches_is_followed(error: str, state: str | None) -> None:
    catch = [
        {"ErrorEquals": ["Mine"], "Next": "M"},
        {"ErrorEquals": [TASK_FAILED], "Next": "O"},
        {"ErrorEquals": ["States.ALL"], "Next": "L"},
    ]
    run = Run(alone(task(Catch=catch, Retry=[]), M=task(), O=task(), L=task()), {"a": 1})
    run.fail("A", error, "why")
    if state is None:
        assert run.failure == Failed("A", error, "why")
    else:
        assert run.states == [state]
        assert run.task.input == {"Error": error, "Cause": "why"}


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({"ResultPath": "$.e"}, {"a": 1, "e": {"Error": "E", "Cause": ""}}),
        ({"ResultPath": "$.e.f"}, {"a": 1, "e": {"f": {"Error": "E", "Cause": ""}}}),
        ({"ResultPath": None}, {"a": 1}),
    ],
)
def test_an_error_is_put_into_the_input(members: dict[str, Any], data: dict[str, Any]) -> None:
    run = Run(alone(task(Catch=[{"ErrorEquals": ["E"], "Next": "B", **members}]), B=task()), {"a": 1})
    run.fail("A")
    assert run.task.input == data


def test_a_catch_follows_the_attempts() -> None:
    run = Run(
        alone(
            task(Retry=[retrier("E", MaxAttempts=1)], Catch=[{"ErrorEquals": ["E"], "Next": "B"}]), B=task()
        )
    )
    run.fail("A")
    assert run.states == ["A"]
    run.fail("A")
    assert run.states == ["B"]


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"Parameters": {"x.$": "$.none"}}, PARAMETER_PATH),
        ({"Parameters": {"x.$": "States.MathAdd('a', 1)"}}, INTRINSIC),
        ({"TimeoutSecondsPath": "$.none"}, PARAMETER_PATH),
    ],
)
def test_wrong_data_of_a_task_can_be_caught(members: dict[str, Any], error: str) -> None:
    catch = [{"ErrorEquals": [error], "Next": "B", "ResultPath": "$.e"}]
    run = Run(alone(task(Catch=catch, Retry=[retrier("States.ALL")], **members), B=task()))
    assert run.states == ["B"]
    assert run.task.input["e"]["Error"] == error


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"ResultSelector": {"x.$": "$.none"}}, PARAMETER_PATH),
        ({"ResultPath": "$.a.b"}, RESULT_PATH),
        ({"ResultPath": "$.large"}, DATA_LIMIT),
    ],
)
def test_a_task_is_not_run_again_when_its_result_does_not_fit(members: dict[str, Any], error: str) -> None:
    catch = [{"ErrorEquals": [error], "Next": "B", "ResultPath": "$.e"}]
    state = task(Catch=catch, Retry=[retrier("States.ALL")], **members)
    run = Run(alone(state, B=task()), {"a": 1, "rest": "x" * (DATA_BYTES // 2)})
    run.succeed("A", y="y" * (DATA_BYTES // 2 + 100))
    assert run.states == ["B"]


def test_a_catch_that_cannot_place_its_error_fails() -> None:
    run = Run(
        alone(task(Catch=[{"ErrorEquals": ["E"], "Next": "B", "ResultPath": "$.a.b"}]), B=task()), {"a": 1}
    )
    run.fail("A")
    assert (run.failure.state, run.failure.error) == ("A", RESULT_PATH)

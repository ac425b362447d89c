"""Jobs, usage, workflows on a simulated clock: whatever breaks between any two statements, nothing is lost.

A story is played for each of ``PAGEMILL_SIMULATION_SEEDS`` seeds, one of workflows for each of the first few;
``PAGEMILL_SIMULATION_SEED`` plays one. ``make simulation`` plays twenty times as many as ``make test``.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from db import job_outcomes, usage
from pagemill.jobs import leases
from pagemill.work import metering, predictions
from pagemill.workflows import changes
from tests.chaos.simulation.running import Played, Subject, first_problem, histories

if TYPE_CHECKING:
    from pagemill.stack.postgres import EmbeddedPostgres

SEED = os.environ.get("PAGEMILL_SIMULATION_SEED")
SEEDS = [int(SEED)] if SEED else list(range(int(os.environ.get("PAGEMILL_SIMULATION_SEEDS", "150"))))
FLOW_SEEDS = SEEDS if SEED else SEEDS[: len(SEEDS) // 15]
PROCESSES = min(os.cpu_count() or 1, 8, len(SEEDS))
SECONDS_FOR_A_SEED = 2.0
PLANTED_SEEDS = 600
PLANTED_FLOW_SEEDS = 60

pytestmark = pytest.mark.simulation


@pytest.fixture
def databases(postgres: EmbeddedPostgres) -> Iterator[list[str]]:
    """An empty database for each process."""
    from db.administration import create_database, drop_database
    from tests.conftest import TEMPLATE

    names = [f"simulation_{uuid.uuid4().hex}" for _ in range(max(2, PROCESSES))]
    for name in names:
        asyncio.run(create_database(postgres.url("postgres"), name, template=TEMPLATE))
    yield [postgres.url(name) for name in names]
    for name in names:
        asyncio.run(drop_database(postgres.url("postgres"), name))


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    """Begun anew: each orders the strings of a set in a way of its own."""
    with ProcessPoolExecutor(max(2, PROCESSES), mp_context=get_context("spawn")) as executor:
        yield executor


def _told(played: Played) -> str:
    return "\n".join(
        [
            *played.history,
            "",
            *played.problems,
            f"PAGEMILL_SIMULATION_SEED={played.seed} python -m pytest {__file__} plays it again",
        ]
    )


@pytest.mark.timeout(max(300, len(SEEDS) * SECONDS_FOR_A_SEED))
def test_whatever_breaks_all_jobs_end_once_and_are_counted_once(
    databases: list[str], processes: ProcessPoolExecutor
) -> None:
    _play(databases, processes, SEEDS, Subject.JOBS)


@pytest.mark.timeout(max(300, len(FLOW_SEEDS) * SECONDS_FOR_A_SEED))
def test_whatever_breaks_all_executions_end_once_as_they_are_defined(
    databases: list[str], processes: ProcessPoolExecutor
) -> None:
    _play(databases, processes, FLOW_SEEDS, Subject.FLOWS)


def _play(databases: list[str], processes: ProcessPoolExecutor, seeds: list[int], subject: Subject) -> None:
    shares = [seeds[number::PROCESSES] for number in range(PROCESSES)]
    played = processes.map(first_problem, databases, shares, [subject] * PROCESSES)
    found = [one for one in played if one is not None]
    if found:
        pytest.fail(_told(min(found, key=lambda played: played.seed)), pytrace=False)


def test_a_seed_has_one_history(databases: list[str], processes: ProcessPoolExecutor) -> None:
    for subject, seeds in ((Subject.JOBS, range(8)), (Subject.FLOWS, range(2))):
        one, other = processes.map(histories, databases[:2], [seeds, seeds], [subject, subject])
        assert len(one) == len(seeds)
        assert len({tuple(history) for history in one}) == len(seeds)
        assert one == other


# What the simulation is for: each of these is a fault that it has to find.


def _replaced(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, old: str, new: str) -> None:
    statement = getattr(module, name)
    assert old in statement.sql
    monkeypatch.setattr(module, name, replace(statement, sql=statement.sql.replace(old, new)))


def _no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(monkeypatch, job_outcomes, "end_succeeded_jobs", "AND found.attempt = mine.attempt", "")


def _no_fence_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(monkeypatch, predictions, "end_succeeded_predictions", "AND found.attempt = mine.attempt", "")


def _no_guard_of_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(
        monkeypatch,
        predictions,
        "submit_prediction",
        "counter.used + excluded.used <= (SELECT allowed FROM plan_limit)",
        "true",
    )


def _settled_as_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(
        monkeypatch, predictions, "end_succeeded_predictions", "used.amount - coalesce(taken.amount, 0)", "0"
    )


def _ended_although_asked_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(monkeypatch, predictions, "end_succeeded_predictions", "AND NOT found.cancel_requested", "")


def _no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(
        monkeypatch, usage, "count_reservations", "WHERE counted.used >", "WHERE NULL AND counted.used >"
    )


def _counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(
        monkeypatch,
        usage,
        "count_reservations",
        "ON CONFLICT (job_id, meter) DO NOTHING",
        "ON CONFLICT (job_id, meter) DO UPDATE SET amount = excluded.amount",
    )


def _no_refund(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refund(*_arguments: Any) -> None:
        return

    monkeypatch.setattr(metering, "refund", refund)


def _nobody_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reap(*_arguments: Any) -> list[Any]:
        return []

    monkeypatch.setattr(leases, "reap", reap)


def _cancelled_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    _replaced(
        monkeypatch,
        job_outcomes,
        "end_succeeded_jobs",
        "CASE WHEN cancel_requested THEN 'cancelled' ELSE 'succeeded' END",
        "'succeeded'",
    )


@pytest.mark.parametrize(
    ("plant", "problem", "first"),
    [
        # One seed in two hundred finds these: the search begins close before it.
        (_no_fence, "ended job", 120),
        (_no_fence_at_once, "ended job", 200),
        (_no_guard_of_new_ones, "limit exceeded", 0),
        (_settled_as_reserved, "counted", 0),
        pytest.param(_ended_although_asked_to_end, "counted", 0, marks=pytest.mark.long),
        (_no_guard, "limit exceeded", 0),
        pytest.param(_counted_again, "counted", 0, marks=pytest.mark.long),
        (_no_refund, "counted", 0),
        (_nobody_takes_over, "still waited for", 0),
        (_cancelled_succeeds, "was cancelled", 0),
    ],
)
def test_a_planted_fault_is_found(
    databases: list[str],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    problem: str,
    first: int,
) -> None:
    plant(monkeypatch)
    played = first_problem(databases[0], range(first, first + PLANTED_SEEDS))
    assert played is not None
    assert any(problem in one for one in played.problems), _told(played)


def test_a_fault_planted_in_workflows_is_found(databases: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lock = "OFFSET 0 FOR UPDATE SKIP LOCKED"
    _replaced(monkeypatch, changes, "write_progress", lock, f"AND false {lock}")
    played = first_problem(databases[0], range(PLANTED_FLOW_SEEDS), Subject.FLOWS)
    assert played is not None
    assert any("a timer is left behind" in one for one in played.problems), _told(played)

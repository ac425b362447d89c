"""The benchmark of workflows runs flows that the platform takes, and says which targets are reached."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from benchmarks.flows import STATES, chain, five_states, waiting
from benchmarks.workflows import TARGETS
from pagemill.ids import TransitionId
from pagemill.workflows.judging import read_definition

TASK = TransitionId(f"las:transition:{7:032x}")


@pytest.mark.parametrize("states", [five_states(TASK), chain(TASK, 3), waiting(60)])
def test_its_flows_are_taken(states: dict[str, Any]) -> None:
    read_definition({"StartAt": next(iter(states)), "States": states})


def test_an_execution_goes_through_as_many_states_as_are_counted() -> None:
    assert len(five_states(TASK)) == STATES


@pytest.mark.parametrize(
    ("name", "reached", "missed"),
    [
        ("transitions.ratioToDrain", 0.3, 0.29),
        ("addedLatencyMs.p50", 30.0, 30.1),
        ("waiting100000.addedBytes", 0.0, 50_000_000.0),
    ],
)
def test_a_target_is_reached_or_not(name: str, reached: float, missed: float) -> None:
    bound, holds = TARGETS[name]
    assert bound.startswith(("at least", "at most"))
    assert (holds(reached), holds(missed)) == (True, False)


def test_it_says_what_it_measures() -> None:
    command = [sys.executable, "-m", "benchmarks.workflows", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "ratioToDrain" in done.stdout

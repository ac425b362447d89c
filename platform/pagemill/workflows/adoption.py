"""Machines of executions that an earlier release has begun: it has kept the name of a state only."""

from __future__ import annotations

from typing import Any

from pagemill.workflows.frames import key_of
from pagemill.workflows.machine import Machine, Position


def machine_at(state: str, data: Any, *, attempt: int) -> tuple[Machine, str]:
    """Return a machine that waits for a task of its outermost machine, and the key of the task."""
    retries = [attempt - 1] if attempt > 1 else []
    root = Position(state=state, input=data, visit=1, attempt=attempt, retries=retries)
    return Machine(root=root, visits=1), key_of((), 1)


def failed_machine_at(state: str, data: Any) -> Machine:
    """Return a machine that has failed in a state, and can jump from there."""
    return Machine(root=Position(state=state, input=data), ended=True)

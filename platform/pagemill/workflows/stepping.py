"""Interpreter of state machines, from one task to the next. Pure: no clock, no database, no waiting."""

from __future__ import annotations

from typing import Any, Final, TypeAlias, assert_never

import msgspec

from pagemill.workflows.choices import holds
from pagemill.workflows.definition import COMMONS_FAILED, Definition
from pagemill.workflows.expressions import Scope
from pagemill.workflows.failures import TASK_FAILED
from pagemill.workflows.paths import PathMissing
from pagemill.workflows.states import Choice, Fail, Map, Parallel, Pass, Succeed, Task, Wait
from pagemill.workflows.work_bounds import Work

RUNTIME: Final = "States.Runtime"
MOST_COMPARISONS = 20_000
"""Between two tasks. The largest definition has fewer unless its states form a circle without a task."""

Data: TypeAlias = dict[str, Any]


class RunTask(msgspec.Struct, frozen=True):
    """The transition of a task has to be run on this input."""

    state: str
    task: Task
    input: Data


class Succeeded(msgspec.Struct, frozen=True):
    """The execution has succeeded."""

    output: Data


class Failed(msgspec.Struct, frozen=True):
    """The execution has failed; ``deliberate`` when the definition says so."""

    state: str
    error: str
    cause: str
    deliberate: bool = False


NextStep: TypeAlias = RunTask | Succeeded | Failed


def begin(definition: Definition, data: Data) -> NextStep:
    """Return the first step of an execution."""
    return enter(definition, definition.start_at, data)


def advance(definition: Definition, state: str, output: Data) -> NextStep:
    """Return the step after a task that has succeeded."""
    following = definition.task(state).next
    return Succeeded(output) if following is None else enter(definition, following, output)


def enter(definition: Definition, state: str, data: Data) -> NextStep:
    """Return the step that entering a state leads to: a task, or the end."""
    seen: set[tuple[str, str]] = set()
    current: str | None = state
    source, cost = "", 0
    while current is not None:
        cost += 1 + sum(branch.cost for branch in definition.branches.get(current, ()))
        # A state depends on the data only, which the last Pass state has set: coming twice with the same
        # data means a circle.
        if (current, source) in seen or cost > MOST_COMPARISONS:
            return Failed(current, RUNTIME, "The states form a loop without a task")
        seen.add((current, source))
        match definition.states[current]:
            case Task() as task if task.resource == COMMONS_FAILED:
                return Failed(current, TASK_FAILED, COMMONS_FAILED, deliberate=True)
            case Task() as task:
                return RunTask(current, task, data)
            case Choice() as choice:
                target = _choose(definition, current, choice, data)
                if isinstance(target, Failed):
                    return target
                current = target
            case Pass(result=result, next=following):
                if result is not msgspec.UNSET:
                    data, source = result, current
                current = following
            case Fail(error=error, cause=cause):
                return Failed(current, error, cause, deliberate=True)
            case Succeed():
                current = None
            case Wait() | Parallel() | Map():
                return Failed(current, RUNTIME, "States of this type are not run")
            case other:
                assert_never(other)
    return Succeeded(data)


def _choose(definition: Definition, name: str, choice: Choice, data: Data) -> str | Failed | None:
    """Return the name of the state that follows, or None when the execution ends."""
    try:
        for branch in definition.branches[name]:
            if holds(branch.rule, Scope(data, {}, Work(name))):
                return branch.next
    except PathMissing as error:
        return Failed(name, RUNTIME, f"The input of state {name} has no value at {error.path}")
    if choice.default is None:
        return Failed(
            name, "States.NoChoiceMatched", f"No choice of state {name} matches, and it has no Default"
        )
    return choice.default

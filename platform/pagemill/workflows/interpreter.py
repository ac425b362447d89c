"""Interpreter of state machines: from an event to the next tasks and timers, or to the end.

Pure: no clock, no database, no waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pagemill.workflows.decision import Decision, Ended
from pagemill.workflows.definition import Definition
from pagemill.workflows.failures import DATA_LIMIT, RUNTIME, StateFailed, WorkSpent
from pagemill.workflows.frames import copied, frames_of, waiting_keys
from pagemill.workflows.machine import (
    Action,
    CancelTask,
    Context,
    Decided,
    Event,
    Failed,
    Jump,
    Machine,
    Position,
    Succeeded,
    TimerFired,
)

MACHINE_BYTES = 4 * 1024 * 1024
"""Data of all branches and iterations together."""
LONGEST_ERROR = 256
LONGEST_CAUSE = 4096
TOO_MUCH_WORK = "The states go on for too long without a task"


def start(definition: Definition, data: dict[str, Any], context: Context) -> Decided:
    """Start an execution on its input."""
    machine = Machine(Position(definition.start_at, {}))
    return _decide(definition, machine, context, lambda decision: decision.begin_with(data))


def decide(definition: Definition, machine: Machine, event: Event, context: Context) -> Decided:
    """Return the machine after an event, and what has to be done.

    Data that do not fit the definition fail the execution. An event that is not waited for changes nothing.
    """
    if isinstance(event, Jump):
        if event.state not in definition.states:
            return Decided(machine, ())
        return _decide(definition, machine, context, lambda decision: decision.jump(event.state))
    frames = frames_of(definition, machine, event.key)
    if not frames or frames[-1].awaits_task is isinstance(event, TimerFired):
        return Decided(machine, ())
    return _decide(definition, machine, context, lambda decision: decision.happen(event), event.key)


def _decide(
    definition: Definition,
    before: Machine,
    context: Context,
    happen: Callable[[Decision], Ended | None],
    ended_key: str | None = None,
) -> Decided:
    """Let something happen to a copy of the machine; compare what is waited for before and after it."""
    decision = Decision(definition, copied(before), context)
    end: tuple[Action, ...] = ()
    try:
        ended = happen(decision)
        if ended is not None:
            end = (Succeeded(_execution_output(ended.output)),)
        if len(msgspec.json.encode(decision.machine)) > MACHINE_BYTES:
            raise StateFailed(DATA_LIMIT, f"The execution's data are larger than {MACHINE_BYTES} bytes")
    except StateFailed as failure:
        end = (_failed(decision.machine, failure),)
    except WorkSpent:
        end = (_failed(decision.machine, StateFailed(RUNTIME, TOO_MUCH_WORK)),)
    machine = decision.machine
    if end:
        root = machine.root
        machine.root = Position(root.state, root.input, root.entered)
        machine.ended = True
    waiting = set(waiting_keys(machine.root))
    cancelled = (key for key in waiting_keys(before.root) if key != ended_key and key not in waiting)
    begun = (action for action in decision.begun if action.key in waiting)
    machine.draws = decision.work.draws
    return Decided(machine, (*map(CancelTask, cancelled), *begun, *end))


def _execution_output(output: Any) -> dict[str, Any]:
    if not isinstance(output, dict):
        raise StateFailed(RUNTIME, "The output of an execution must be an object")
    return output


def _failed(machine: Machine, failure: StateFailed) -> Failed:
    return Failed(
        failure.state or machine.state,
        failure.error[:LONGEST_ERROR],
        failure.cause[:LONGEST_CAUSE],
        failure.deliberate,
    )

"""State of an execution of a workflow: where it stands, what can happen to it, what has to be done next.

``interpreter.start`` and ``interpreter.decide`` turn an event into the next machine and its actions. Both are
pure: what they return depends on their arguments only, so a machine that was kept as JSON goes on like the
one that was not.
"""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec

from pagemill.ids import TransitionId

Path: TypeAlias = tuple[int, ...]
"""Place of a position: the index of a branch or item for each Parallel and Map state around it."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of the execution that the definition reads as ``$$``; State and Map are added for each state."""

    execution_id: str
    input: dict[str, Any]
    start_time: datetime.datetime
    now: datetime.datetime
    """Clock of the decision: EnteredTime of the states that it enters. Aware."""
    workflow_id: str = ""
    execution_name: str = ""
    workflow_name: str = ""

    def shown(self, position: Position) -> dict[str, Any]:
        """Return the context object in the state of a position."""
        return {
            "Execution": {
                "Id": self.execution_id,
                "Name": self.execution_name,
                "Input": self.input,
                "StartTime": shown_time(self.start_time),
            },
            "State": {
                "Name": position.state,
                "EnteredTime": position.entered,
                "RetryCount": position.attempt - 1,
            },
            "StateMachine": {"Id": self.workflow_id, "Name": self.workflow_name},
        }


def shown_time(time: datetime.datetime) -> str:
    """Return a time in UTC, in ISO 8601 with milliseconds."""
    return time.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Position(msgspec.Struct, omit_defaults=True):
    """A state that was entered and has not ended: in the machine, in a branch or in an iteration of a Map."""

    state: str
    input: Any = None
    """As the state before has left it."""
    entered: str = ""
    """Time of the entry, in ISO 8601."""
    visit: int = 0
    """Number of what it waits for, used once in an execution; 0 when it waits for its branches or nothing."""
    attempt: int = 1
    retries: list[int] = []
    """Uses of each entry of the state's Retry."""
    delayed: bool = False
    """A Parallel or Map that waits to be tried again."""
    parts: list[Part] | None = None
    """Branches or iterations, as far as they were started."""


class Part(msgspec.Struct, omit_defaults=True):
    """A branch or an iteration: it stands somewhere, or has ended with an output."""

    at: Position | None = None
    output: Any = None


class Machine(msgspec.Struct, omit_defaults=True):
    """State of an execution; kept as JSON. Decisions return a new one and leave theirs as it is."""

    root: Position
    """State of the outermost machine; once failed the state that it can go on from."""
    visits: int = 0
    """Number of tasks and timers that were asked for so far."""
    draws: int = 0
    """Number of random values that were drawn so far."""
    ended: bool = False

    @property
    def state(self) -> str:
        """Return the name of the state that the outermost machine is in."""
        return self.root.state


class TaskSucceeded(NamedTuple):
    """A task has ended with an output."""

    key: str
    output: dict[str, Any]


class TaskFailed(NamedTuple):
    """A task has ended with an error. With ``retry`` its worker asks for the same task once more."""

    key: str
    error: str
    cause: str = ""
    retry: bool = False


class TimerFired(NamedTuple):
    """The time of a timer has come."""

    key: str


class Jump(NamedTuple):
    """A state of the outermost machine that the execution has to go on with, also after a failure."""

    state: str


Event: TypeAlias = TaskSucceeded | TaskFailed | TimerFired | Jump


class RunTask(NamedTuple):
    """The transition of a task has to be run on this input.

    Later events name it by ``key``; no other task or timer of the execution has the same. Keys are at most
    100 characters long.
    """

    key: str
    state: str
    resource: TransitionId
    input: dict[str, Any]
    attempt: int = 1
    delay_seconds: float = 0.0
    timeout_seconds: int | None = None
    heartbeat_seconds: int | None = None


class StartTimer(NamedTuple):
    """A timer has to be started: of a Wait state, or before a Parallel or Map is tried again.

    One of ``seconds`` from now and ``until`` (aware, maybe past) is set.
    """

    key: str
    state: str
    seconds: float | None = None
    until: datetime.datetime | None = None


class CancelTask(NamedTuple):
    """A task or timer that was asked for is not waited for any more."""

    key: str


class Succeeded(NamedTuple):
    """The execution has succeeded."""

    output: dict[str, Any]


class Failed(NamedTuple):
    """The execution has failed; ``deliberate`` when the definition says so."""

    state: str
    error: str
    cause: str
    deliberate: bool = False


Action: TypeAlias = RunTask | StartTimer | CancelTask | Succeeded | Failed


class Decided(NamedTuple):
    """The machine after an event, and what has to be done, in this order.

    No actions: the event came too late, or other branches are waited for. Succeeded or Failed is the last
    action of an execution, until it jumps.
    """

    machine: Machine
    actions: tuple[Action, ...]

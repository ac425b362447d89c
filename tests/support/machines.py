"""State machines, and executions of them without a database."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from pagemill.workflows.interpreter import decide, start
from pagemill.workflows.judging import read_definition
from pagemill.workflows.machine import (
    Action,
    CancelTask,
    Context,
    Decided,
    Event,
    Failed,
    Jump,
    Machine,
    RunTask,
    StartTimer,
    Succeeded,
    TaskFailed,
    TaskSucceeded,
    TimerFired,
)

READ, CHECK, WRITE = (f"las:transition:{digit * 32}" for digit in "abc")
NOW = datetime.datetime(2026, 11, 28, 3, tzinfo=datetime.UTC)


def task(resource: str = READ, **members: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, **(members or {"End": True})}


def machine(start_at: str, /, **states: Any) -> dict[str, Any]:
    return {"StartAt": start_at, "States": states}


def alone(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A machine that starts with a state ``A``, which is the last one unless it has a next."""
    ending = {} if "Next" in state or state["Type"] in ("Choice", "Succeed", "Fail") else {"End": True}
    return machine("A", A={**state, **ending}, **others)


def context_of(data: Any = None, **members: Any) -> Context:
    return Context(
        **{
            "execution_id": "e1",
            "execution_name": "May",
            "input": data or {},
            "start_time": NOW,
            "now": NOW,
            "workflow_id": "w1",
            **members,
        }
    )


class Run:
    """An execution. What is kept of it goes through JSON after each event."""

    def __init__(self, raw: dict[str, Any], data: dict[str, Any] | None = None) -> None:
        self.definition = read_definition(raw)
        self.context = context_of(data)
        self.waiting: dict[str, RunTask | StartTimer] = {}
        self.cancelled: list[RunTask | StartTimer] = []
        self.end: Succeeded | Failed | None = None
        self.machine: Machine
        self.keep(start(self.definition, data or {}, self.context))

    def keep(self, decided: Decided) -> tuple[Action, ...]:
        self.machine = msgspec.json.decode(msgspec.json.encode(decided.machine), type=Machine)
        assert self.machine == decided.machine
        for action in decided.actions:
            assert self.end is None, "nothing follows the end"
            match action:
                case RunTask() | StartTimer():
                    assert action.key not in self.waiting
                    self.waiting[action.key] = action
                case CancelTask(key=key):
                    self.cancelled.append(self.waiting.pop(key))
                case Succeeded() | Failed():
                    self.end = action
        assert self.end is None or not self.waiting, "an execution that has ended waits for nothing"
        assert self.machine.ended is (self.end is not None)
        return decided.actions

    def send(self, event: Event) -> tuple[Action, ...]:
        if isinstance(event, Jump):
            self.end = None
        else:
            del self.waiting[event.key]
        return self.keep(decide(self.definition, self.machine, event, self.context))

    def at(self, state: str) -> RunTask | StartTimer:
        """The first task or timer of a state that is waited for."""
        return next(action for action in self.waiting.values() if action.state == state)

    @property
    def states(self) -> list[str]:
        """The states that wait."""
        return [action.state for action in self.waiting.values()]

    @property
    def task(self) -> RunTask:
        """The only task that is waited for."""
        [action] = self.waiting.values()
        assert isinstance(action, RunTask)
        return action

    @property
    def timer(self) -> StartTimer:
        """The only timer that is waited for."""
        [action] = self.waiting.values()
        assert isinstance(action, StartTimer)
        return action

    def succeed(self, state: str, **output: Any) -> tuple[Action, ...]:
        return self.send(TaskSucceeded(self.at(state).key, output))

    def fail(
        self, state: str, error: str = "E", cause: str = "", *, retry: bool = False
    ) -> tuple[Action, ...]:
        return self.send(TaskFailed(self.at(state).key, error, cause, retry))

    def fire(self, state: str) -> tuple[Action, ...]:
        return self.send(TimerFired(self.at(state).key))

    @property
    def output(self) -> dict[str, Any]:
        """The output of an execution that has succeeded."""
        assert isinstance(self.end, Succeeded), self.end
        return self.end.output

    @property
    def failure(self) -> Failed:
        """The failure of an execution that has failed."""
        assert isinstance(self.end, Failed), self.end
        return self.end


def passed(state: dict[str, Any], data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Output of a Pass state with these members."""
    return Run(alone({"Type": "Pass", **state}), data).output

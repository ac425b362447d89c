"""One decision of the interpreter: how machines go from state to state, branch, and recover from failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, assert_never

import msgspec

from pagemill.workflows.choices import holds
from pagemill.workflows.data_flow import (
    amount,
    effective_input,
    items_of,
    left,
    passed_on,
    text_at,
    time_at,
    with_parameters,
)
from pagemill.workflows.definition import COMMONS_FAILED, Definition
from pagemill.workflows.expressions import Scope, evaluate
from pagemill.workflows.failures import NO_CHOICE, RUNTIME, TASK_FAILED, StateFailed
from pagemill.workflows.frames import Frame, frames_of, key_of
from pagemill.workflows.machine import (
    Context,
    Machine,
    Part,
    Position,
    RunTask,
    StartTimer,
    TaskFailed,
    TaskSucceeded,
    TimerFired,
    shown_time,
)
from pagemill.workflows.paths import PathMissing, put
from pagemill.workflows.retries import DEFAULT_RETRY, next_attempt
from pagemill.workflows.states import (
    LONGEST_SECONDS,
    MOST_ITEMS,
    Attempted,
    Choice,
    Fail,
    Map,
    Parallel,
    Pass,
    Succeed,
    Task,
    Wait,
)
from pagemill.workflows.work_bounds import Work

MOST_VISITS = 25_000
"""Tasks and timers of an execution, with those that were tried again."""
CONCURRENT_ITEMS = 40
"""Items of a Map that are worked on at the same time when its definition does not say how many."""


class Goto(NamedTuple):
    """A machine goes on with a state."""

    state: str
    data: Any


class Ended(NamedTuple):
    """A machine has succeeded."""

    output: Any


Step: TypeAlias = Goto | Ended | None
"""Next move of a machine after a state; None: it waits."""


class Decision:
    """Decision on one event: it changes the machine that it is given.

    A machine goes from state to state until it waits or ends. One inside a Parallel or Map state gives its
    output or failure to that state. Methods raise StateFailed and WorkSpent.
    """

    def __init__(self, definition: Definition, machine: Machine, context: Context) -> None:
        self.definition = definition
        self.machine = machine
        self.context = context
        self.now = shown_time(context.now)
        self.work = Work(context.execution_id, machine.draws)
        self.begun: list[RunTask | StartTimer] = []

    @property
    def root(self) -> Frame:
        """Return the frame of the outermost machine."""
        return Frame(self.definition, (), self.machine.root)

    def begin_with(self, data: dict[str, Any]) -> Ended | None:
        """Begin an execution on its input."""
        self.work.measure(data)
        return self.go(self.root, Goto(self.definition.start_at, data))

    def jump(self, state: str) -> Ended | None:
        """Leave all that the execution does, and go on with a state on the input of the current one."""
        self.machine.ended = False
        return self.go(self.root, Goto(state, self.machine.root.input))

    def happen(self, event: TaskSucceeded | TaskFailed | TimerFired) -> Ended | None:
        """Let an event happen that a frame of the machine waits for."""
        return self.happen_in(frames_of(self.definition, self.machine, event.key), event)

    def happen_in(
        self, frames: Sequence[Frame], event: TaskSucceeded | TaskFailed | TimerFired
    ) -> Ended | None:
        """Let an event happen in the innermost frame, and let the frames around it go on."""
        frame, inner = frames[0], frames[1:]
        step: Step
        try:
            if inner:
                ended = self.happen_in(inner, event)
                if ended is None:
                    return None
                step = self.part_ended(frame, inner[0].path[-1], ended.output)
            else:
                step = self.resume(frame, event)
        except StateFailed as failure:
            step = self.recover(frame, failure)
        return self.go(frame, step)

    def go(self, frame: Frame, step: Step) -> Ended | None:
        """Go from state to state until the machine waits or ends."""
        while isinstance(step, Goto):
            self.work.spend()
            position = frame.position
            position.state, position.input, position.entered = step.state, step.data, self.now
            position.attempt, position.retries = 1, []
            _clear(position)
            try:
                step = self.begin(frame)
            except StateFailed as failure:
                step = self.recover(frame, failure)
        return step

    def scope(self, frame: Frame) -> Scope:
        """Return the scope of a state's raw input."""
        return Scope(frame.position.input, self.context.shown(frame.position), self.work)

    def begin(self, frame: Frame) -> Step:
        """Begin the state that a machine has come to, or try it again."""
        match frame.state:
            case Task():
                self.run_task(frame, 0.0)
                return None
            case Choice() as choice:
                return self.choose(frame, choice)
            case Pass(result=result):
                scope = self.scope(frame)
                if result is msgspec.UNSET:
                    result = with_parameters(frame.compiled, effective_input(frame.compiled, scope))
                return self.leave(frame, result)
            case Wait() as wait:
                self.wait_for(frame, wait)
                return None
            case Succeed():
                return Ended(passed_on(frame.compiled, effective_input(frame.compiled, self.scope(frame))))
            case Fail(error=error, cause=cause):
                scope = self.scope(frame)
                error = text_at(frame.compiled, scope, "ErrorPath", error)
                cause = text_at(frame.compiled, scope, "CausePath", cause)
                raise StateFailed(error, cause, deliberate=True)
            case Parallel():
                return self.branch(frame)
            case Map():
                return self.work_on_items(frame)
            case other:
                assert_never(other)

    def resume(self, frame: Frame, event: TaskSucceeded | TaskFailed | TimerFired) -> Step:
        """Go on with a state that has waited for an event."""
        position = frame.position
        delayed = position.delayed
        _clear(position)
        match event:
            case TaskSucceeded(output=output):
                self.work.measure(output)
                return self.leave(frame, output)
            case TaskFailed(error=error, cause=cause, retry=asked):
                raise StateFailed(error, cause, retriable=True, asked=asked)
            case TimerFired() if delayed:
                return self.begin(frame)
            case TimerFired():
                scope = effective_input(frame.compiled, self.scope(frame))
                return self.follow(frame, passed_on(frame.compiled, scope))
            case other:
                assert_never(other)

    def leave(self, frame: Frame, result: Any) -> Step:
        """Leave a state that has a result."""
        return self.follow(frame, left(frame.compiled, self.scope(frame), result))

    def follow(self, frame: Frame, output: Any) -> Step:
        """Go on with the state's ``Next``."""
        state = frame.state
        assert not isinstance(state, Choice | Succeed | Fail), "these do not have a Next"
        return Ended(output) if state.next is None else Goto(state.next, output)

    def key(self, frame: Frame) -> str:
        """Return the key of a new task or timer that a frame waits for."""
        if self.machine.visits >= MOST_VISITS:
            raise StateFailed(RUNTIME, f"The execution has had more than {MOST_VISITS} tasks and timers")
        self.machine.visits += 1
        frame.position.visit = self.machine.visits
        return key_of(frame.path, frame.position.visit)

    def run_task(self, frame: Frame, delay: float) -> None:
        """Ask for the transition of a task, to be run after a delay in seconds."""
        task, compiled = frame.state, frame.compiled
        assert isinstance(task, Task)
        if task.resource == COMMONS_FAILED:
            raise StateFailed(TASK_FAILED, COMMONS_FAILED, deliberate=True)
        scope = effective_input(compiled, self.scope(frame))
        data = self.parameters(frame, scope)
        if not isinstance(data, dict):
            raise StateFailed(RUNTIME, f"The input of task {frame.position.state} must be an object")
        timeout = amount(compiled, scope, "TimeoutSecondsPath", 1, LONGEST_SECONDS)
        heartbeat = amount(compiled, scope, "HeartbeatSecondsPath", 1, LONGEST_SECONDS)
        self.begun.append(
            RunTask(
                key=self.key(frame),
                state=frame.position.state,
                resource=task.resource,
                input=data,
                attempt=frame.position.attempt,
                delay_seconds=delay,
                timeout_seconds=task.timeout_seconds if timeout is None else timeout,
                heartbeat_seconds=task.heartbeat_seconds if heartbeat is None else heartbeat,
            )
        )

    def parameters(self, frame: Frame, scope: Scope) -> Any:
        """Return what the state works on."""
        data = with_parameters(frame.compiled, scope)
        if data is not scope.data:
            self.work.measure(data)
        return data

    def wait_for(self, frame: Frame, wait: Wait) -> None:
        """Ask for the timer of a Wait state."""
        compiled = frame.compiled
        scope = effective_input(compiled, self.scope(frame))
        seconds: float | None = wait.seconds if isinstance(wait.seconds, int) else None
        if seconds is None:
            seconds = amount(compiled, scope, "SecondsPath", 0, LONGEST_SECONDS)
        until = None
        if seconds is None:
            constant = wait.timestamp if isinstance(wait.timestamp, str) else ""
            until = time_at(text_at(compiled, scope, "TimestampPath", constant))
        self.begun.append(StartTimer(self.key(frame), frame.position.state, seconds, until))

    def choose(self, frame: Frame, choice: Choice) -> Step:
        """Follow the first rule that holds."""
        scope = effective_input(frame.compiled, self.scope(frame))
        name = frame.position.state
        try:
            for rule in frame.compiled.rules:
                if holds(rule.rule, scope):
                    output = passed_on(frame.compiled, scope)
                    return Ended(output) if rule.next is None else Goto(rule.next, output)
        except PathMissing as missing:
            raise StateFailed(RUNTIME, f"The input of state {name} has no value at {missing.path}") from None
        if choice.default is None:
            raise StateFailed(NO_CHOICE, f"No choice of state {name} matches, and it has no Default")
        return Goto(choice.default, passed_on(frame.compiled, scope))

    def branch(self, frame: Frame) -> Step:
        """Start all branches of a Parallel state."""
        data = self.parameters(frame, effective_input(frame.compiled, self.scope(frame)))
        frame.position.parts = []
        for _ in frame.compiled.machines:
            self.start_part(frame, data)
        return self.join(frame, len(frame.compiled.machines))

    def work_on_items(self, frame: Frame) -> Step:
        """Start the next iterations of a Map state, as many as may go on at the same time."""
        state, compiled, position = frame.state, frame.compiled, frame.position
        assert isinstance(state, Map)
        scope = effective_input(compiled, self.scope(frame))
        items = items_of(compiled, scope, MOST_ITEMS)
        concurrency = amount(compiled, scope, "MaxConcurrencyPath", 0, MOST_ITEMS) or state.max_concurrency
        position.parts = position.parts or []
        going_on = sum(part.at is not None for part in position.parts)
        while len(position.parts) < len(items) and going_on < (concurrency or CONCURRENT_ITEMS):
            index = len(position.parts)
            going_on += self.start_part(frame, self.item(frame, scope, index, items[index]))
        return self.join(frame, len(items))

    def item(self, frame: Frame, scope: Scope, index: int, item: Any) -> Any:
        """Return the input of an iteration."""
        if frame.compiled.item_selector is None:
            return item
        context = {**scope.context, "Map": {"Item": {"Index": index, "Value": item}}}
        data = evaluate(frame.compiled.item_selector, Scope(scope.data, context, self.work))
        self.work.measure(data)
        return data

    def start_part(self, frame: Frame, data: Any) -> bool:
        """Start the next branch or iteration; return whether it goes on."""
        parts = frame.position.parts
        assert parts is not None
        index = len(parts)
        definition = frame.part(index)
        part = Part(Position(definition.start_at))
        parts.append(part)
        inner = frame.inside(index)
        assert inner is not None
        ended = self.go(inner, Goto(definition.start_at, data))
        if ended is not None:
            part.at, part.output = None, ended.output
        return ended is None

    def part_ended(self, frame: Frame, index: int, output: Any) -> Step:
        """Keep the output of a branch or iteration, and go on with the state that it belongs to."""
        parts = frame.position.parts
        assert parts is not None
        parts[index] = Part(None, output)
        if isinstance(frame.state, Map):
            return self.work_on_items(frame)
        return self.join(frame, len(parts))

    def join(self, frame: Frame, total: int) -> Step:
        """Leave a Parallel or Map state when all its machines have ended."""
        parts = frame.position.parts or []
        if len(parts) < total or any(part.at is not None for part in parts):
            return None
        frame.position.parts = None
        return self.leave(frame, [part.output for part in parts])

    def recover(self, frame: Frame, failure: StateFailed) -> Step:
        """Try a failed state again or go on as its Catch says. Raises StateFailed when it does not say so."""
        _clear(frame.position)
        state = frame.state
        try:
            if not isinstance(state, Attempted) or (isinstance(state, Task) and failure.deliberate):
                raise failure
            delay = self.delay_before_retry(frame, state, failure)
            if delay is not None:
                try:
                    self.try_again(frame, delay)
                    return None
                except StateFailed as other:
                    failure = other
            return self.catch(frame, state, failure)
        except StateFailed as final:
            final.state = final.state or frame.position.state
            raise

    def delay_before_retry(self, frame: Frame, state: Attempted, failure: StateFailed) -> float | None:
        """Count another attempt and return the seconds before it, or None when there is none."""
        of_branch = failure.state is not None
        if not failure.retriable and not of_branch:
            return None
        retry = (DEFAULT_RETRY if isinstance(state, Task) else ()) if state.retry is None else state.retry
        error = None if failure.asked and not of_branch else failure.error
        position = frame.position
        attempt = next_attempt(retry, error, position.retries, self.work.draw, of_branch=of_branch)
        if attempt is None:
            return None
        position.retries += [0] * (len(retry) - len(position.retries))
        position.retries[attempt.retrier] += 1
        position.attempt += 1
        return attempt.delay

    def try_again(self, frame: Frame, delay: float) -> None:
        """Ask for the task again, or for a timer after which a Parallel or Map state begins anew."""
        if isinstance(frame.state, Task):
            self.run_task(frame, delay)
        else:
            frame.position.delayed = True
            self.begun.append(StartTimer(self.key(frame), frame.position.state, delay))

    def catch(self, frame: Frame, state: Attempted, failure: StateFailed) -> Goto:
        """Go on as the first matching entry of Catch says."""
        of_branch = failure.state is not None
        for catcher, path in zip(state.catch, frame.compiled.catch_paths, strict=True):
            if catcher.matches(failure.error, of_branch=of_branch):
                data = frame.position.input
                if path is not None:
                    data = put(path, data, {"Error": failure.error, "Cause": failure.cause})
                    self.work.measure(data)
                return Goto(catcher.next, data)
        raise failure


def _clear(position: Position) -> None:
    """Wait for nothing any more."""
    position.visit, position.delayed, position.parts = 0, False, None

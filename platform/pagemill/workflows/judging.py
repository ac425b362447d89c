"""Judgement of definitions: what a workflow may not lead to, found before it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from pagemill.errors import BadRequest
from pagemill.workflows.definition import (
    COMMONS_FAILED,
    MEMBER,
    Definition,
    compile_definition,
    reachable,
    successors,
)
from pagemill.workflows.failures import ALL
from pagemill.workflows.retries import Catcher, Retrier
from pagemill.workflows.states import Attempted, Choice, Fail, Pass, State, Succeed, Task


def read_definition(raw: Mapping[str, Any]) -> Definition:
    """Read and judge the definition of a workflow. Raises BadRequest naming the member that is wrong."""
    definition = compile_definition(raw)
    seen: set[str] = set()
    for machine in definition.machines():
        for name, state in machine.states.items():
            if name in seen:
                raise BadRequest(f"{machine.member}.States.{name}: another state has the same name")
            seen.add(name)
            if isinstance(state, Attempted):
                _judge_errors(state, f"{machine.member}.States.{name}")
        _judge_circles(machine)
        _judge_ends(machine)
    _judge_output(definition)
    return definition


def _judge_errors(state: Attempted, member: str) -> None:
    """Refuse entries of Retry and Catch behind States.ALL, which takes all errors."""
    known: dict[str, Sequence[Retrier | Catcher]] = {"Retry": state.retry or (), "Catch": state.catch}
    for kind, entries in known.items():
        for position, entry in enumerate(entries):
            if ALL in entry.error_equals and (len(entry.error_equals) > 1 or position < len(entries) - 1):
                place = f"{member}.{kind}[{position}].ErrorEquals"
                raise BadRequest(f"{place}: {ALL} must stand alone, in the last entry of {kind}")


def _judge_circles(machine: Definition) -> None:
    """Refuse a circle of states that neither wait nor change the data: whoever enters it stays in it."""
    idle = {name for name, state in machine.states.items() if _is_idle(state)}
    following = {name: [target for target in successors(machine, name) if target in idle] for name in idle}
    entries = dict.fromkeys(idle, 0)
    for targets in following.values():
        for target in targets:
            entries[target] += 1
    outside = deque(name for name, count in entries.items() if not count)
    while outside:
        name = outside.popleft()
        idle.discard(name)
        for target in following[name]:
            entries[target] -= 1
            if not entries[target]:
                outside.append(target)
    if idle:
        circle = _circle(following, idle, next(name for name in machine.states if name in idle))
        raise BadRequest(
            f"{machine.member}.States.{circle[0]}: goes round without a Task or Wait state: {_shown(circle)}"
        )


def _circle(following: Mapping[str, list[str]], idle: set[str], start: str) -> list[str]:
    """Return the states of a circle that a state leads to or comes from."""
    back: dict[str, str] = {}
    for name in idle:
        for target in following[name]:
            if target in idle:
                back[target] = name
    visited: dict[str, None] = {}
    name = start
    while name not in visited:
        visited[name] = None
        name = back[name]
    walked = list(visited)
    return walked[walked.index(name) :][::-1]


def _shown(names: list[str]) -> str:
    few = names[:4]
    return ", ".join(few) + (f" and {len(names) - len(few)} others" if len(names) > len(few) else "")


def _is_idle(state: State) -> bool:
    """Return whether a state leaves its data as they are and does not wait."""
    match state:
        case Choice():
            return state.output_path == "$" == state.input_path
        case Pass(result=result, parameters=parameters):
            unchanged = state.output_path == "$" == state.input_path and state.result_path in ("$", None)
            return unchanged and result is UNSET and parameters is UNSET
        case _:
            return False


def _judge_ends(machine: Definition) -> None:
    """Refuse a state that can be entered and from which no end can be reached."""
    before: dict[str, list[str]] = {name: [] for name in machine.states}
    for name in machine.states:
        for target in successors(machine, name):
            before[target].append(name)
    ending = [name for name, state in machine.states.items() if _is_end(machine, name, state)]
    leading = set(ending)
    for name in ending:
        for earlier in before[name]:
            if earlier not in leading:
                leading.add(earlier)
                ending.append(earlier)
    for name in reachable(machine, machine.start_at):
        if name not in leading:
            raise BadRequest(f"{machine.member}.States.{name}: no end can be reached from it")


def _is_end(machine: Definition, name: str, state: State) -> bool:
    match state:
        case Succeed() | Fail():
            return True
        case Choice():
            return any(rule.next is None for rule in machine.compiled[name].rules)
        case Task(resource=resource) if resource == COMMONS_FAILED:
            return True
        case _:
            return state.end


def _judge_output(definition: Definition) -> None:
    """Refuse a constant that would be the output of the execution and is no object."""
    for name, state in definition.states.items():
        if isinstance(state, Pass) and state.end and state.result_path == "$" == state.output_path:
            result = {} if state.result is UNSET else state.result
            if not isinstance(result, dict):
                member = f"{MEMBER}.States.{name}.Result"
                raise BadRequest(f"{member}: the output of an execution must be an object")

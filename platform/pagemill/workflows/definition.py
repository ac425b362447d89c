"""Definitions of workflows: state machines in a subset of the Amazon States Language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from pagemill.errors import BadRequest
from pagemill.ids import TransitionId
from pagemill.validation import convert_member
from pagemill.workflows.choices import Branch, read_branch
from pagemill.workflows.retries import Retrier

DEFINITION_BYTES = 256 * 1024
LONGEST_NAME = 256
MEMBER = "specification.definition"
COMMONS_FAILED = TransitionId("las:transition:commons-failed")
"""The transition, shared by all organizations, that ends an execution as failed."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
Resource: TypeAlias = Annotated[
    TransitionId, Meta(pattern=r"^las:transition:([a-f0-9]{32}|commons-[0-9A-Za-z-]{1,200})$(?!\n)")
]


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", tag_field="Type"):
    comment: str = ""


class Task(_State, frozen=True, kw_only=True, tag="Task"):
    """State that runs a transition, whose output is the input of the next state."""

    resource: Resource
    next: Name | None = None
    end: bool = False
    timeout_seconds: Annotated[int, Meta(ge=1, le=99_999_999)] | None = None
    retry: Annotated[list[Retrier], Meta(max_length=20)] | None = None


class Choice(_State, frozen=True, kw_only=True, tag="Choice"):
    """State that goes on to the state of the first rule that holds."""

    choices: Annotated[list[Any], Meta(min_length=1)]
    default: Name | None = None


class Pass(_State, frozen=True, kw_only=True, tag="Pass"):
    """State that passes on its input, or its ``Result``."""

    result: dict[str, Any] | None = None
    next: Name | None = None
    end: bool = False


class Succeed(_State, frozen=True, tag="Succeed"):
    """State that ends the execution as succeeded."""


class Fail(_State, frozen=True, kw_only=True, tag="Fail"):
    """State that ends the execution as failed."""

    error: Annotated[str, Meta(max_length=256)] = "States.Failed"
    cause: Annotated[str, Meta(max_length=4096)] = ""


State: TypeAlias = Task | Choice | Pass | Succeed | Fail


class _Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", kw_only=True):
    start_at: Name
    states: Annotated[dict[Name, Any], Meta(min_length=1)]
    comment: str = ""
    version: Literal["1.0"] = "1.0"


class Definition(msgspec.Struct, frozen=True):
    """A state machine in which every named state exists."""

    start_at: str
    states: dict[str, State]
    branches: dict[str, list[Branch]]
    """The rules of each Choice state."""

    def tasks(self) -> Iterator[tuple[str, Task]]:
        """Yield the names and states that run a transition."""
        for name, state in self.states.items():
            if isinstance(state, Task):
                yield name, state

    def task(self, name: str) -> Task:
        """Return the task of that name. Raises KeyError for a state that is not a task."""
        state = self.states[name]
        if not isinstance(state, Task):
            raise KeyError(name)
        return state

    def transitions(self) -> dict[str, list[TransitionId]]:
        """Return the ids of the transitions that it runs, by the member that names them."""
        return {
            f"{MEMBER}.States.{name}.Resource": [task.resource]
            for name, task in self.tasks()
            if task.resource != COMMONS_FAILED
        }


def read_definition(raw: Mapping[str, Any]) -> Definition:
    """Read and check the definition of a workflow. Raises BadRequest naming the member that is wrong."""
    if len(msgspec.json.encode(raw)) > DEFINITION_BYTES:
        raise BadRequest(f"{MEMBER}: must not be larger than {DEFINITION_BYTES} bytes")
    machine = convert_member(raw, _Machine, MEMBER)
    states: dict[str, State] = {}
    branches: dict[str, list[Branch]] = {}
    for name, raw_state in machine.states.items():
        member = f"{MEMBER}.States.{name}"
        state: State = convert_member(raw_state, State, member)  # type: ignore[arg-type]
        states[name] = state
        if isinstance(state, Choice):
            branches[name] = [
                read_branch(raw_branch, f"{member}.Choices[{position}]")
                for position, raw_branch in enumerate(state.choices)
            ]
        elif isinstance(state, Task | Pass) and (state.next is None) != state.end:
            raise BadRequest(f"{member}: must have either Next (the name of a state) or End: true")
        if isinstance(state, Task) and "commons-" in state.resource and state.resource != COMMONS_FAILED:
            raise BadRequest(f"{member}.Resource: transition {state.resource} does not exist")
    definition = Definition(machine.start_at, states, branches)
    _check_names(definition)
    return definition


def _check_names(definition: Definition) -> None:
    if definition.start_at not in definition.states:
        raise BadRequest(f"{MEMBER}.StartAt: there is no state {definition.start_at}")
    for name in definition.states:
        for target in successors(definition, name):
            if target not in definition.states:
                raise BadRequest(f"{MEMBER}.States.{name}: there is no state {target}")


def successors(definition: Definition, name: str) -> list[str]:
    """Return the names of the states that can follow a state."""
    match definition.states[name]:
        case Task(next=following) | Pass(next=following):
            return [] if following is None else [following]
        case Choice(default=default):
            targets = [branch.next for branch in definition.branches[name]]
            return [target for target in (*targets, default) if target is not None]
        case Succeed() | Fail():
            return []


def task_of_transition(
    definition: Definition, transition_id: TransitionId, current: str | None
) -> str | None:
    """Return the name of a state that runs a transition, or None.

    The nearest one from the current state on is preferred, then the nearest one from the start.
    """
    for start in (current, definition.start_at):
        if start is not None:
            for name in _reachable(definition, start):
                state = definition.states[name]
                if isinstance(state, Task) and state.resource == transition_id:
                    return name
    return None


def _reachable(definition: Definition, start: str) -> Iterator[str]:
    """Yield the states that can be reached from a state, breadth first."""
    seen, waiting = {start}, [start]
    for name in waiting:
        yield name
        for target in successors(definition, name):
            if target not in seen:
                seen.add(target)
                waiting.append(target)

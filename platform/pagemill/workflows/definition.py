"""Definitions of workflows: state machines in the Amazon States Language, read and compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pagemill.errors import BadRequest
from pagemill.ids import TransitionId
from pagemill.storable_text import has_nul
from pagemill.validation import convert_member
from pagemill.workflows.choices import Branch, read_branch
from pagemill.workflows.commons import is_commons
from pagemill.workflows.comparisons import moment
from pagemill.workflows.expressions import Call, Template, read_constant, read_expression, read_template
from pagemill.workflows.paths import Path, read_query, read_reference, read_target
from pagemill.workflows.states import (
    EXCLUSIVE,
    UNSUPPORTED,
    Attempted,
    Choice,
    Fail,
    MachineMembers,
    Map,
    Parallel,
    Pass,
    State,
    Succeed,
    Task,
    Wait,
)
from pagemill.workflows.work_bounds import is_shallow

DEFINITION_BYTES = 256 * 1024
MOST_STATES = 10_000
"""Of a definition, with those of its branches."""
DEEPEST_MACHINE = 8
"""Parallel and Map states inside one another."""
DEEPEST_DEFINITION = 200
MEMBER = "specification.definition"
COMMONS_FAILED = TransitionId("las:transition:commons-failed")
"""The transition, shared by all organizations, that ends an execution as failed."""


@dataclass(slots=True)
class Compiled:
    """Paths, templates, rules and machines of a state, by the members that they are written in.

    A path that is None stands for null: {} where data are selected, and nowhere where a result is put.
    """

    input_path: Path | None
    output_path: Path | None
    result_path: Path | None
    parameters: Template | None = None
    result_selector: Template | None = None
    item_selector: Template | None = None
    catch_paths: tuple[Path | None, ...] = ()
    amounts: dict[str, Path | Call] = field(default_factory=dict)
    """Members like SecondsPath and ErrorPath."""
    rules: tuple[Branch, ...] = ()
    machines: tuple[Definition, ...] = ()


@dataclass(slots=True)
class Definition:
    """A state machine in which every named state exists."""

    member: str
    """Name of the place where it is written."""
    start_at: str
    states: dict[str, State]
    compiled: dict[str, Compiled]

    def machines(self) -> Iterator[Definition]:
        """Yield it and the machines inside it."""
        yield self
        for compiled in self.compiled.values():
            for machine in compiled.machines:
                yield from machine.machines()

    def transitions(self) -> dict[str, list[TransitionId]]:
        """Return the ids of the organization's transitions that it runs, by the member that names them."""
        return {
            f"{machine.member}.States.{name}.Resource": [state.resource]
            for machine in self.machines()
            for name, state in machine.states.items()
            if isinstance(state, Task) and not is_commons(state.resource)
        }


def compile_definition(raw: Mapping[str, Any]) -> Definition:
    """Read a definition without judging what its states lead to. Raises BadRequest naming the member."""
    try:
        encoded = msgspec.json.encode(raw)
    except RecursionError:
        raise BadRequest(f"{MEMBER}: is nested too deeply") from None
    if len(encoded) > DEFINITION_BYTES:
        raise BadRequest(f"{MEMBER}: must not be larger than {DEFINITION_BYTES} bytes")
    if has_nul(encoded):
        raise BadRequest(f"{MEMBER}: must not have the character U+0000")
    if not is_shallow(raw, DEEPEST_DEFINITION):
        raise BadRequest(f"{MEMBER}: is nested too deeply")
    return _Compiler().read_machine(raw, MEMBER, 0)


class _Compiler:
    """Reader of a definition, which counts its states."""

    def __init__(self) -> None:
        self.states = 0

    def read_machine(self, raw: Any, member: str, depth: int) -> Definition:
        if depth > DEEPEST_MACHINE:
            raise BadRequest(f"{member}: machines are nested deeper than {DEEPEST_MACHINE} levels")
        _refuse_members(raw, member)
        machine = convert_member(raw, MachineMembers, member)
        if depth == 0 and machine.processor_config is not None:
            raise BadRequest(f"{member}.ProcessorConfig: is only for the ItemProcessor of a Map state")
        self.states += len(machine.states)
        if self.states > MOST_STATES:
            raise BadRequest(f"{member}.States: a definition has at most {MOST_STATES} states")
        definition = Definition(member, machine.start_at, {}, {})
        for name, raw_state in machine.states.items():
            place = f"{member}.States.{name}"
            _refuse_members(raw_state, place)
            state: State = convert_member(raw_state, State, place)  # type: ignore[arg-type]
            definition.states[name] = state
            definition.compiled[name] = self.compile_state(state, place, depth)
        _check_names(definition)
        return definition

    def compile_state(self, state: State, member: str, depth: int) -> Compiled:
        _check_ending(state, member)
        compiled = Compiled(
            input_path=_optional(read_query, getattr(state, "input_path", "$"), f"{member}.InputPath"),
            output_path=_optional(read_query, getattr(state, "output_path", "$"), f"{member}.OutputPath"),
            result_path=_optional(read_target, getattr(state, "result_path", "$"), f"{member}.ResultPath"),
            parameters=_template(state, "parameters", f"{member}.Parameters"),
            result_selector=_template(state, "result_selector", f"{member}.ResultSelector"),
        )
        match state:
            case Task():
                _compile_task(state, compiled, member)
            case Choice(choices=choices):
                compiled.rules = tuple(
                    read_branch(raw, f"{member}.Choices[{position}]") for position, raw in enumerate(choices)
                )
            case Pass(result=result) if result is not UNSET:
                read_constant(result, f"{member}.Result")
            case Wait():
                _compile_wait(state, compiled, member)
            case Fail():
                for name in ("ErrorPath", "CausePath"):
                    _compile_amount(state, compiled, member, name, read_expression)
            case Parallel(branches=branches):
                compiled.machines = tuple(
                    self.read_machine(raw, f"{member}.Branches[{position}]", depth + 1)
                    for position, raw in enumerate(branches)
                )
            case Map():
                self.compile_map(state, compiled, member, depth)
            case Pass() | Succeed():
                pass
        if isinstance(state, Attempted):
            _compile_errors(state, compiled, member)
        return compiled

    def compile_map(self, state: Map, compiled: Compiled, member: str, depth: int) -> None:
        if (state.item_processor is UNSET) == (state.iterator is UNSET):
            raise BadRequest(f"{member}: must have ItemProcessor")
        name, raw = ("ItemProcessor", state.item_processor)
        if raw is UNSET:
            name, raw = ("Iterator", state.iterator)
        compiled.machines = (self.read_machine(raw, f"{member}.{name}", depth + 1),)
        # Parameters is the older name of ItemSelector.
        selector = _template(state, "item_selector", f"{member}.ItemSelector")
        compiled.item_selector, compiled.parameters = selector or compiled.parameters, None
        compiled.amounts["ItemsPath"] = read_reference(state.items_path, f"{member}.ItemsPath")
        _compile_amount(state, compiled, member, "MaxConcurrencyPath", read_reference)


def _refuse_members(raw: Any, member: str) -> None:
    """Refuse members that are not supported, and two of which there can be one only."""
    if not isinstance(raw, dict):
        return
    for name in UNSUPPORTED.keys() & raw.keys():
        raise BadRequest(f"{member}.{name}: is not supported: {UNSUPPORTED[name]}")
    for one, other in EXCLUSIVE:
        if raw.get(one) is not None and raw.get(other) is not None:
            raise BadRequest(f"{member}: must not have both {one} and {other}")


def _optional(read: Any, text: str | None, member: str) -> Path | None:
    return None if text is None else read(text, member)


def _template(state: State, name: str, member: str) -> Template | None:
    raw = getattr(state, name, UNSET)
    return None if raw is UNSET else read_template(raw, member)


def _check_ending(state: State, member: str) -> None:
    if isinstance(state, Task | Pass | Wait | Parallel | Map) and (state.next is None) != state.end:
        raise BadRequest(f"{member}: must have either Next (the name of a state) or End: true")


def _compile_amount(state: State, compiled: Compiled, member: str, name: str, read: Any) -> None:
    raw: str | UnsetType = getattr(state, _snake(name))
    if raw is not UNSET:
        compiled.amounts[name] = read(raw, f"{member}.{name}")


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _compile_task(state: Task, compiled: Compiled, member: str) -> None:
    for name in ("TimeoutSeconds", "HeartbeatSeconds"):
        _compile_amount(state, compiled, member, f"{name}Path", read_reference)
    timeout, heartbeat = state.timeout_seconds, state.heartbeat_seconds
    if timeout is not None and heartbeat is not None and heartbeat >= timeout:
        raise BadRequest(f"{member}.HeartbeatSeconds: must be less than TimeoutSeconds")


def _compile_wait(state: Wait, compiled: Compiled, member: str) -> None:
    for name in ("SecondsPath", "TimestampPath"):
        _compile_amount(state, compiled, member, name, read_reference)
    constants = (state.seconds, state.timestamp)
    if sum(constant is not UNSET for constant in constants) + len(compiled.amounts) != 1:
        raise BadRequest(f"{member}: must have one of Seconds, Timestamp, SecondsPath and TimestampPath")
    if state.timestamp is not UNSET and moment(state.timestamp) is None:
        raise BadRequest(f"{member}.Timestamp: must be a time like 2026-11-28T03:00:00Z")


def _compile_errors(state: Attempted, compiled: Compiled, member: str) -> None:
    compiled.catch_paths = tuple(
        _optional(read_target, catcher.result_path, f"{member}.Catch[{position}].ResultPath")
        for position, catcher in enumerate(state.catch)
    )


def _check_names(definition: Definition) -> None:
    if definition.start_at not in definition.states:
        raise BadRequest(f"{definition.member}.StartAt: there is no state {definition.start_at}")
    for name in definition.states:
        for target in successors(definition, name):
            if target not in definition.states:
                raise BadRequest(f"{definition.member}.States.{name}: there is no state {target}")


def successors(definition: Definition, name: str) -> list[str]:
    """Return the names of the states that can follow a state."""
    state = definition.states[name]
    targets: list[str | None]
    match state:
        case Choice(default=default):
            targets = [*(branch.next for branch in definition.compiled[name].rules), default]
        case Task(next=following) | Parallel(next=following) | Map(next=following):
            targets = [following, *(catcher.next for catcher in state.catch)]
        case Pass(next=following) | Wait(next=following):
            targets = [following]
        case Succeed() | Fail():
            targets = []
    return [target for target in targets if target is not None]


def task_of_transition(
    definition: Definition, transition_id: TransitionId, current: str | None
) -> str | None:
    """Return the name of a state of the outermost machine that runs a transition, or None.

    The nearest one from the current state on is preferred, then the nearest one from the start.
    """
    for start in (current, definition.start_at):
        if start is not None:
            for name in reachable(definition, start):
                state = definition.states[name]
                if isinstance(state, Task) and state.resource == transition_id:
                    return name
    return None


def reachable(definition: Definition, start: str) -> Iterator[str]:
    """Yield the states that can be reached from a state, breadth first."""
    seen, waiting = {start}, [start]
    for name in waiting:
        yield name
        for target in successors(definition, name):
            if target not in seen:
                seen.add(target)
                waiting.append(target)

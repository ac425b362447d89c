"""Frames: the machines of an execution that go on, each with the position at which it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pagemill.workflows.definition import Compiled, Definition
from pagemill.workflows.machine import Machine, Part, Path, Position
from pagemill.workflows.states import Map, State, Task


class Frame(NamedTuple):
    """A machine, and the position at which it stands."""

    definition: Definition
    path: Path
    position: Position

    @property
    def state(self) -> State:
        """Return the state that it is in."""
        return self.definition.states[self.position.state]

    @property
    def compiled(self) -> Compiled:
        """Return what was compiled of that state."""
        return self.definition.compiled[self.position.state]

    @property
    def awaits_task(self) -> bool:
        """Return whether what it waits for is a task, not a timer."""
        return isinstance(self.state, Task)

    def part(self, index: int) -> Definition:
        """Return the machine of a branch or iteration."""
        return self.compiled.machines[0 if isinstance(self.state, Map) else index]

    def inside(self, index: int) -> Frame | None:
        """Return the frame of a branch or iteration that goes on, if any."""
        parts = self.position.parts or []
        position = parts[index].at if index < len(parts) else None
        return None if position is None else Frame(self.part(index), (*self.path, index), position)


def key_of(path: Path, visit: int) -> str:
    """Return the key of what a position waits for."""
    return f"{'/'.join(map(str, path))}:{visit}"


def waiting_keys(position: Position, path: Path = ()) -> Iterator[str]:
    """Yield the keys of all tasks and timers that are waited for at a position and inside it."""
    if position.visit:
        yield key_of(path, position.visit)
    for index, part in enumerate(position.parts or ()):
        if part.at is not None:
            yield from waiting_keys(part.at, (*path, index))


def frames_of(definition: Definition, machine: Machine, key: str) -> list[Frame]:
    """Return the frames from the outermost to the one that waits for a key; none when nothing does."""
    places, _, visit = key.rpartition(":")
    if (
        machine.ended
        or not visit.isdecimal()
        or not all(place.isdecimal() for place in places.split("/") if places)
    ):
        return []
    frame: Frame | None = Frame(definition, (), machine.root)
    frames = []
    for place in [*(places.split("/") if places else ()), None]:
        if frame is None:
            return []
        frames.append(frame)
        frame = None if place is None else frame.inside(int(place))
    return frames if frames[-1].position.visit == int(visit) > 0 else []


def copied(machine: Machine) -> Machine:
    """Return a copy that can be changed. Data are shared: they are never changed in place."""
    return Machine(_copied(machine.root), machine.visits, machine.draws, machine.ended)


def _copied(position: Position) -> Position:
    return Position(
        state=position.state,
        input=position.input,
        entered=position.entered,
        visit=position.visit,
        attempt=position.attempt,
        retries=list(position.retries),
        delayed=position.delayed,
        parts=None if position.parts is None else [_copied_part(part) for part in position.parts],
    )


def _copied_part(part: Part) -> Part:
    return Part(None if part.at is None else _copied(part.at), part.output)

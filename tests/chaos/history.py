"""What happened while something was killed, as JSON lines: it is written down first and judged afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal[
    "prediction", "prediction-async", "document", "deletion", "transformation", "data-bundle"
]
RowKind: TypeAlias = Literal["prediction", "document", "transformation", "data-bundle"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", rename="camel"):
    """``at`` is in seconds since the recording began."""

    at: float = 0.0


class Began(Event, frozen=True, tag="began"):
    """The fault's name and the seed that brings the same operations again."""

    fault: str
    seed: int


class Sent(Event, frozen=True, tag="sent"):
    """An attempt of an operation went out. ``keyed`` ones carry an idempotency key."""

    operation: int
    organization_id: str
    kind: Kind
    keyed: bool
    attempt: int


class Answered(Event, frozen=True, tag="answered"):
    """What came back. ``subject_id`` is what the answer acknowledges, if it names anything."""

    operation: int
    attempt: int
    status: int
    seconds: float
    message: str | None = None
    """None when an answer that is no success is not the JSON that it should be."""
    retry_after: str | None = None
    subject_id: str | None = None


class Broken(Event, frozen=True, tag="broken"):
    """The connection ended without an answer, none came in time, or there was none (not ``connected``)."""

    operation: int
    attempt: int
    seconds: float
    connected: bool
    error: str


class Seen(Event, frozen=True, tag="seen"):
    """What a client read of something that was acknowledged."""

    subject_id: str
    status: str


class Killed(Event, frozen=True, tag="killed"):
    """Something was ended without being asked."""

    what: str
    process_ids: list[int]


class Back(Event, frozen=True, tag="back"):
    """``what`` is there again: the process, or a prediction that begins after the kill and succeeds."""

    what: str
    seconds: float


class Row(Event, frozen=True, tag="row"):
    """At the end: a resource. ``operation`` is the one that made it; None what was there before."""

    kind: RowKind
    id: str
    organization_id: str
    operation: int | None
    status: str | None = None
    pages: int = 0
    fields: int = 0


class JobRow(Event, frozen=True, tag="job"):
    """At the end: a job. ``ends`` is how often its row went from an open state to a final one."""

    id: str
    organization_id: str
    subject_id: str
    kind: str
    state: str
    attempt: int
    ends: int


class Counter(Event, frozen=True, tag="counter"):
    """At the end: a meter. ``highest`` is the most it ever showed."""

    organization_id: str
    meter: str
    used: float
    highest: float
    allowed: float | None


class Left(Event, frozen=True, tag="left"):
    """At the end: what should not be there. ``orphans`` may be left by a crash until a sweep removes them."""

    reservations: int
    miscounted_datasets: int
    missing_objects: int
    orphans: int
    orphans_after_sweep: int


class Memory(Event, frozen=True, tag="memory"):
    """Resident bytes of a process of the stack, by its title."""

    process_id: int
    title: str
    resident: int


AnyEvent: TypeAlias = (
    Began | Sent | Answered | Broken | Seen | Killed | Back | Row | JobRow | Counter | Left | Memory
)

_decoder = msgspec.json.Decoder(AnyEvent)


class Recorder:
    """Appends to a file, one event a line, in the order in which they are noted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = time.monotonic()
        self._file = path.open("wb", buffering=0)

    @property
    def now(self) -> float:
        return round(time.monotonic() - self._began, 4)

    def note(self, event: AnyEvent) -> None:
        """Stamp the event with the time and write it down."""
        self._file.write(msgspec.json.encode(msgspec.structs.replace(event, at=self.now)) + b"\n")

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Sequence[AnyEvent]:
    """A recorded history."""
    return [_decoder.decode(line) for line in path.read_bytes().splitlines()]

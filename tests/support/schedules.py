"""Times for tests of what is scheduled."""

from __future__ import annotations

import datetime

from pagemill.jobs.kind import AnyKind
from pagemill.jobs.schedule import Schedule

HOUR = 3600.0


def at(time: str) -> datetime.datetime:
    """A time in UTC."""
    return datetime.datetime.fromisoformat(time).replace(tzinfo=datetime.UTC)


def schedule_of(kind: AnyKind, interval: float) -> Schedule:
    """The schedule of a kind, with an interval in seconds."""
    assert kind.recurrence is not None
    return Schedule(kind, interval, kind.recurrence.organizations)

"""Figures that a scaling decision is made from, and its limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The pages of queued and running jobs as Postgres knows them, taken at a monotonic time in seconds.

    ``oldest`` is the age in seconds of the job that has waited longest among the interactive ones.
    """

    taken: float
    interactive: float = 0.0
    batch: float = 0.0
    running: float = 0.0
    oldest: float = 0.0
    ended: float = 0.0
    """Pages of jobs that ended in the last ``PACE_SECONDS``."""

    @property
    def waiting(self) -> float:
        """Return the pages of queued jobs."""
        return self.interactive + self.batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that is known at one moment: the backlog, and what Serve sees of the application.

    ``running`` replicas answer, ``target`` have been ordered, ``ongoing`` requests are at them or on their
    way. There is no backlog while Postgres has not answered yet.
    """

    backlog: Backlog | None
    running: int
    target: int
    ongoing: float
    seconds_per_page: float | None = None
    """Seconds for which a page takes a replica's place, as measured lately; None when nothing has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of an application, and what one of its replicas can do; times are in seconds."""

    minimum: int
    maximum: int
    places: int
    """Requests that a replica works on at a time."""
    seconds_per_page: float
    """Assumed until it has been measured."""
    start: float
    """From the order of a replica to its first page."""
    down_delay: float
    """For so long fewer replicas have to be enough before some are taken away."""

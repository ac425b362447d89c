"""The queue of jobs as dispatchers see it: a model of the statement that claims (db/job_leases.py).

``tests/integration/jobs/test_simulated_queue.py`` compares the two, claim by claim.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class QueuedJob:
    """A job in the order of its organization; times are in seconds."""

    priority: int
    created: float
    id: str
    organization: str = field(compare=False)
    pages: int = field(compare=False, default=1)


Turn: TypeAlias = Callable[[int], int]
"""The turn of an organization's next job, from how many of its jobs run."""


def fair(running: int) -> int:
    """Return the turn as the product has it: who has fewer jobs running is first."""
    return running


def first_come(_running: int) -> int:
    """Return the same turn for all: the older job is first, whoever's it is."""
    return 0


class SimulatedQueue:
    """Jobs that wait, by organization, and how many run."""

    def __init__(self, turn: Turn = fair) -> None:
        self._turn = turn
        self._waiting: dict[str, list[QueuedJob]] = {}
        self.running: Counter[str] = Counter()
        self.jobs = 0
        self.pages = 0

    def add(self, job: QueuedJob) -> None:
        """Queue a job."""
        heapq.heappush(self._waiting.setdefault(job.organization, []), job)
        self.jobs += 1
        self.pages += job.pages

    def claim(self, limit: int) -> list[QueuedJob]:
        """Take the next jobs, at most ``limit``; they run from now on."""
        heads = [self._head(organization) for organization in self._waiting]
        heapq.heapify(heads)
        claimed: list[QueuedJob] = []
        while heads and len(claimed) < limit:
            _, job = heapq.heappop(heads)
            waiting = self._waiting[job.organization]
            heapq.heappop(waiting)
            self.running[job.organization] += 1
            claimed.append(job)
            if waiting:
                heapq.heappush(heads, self._head(job.organization))
            else:
                del self._waiting[job.organization]
        self.jobs -= len(claimed)
        self.pages -= sum(job.pages for job in claimed)
        return claimed

    def end(self, job: QueuedJob) -> None:
        """Forget a job that ran."""
        self.running[job.organization] -= 1

    def oldest(self) -> float | None:
        """Return when the job was created that has waited longest; None when none waits."""
        return min((waiting[0].created for waiting in self._waiting.values()), default=None)

    def _head(self, organization: str) -> tuple[int, QueuedJob]:
        return self._turn(self.running[organization]), self._waiting[organization][0]

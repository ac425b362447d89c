"""Loads of many organizations, and how long each would wait if the cluster were divided without a loss."""

from __future__ import annotations

import bisect
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.simulated_queue import QueuedJob
from pagemill.jobs.job import INTERACTIVE

PAGES_OF_A_DOCUMENT = (1, 1, 1, 2, 2, 3, 4)
"""Documents of at most one part (applications.requests), in the same mix for all organizations."""


def organization(number: int) -> str:
    """Return the id of an organization."""
    return f"organization-{number:02d}"


def equal_loads(seed: int, *, organizations: int, pages: int) -> list[QueuedJob]:
    """Return jobs of organizations that all ask for as much in one minute, one after the other."""
    generator = random.Random(seed)
    each = pages // organizations
    jobs: list[QueuedJob] = []
    for number in range(organizations):
        created = 60.0 * number / organizations
        jobs += _documents(generator, organization(number), [created] * each, each)
    return sorted(jobs, key=lambda job: job.created)


def unequal_loads(seed: int, *, organizations: int, pages: int, seconds: float) -> list[QueuedJob]:
    """Return jobs of organizations of which each asks for as much as its rank allows, by Zipf's law.

    By turns they send all at once at some moment, evenly over ``seconds``, or in batches every five minutes.
    """
    generator = random.Random(seed)
    weights = [1.0 / rank for rank in range(1, organizations + 1)]
    jobs: list[QueuedJob] = []
    left, weight_left = pages, sum(weights)
    for number, weight in enumerate(weights):
        own = round(left * weight / weight_left)
        left, weight_left = left - own, weight_left - weight
        begin = generator.uniform(0.0, seconds)
        patterns = (
            lambda begin=begin: begin,
            lambda: generator.uniform(0.0, seconds),
            lambda: 300.0 * generator.randrange(round(seconds / 300.0)),
        )
        pattern = patterns[number % len(patterns)]
        jobs += _documents(generator, organization(number), sorted(pattern() for _ in range(own)), own)
    return sorted(jobs, key=lambda job: job.created)


def _documents(
    generator: random.Random, owner: str, times: Sequence[float], pages: int
) -> Iterable[QueuedJob]:
    """Yield documents with so many pages in all; the times are those of the pages."""
    asked = 0
    while asked < pages:
        size = min(generator.choice(PAGES_OF_A_DOCUMENT), pages - asked)
        yield QueuedJob(INTERACTIVE, times[asked], f"{owner}-{asked:06d}", owner, size)
        asked += size


def ideal_ends(
    jobs: Sequence[QueuedJob], rates: Sequence[float], *, seconds_per_page: float
) -> Mapping[str, float]:
    """Return when each job would end if every moment's rate were divided evenly between who waits.

    ``rates`` are the pages of each second. What an organization has no use for goes to the others (max-min
    fairness); a page takes ``seconds_per_page`` however few wait.
    """
    arriving = deque(jobs)
    waiting: dict[str, float] = defaultdict(float)
    done: dict[str, list[float]] = defaultdict(list)
    """Pages that an organization was served until the end of each second."""
    served: dict[str, float] = defaultdict(float)
    asked: dict[str, float] = defaultdict(float)
    due: list[tuple[QueuedJob, float]] = []
    for second, rate in enumerate(rates):
        while arriving and arriving[0].created < second + 1:
            job = arriving.popleft()
            waiting[job.organization] += job.pages
            asked[job.organization] += job.pages
            due.append((job, asked[job.organization]))
        _serve(waiting, served, rate)
        for owner in asked:
            pages = done[owner]
            pages.extend([0.0] * (second - len(pages)))
            pages.append(served[owner])
    return {
        job.id: max(
            bisect.bisect_left(done[job.organization], pages - 1e-6) + 1.0,
            job.created + job.pages * seconds_per_page,
        )
        for job, pages in due
    }


def _serve(waiting: dict[str, float], served: dict[str, float], rate: float) -> None:
    """Divide one second's pages: the smallest queues first, each at most its part of what is left."""
    left = rate
    hungry = sorted((pages, owner) for owner, pages in waiting.items() if pages > 0)
    for place, (pages, owner) in enumerate(hungry):
        given = min(pages, left / (len(hungry) - place))
        waiting[owner] -= given
        served[owner] += given
        left -= given

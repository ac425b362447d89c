"""Rehearsal 10: 100,000 pages of 50 organizations on the reading nodes of cluster.yaml.

The product decides: how many replicas there are (``scaling.decision``), how many predictions run at a time
(``scaling.slots``), how several dispatchers divide them (``assignment.Share``) and how many each claims at
once. The claiming statement is modelled, and the model compared with it by a test. Replicas, nodes and the
pages themselves are simulated: a page costs 2.1 seconds of a processor.
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.rehearsal_pools import Cluster
from benchmarks.rehearsal_scaling import pagemill_policy
from benchmarks.simulated_application import REPLICAS_OF_A_NODE, TICK, SimulatedApplication, Weather
from benchmarks.simulated_organizations import equal_loads, ideal_ends, unequal_loads
from benchmarks.simulated_queue import QueuedJob, SimulatedQueue, Turn, fair, first_come
from pagemill.applications.clients import parts_per_replica
from pagemill.cluster.assignment import Share
from pagemill.cluster.scaling.configuration import READING_SECONDS_PER_PAGE, READING_START_SECONDS
from pagemill.cluster.scaling.figures import Limits
from pagemill.cluster.scaling.slots import prediction_slots
from pagemill.jobs.dispatcher import claim_limit
from pagemill.settings import Settings

SEED = 10
ORGANIZATIONS, PAGES, NODES, DISPATCHERS = 50, 100_000, 20, 4
HOUR = 3600.0
ARRIVING_SECONDS = 1200.0
"""More pages in this time than the nodes can read: only then anybody waits for others."""
DAYS = 3
FACTOR = 1.5
CPU_SECONDS = 2.1
STEPS = 10
"""Claims of each dispatcher in a second. A real one claims within milliseconds of a job's end."""


@dataclass(slots=True)
class _Dispatcher:
    share: Share
    running: int = 0


@dataclass(slots=True)
class SimulatedCluster(SimulatedApplication):
    """Replicas that read the pages of jobs, and dispatchers that claim these."""

    settings: Settings = field(kw_only=True)
    dispatchers: list[_Dispatcher] = field(kw_only=True)
    queue: SimulatedQueue = field(kw_only=True)
    ends: dict[str, float] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    """Pages a second that the replicas could read, for each second."""
    _claimed: deque[tuple[QueuedJob, _Dispatcher]] = field(default_factory=deque)
    """Jobs that wait for a place of a replica."""
    _reading: list[tuple[float, int, QueuedJob, _Dispatcher]] = field(default_factory=list)
    _number: itertools.count[int] = field(default_factory=itertools.count)
    _chance: random.Random = field(default_factory=lambda: random.Random(SEED))

    @property
    def seconds_per_page(self) -> float:
        """Seconds for which a page takes its place, where all places of a replica share its processors."""
        return CPU_SECONDS * self.limits.places / self.settings.reading_threads

    def play(self, arriving: deque[QueuedJob]) -> None:
        """Let one second pass, in steps."""
        begun = self.now
        self._pass_time()
        self.rates.append(self.ready * self.limits.places / self.seconds_per_page)
        done = 0.0
        for step in range(STEPS):
            now = begun + (step + 1) * TICK / STEPS
            while arriving and arriving[0].created <= now:
                self.queue.add(arriving.popleft())
            done += self._end(now)
            self._claim_jobs()
            self._begin(now)
        self.interactive = float(self.queue.pages)
        self._interactive_since = self.queue.oldest()
        ongoing = float(len(self._claimed) + len(self._reading))
        self._observe(ongoing, float(len(self._reading)), done, Weather())

    def _end(self, now: float) -> float:
        """End what has been read; return its pages."""
        pages = 0.0
        while self._reading and self._reading[0][0] <= now:
            end, _, job, dispatcher = heapq.heappop(self._reading)
            self.queue.end(job)
            dispatcher.running -= 1
            self.ends[job.id] = end
            pages += job.pages
        return pages

    def _claim_jobs(self) -> None:
        together = prediction_slots(self.settings, self.ready)
        for dispatcher in self._chance.sample(self.dispatchers, len(self.dispatchers)):
            slots = dispatcher.share.slots(together)
            while limit := claim_limit(slots, dispatcher.running):
                claimed = self.queue.claim(limit)
                dispatcher.running += len(claimed)
                self._claimed.extend((job, dispatcher) for job in claimed)
                if len(claimed) < limit:
                    break

    def _begin(self, now: float) -> None:
        while self._claimed and len(self._reading) < self.ready * self.limits.places:
            job, dispatcher = self._claimed.popleft()
            end = now + job.pages * self.seconds_per_page
            heapq.heappush(self._reading, (end, next(self._number), job, dispatcher))


@dataclass(frozen=True, slots=True)
class Course:
    """When each job ended, and when it would have with an even division of the same cluster."""

    jobs: Sequence[QueuedJob]
    ends: Mapping[str, float]
    ideal: Mapping[str, float]
    most_nodes: int

    @property
    def seconds(self) -> float:
        """Time from the first job to the last end."""
        return max(self.ends.values())

    def waits(self, ends: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return the mean seconds from a job to its end, by organization."""
        by_owner: dict[str, list[float]] = defaultdict(list)
        for job in self.jobs:
            by_owner[job.organization].append((ends or self.ends)[job.id] - job.created)
        return {owner: statistics.fmean(waits) for owner, waits in by_owner.items()}

    def slowdowns(self) -> dict[str, float]:
        """Return the wait of each organization as a multiple of the ideal one."""
        ideal = self.waits(self.ideal)
        return {owner: wait / ideal[owner] for owner, wait in self.waits().items()}


def play(jobs: Sequence[QueuedJob], settings: Settings, turn: Turn = fair) -> Course:
    """Play jobs until the last one has ended, or for three hours."""
    limits = Limits(
        minimum=settings.reading_replicas_min,
        maximum=min(settings.reading_replicas_max, NODES * REPLICAS_OF_A_NODE),
        places=parts_per_replica(settings),
        seconds_per_page=READING_SECONDS_PER_PAGE,
        start=READING_START_SECONDS,
        down_delay=settings.replicas_down_delay,
    )
    count = settings.dispatchers
    cluster = SimulatedCluster(
        limits,
        settings=settings,
        dispatchers=[_Dispatcher(Share(number, count)) for number in range(count)],
        queue=SimulatedQueue(turn),
    )
    policy, arriving, most = pagemill_policy(limits), deque(jobs), 0
    while len(cluster.ends) < len(jobs) and cluster.now < 3 * HOUR:
        cluster.play(arriving)
        cluster.order(policy(cluster))
        most = max(most, cluster.ready)
    rates = [*cluster.rates, *cluster.rates[-1:] * round(HOUR)]
    ideal = ideal_ends(jobs, rates, seconds_per_page=cluster.seconds_per_page)
    return Course(jobs, cluster.ends, ideal, -(-most // REPLICAS_OF_A_NODE))


def judge(course: Course) -> dict[str, Any]:
    """Return what is seen of a course."""
    waits, slowdowns = course.waits(), course.slowdowns()
    return {
        "pages": sum(job.pages for job in course.jobs),
        "organizations": len(waits),
        "seconds": round(course.seconds),
        "nodes": course.most_nodes,
        "waitSeconds": [round(min(waits.values()), 1), round(max(waits.values()), 1)],
        "waitFactor": round(max(waits.values()) / min(waits.values()), 3),
        "timesIdealWait": [round(min(slowdowns.values()), 3), round(max(slowdowns.values()), 3)],
    }


def is_in_time(row: Mapping[str, Any]) -> bool:
    """Return whether all pages were read within the hour, on no more nodes than there are."""
    return bool(row["seconds"] <= HOUR and row["nodes"] <= NODES)


def waits_equally(row: Mapping[str, Any]) -> bool:
    """Return whether organizations with equal loads wait equally long."""
    return bool(row["waitFactor"] <= FACTOR)


def waits_as_divided(row: Mapping[str, Any]) -> bool:
    """Return whether nobody waits much longer than with an even division."""
    return bool(row["timesIdealWait"][1] <= FACTOR)


def run() -> Outcome:
    """Play equal and unequal loads, and both without turns, which is the reference."""
    settings = Cluster().settings({"PAGEMILL_DISPATCHERS": str(DISPATCHERS)})
    equal = equal_loads(SEED, organizations=ORGANIZATIONS, pages=PAGES)
    unequal = [
        unequal_loads(seed, organizations=ORGANIZATIONS, pages=PAGES, seconds=ARRIVING_SECONDS)
        for seed in range(SEED, SEED + DAYS)
    ]
    of_equal = judge(play(equal, settings))
    of_unequal = [judge(play(jobs, settings)) for jobs in unequal]
    seen = {
        "dispatchers": DISPATCHERS,
        "equal": of_equal,
        "unequal": of_unequal,
        "equalWithoutTurns": judge(play(equal, settings, first_come)),
        "unequalWithoutTurns": judge(play(unequal[0], settings, first_come)),
    }
    holds = (
        all(row["pages"] == PAGES and is_in_time(row) for row in (of_equal, *of_unequal))
        and waits_equally(of_equal)
        and all(waits_as_divided(row) for row in of_unequal)
    )
    return Outcome(seen, holds)


FAIRNESS = Rehearsal(
    number=10,
    name="fairness",
    bound=(
        f"{PAGES:,} pages of {ORGANIZATIONS} organizations, {CPU_SECONDS} CPU seconds each, are read within "
        f"an hour on {NODES} nodes of 8 CPUs, with {DISPATCHERS} dispatchers. Where all ask for as much in a "
        f"minute, their mean waits, until the end, are within a factor of {FACTOR}. Where they ask for "
        f"unequally many (Zipf) in {ARRIVING_SECONDS / 60:.0f} minutes, at once, evenly or in batches, "
        f"nobody's mean wait is more than {FACTOR} x that of an even division of the same replicas at each "
        "moment. Documents have the same mix of lengths everywhere: turns count jobs, not pages"
    ),
    run=run,
)

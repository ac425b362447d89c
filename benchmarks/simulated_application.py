"""A simulated application in a cluster: a queue, replicas that take time to start, nodes that can die.

Pages are a fluid: a place of a replica that is taken ends ``1 / seconds_per_page`` pages a second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pagemill.cluster.scaling.asking import ASK_SECONDS, PACE_SECONDS
from pagemill.cluster.scaling.figures import Backlog, Figures, Limits
from pagemill.cluster.scaling.pace import Pace
from pagemill.cluster.scaling.slots import SPARE

TICK = 1.0
REPLICAS_OF_A_NODE = 8
NODE_SECONDS = 60.0
"""Additional time to start of a replica that needs a new node."""
LOOK_BACK_TICKS = 12
FEWEST_SLOTS = 32
"""The default of PAGEMILL_PREDICTION_CONCURRENCY."""
DROP = 0.05
"""Less than this of a page in flight is none: a fluid would never end, and no replica would go."""


@dataclass(slots=True)
class Weather:
    """Events of the cluster in one tick."""

    interactive: float = 0.0
    batch: float = 0.0
    seconds_per_page: float = 2.0
    node_dies: bool = False
    database_is_away: bool = False


@dataclass(slots=True)
class SimulatedApplication:
    """One application, whose dispatcher has slots as it has in a cluster."""

    limits: Limits
    now: float = 0.0
    target: int = 0
    ready: int = 0
    starting: list[float] = field(default_factory=list)
    """Times at which replicas become ready."""
    interactive: float = 0.0
    batch: float = 0.0
    in_flight: float = 0.0
    arrived: float = 0.0
    served: float = 0.0
    backlog: Backlog | None = None
    replica_seconds: float = 0.0
    _ongoing: deque[float] = field(default_factory=lambda: deque(maxlen=LOOK_BACK_TICKS))
    _ended: deque[float] = field(default_factory=lambda: deque(maxlen=round(PACE_SECONDS / TICK)))
    _interactive_since: float | None = None
    _pace: Pace = field(default_factory=lambda: Pace(PACE_SECONDS))

    def __post_init__(self) -> None:
        self.target = self.ready = self.limits.minimum

    @property
    def figures(self) -> Figures:
        """Context of a policy now."""
        return Figures(
            backlog=self.backlog,
            running=self.ready,
            target=self.target,
            ongoing=sum(self._ongoing) / max(1, len(self._ongoing)),
            seconds_per_page=self._pace.seconds_per_page(self.backlog.ended) if self.backlog else None,
        )

    def order(self, replicas: int) -> None:
        """Set the target; replicas that are starting go first when it falls."""
        self.target = replicas
        while self.ready + len(self.starting) < replicas:
            self.starting.append(self.now + self._start_seconds())
        surplus = self.ready + len(self.starting) - replicas
        if surplus > 0:
            self.starting.sort()
            kept = max(0, len(self.starting) - surplus)
            surplus -= len(self.starting) - kept
            del self.starting[kept:]
            self.ready -= surplus

    def _start_seconds(self) -> float:
        needs_node = (self.ready + len(self.starting)) >= REPLICAS_OF_A_NODE
        return self.limits.start + (NODE_SECONDS if needs_node else 0.0)

    def tick(self, weather: Weather) -> None:
        """Let one tick pass."""
        self._pass_time()
        if weather.node_dies:
            self._lose_a_node()
        self.interactive += weather.interactive
        self.batch += weather.batch
        self.arrived += weather.interactive + weather.batch
        if not weather.database_is_away:
            self._claim()
        ongoing = self.in_flight
        busy = min(ongoing, self.ready * float(self.limits.places))
        done = min(self.in_flight, busy * TICK / weather.seconds_per_page)
        if self.in_flight - done < DROP and busy >= self.in_flight:
            done = self.in_flight
        self.in_flight -= done
        self.served += done
        self.replica_seconds += (self.ready + len(self.starting)) * TICK
        self._observe(ongoing, busy, done, weather)

    def _pass_time(self) -> None:
        self.now += TICK
        self.ready += sum(time <= self.now for time in self.starting)
        self.starting = [time for time in self.starting if time > self.now]

    def _claim(self) -> None:
        slots = max(float(FEWEST_SLOTS), SPARE * self.ready * self.limits.places)
        free = max(0.0, slots - self.in_flight)
        interactive = min(free, self.interactive)
        batch = min(free - interactive, self.batch)
        self.interactive -= interactive
        self.batch -= batch
        self.in_flight += interactive + batch

    def _lose_a_node(self) -> None:
        lost = min(REPLICAS_OF_A_NODE, self.ready)
        given_back = min(self.in_flight, float(lost * self.limits.places))
        self.ready -= lost
        self.in_flight -= given_back
        self.batch += given_back
        self.order(self.target)

    def _observe(self, ongoing: float, busy: float, done: float, weather: Weather) -> None:
        self._ongoing.append(ongoing)
        self._ended.append(done)
        self._pace.observe(self.now, busy)
        if self.interactive < 0.5:
            self._interactive_since = None
        elif self._interactive_since is None:
            self._interactive_since = self.now
        if weather.database_is_away or self.now % ASK_SECONDS >= TICK:
            return
        since = self._interactive_since
        self.backlog = Backlog(
            taken=self.now,
            interactive=self.interactive,
            batch=self.batch,
            running=ongoing,
            oldest=0.0 if since is None else self.now - since,
            ended=sum(self._ended),
        )

"""The policy that Serve's controller calls, ten times a second, on the loop that serves all applications."""

from __future__ import annotations

import logging
import os
import time
from typing import Any, Protocol

from pagemill.cluster.scaling.asking import PACE_SECONDS, BacklogWatch, ask_postgres
from pagemill.cluster.scaling.decision import Decision, ScalingState, decide
from pagemill.cluster.scaling.figures import Backlog, Figures, Limits
from pagemill.cluster.scaling.metrics import ScalingMetrics
from pagemill.cluster.scaling.pace import Pace
from pagemill.errors import PagemillError
from pagemill.settings import load_settings


class ServeContext(Protocol):
    """Part of Serve's AutoscalingContext that a policy reads."""

    current_num_replicas: int
    target_num_replicas: int
    total_num_requests: float
    capacity_adjusted_min_replicas: int
    capacity_adjusted_max_replicas: int


class BacklogSource(Protocol):
    """Source of the newest backlog."""

    @property
    def latest(self) -> Backlog | None:
        """The newest backlog; None before there is one."""
        ...

    def close(self) -> None:
        """Stop asking."""
        ...


class BacklogPolicy:
    """A policy of one application; it neither waits nor raises.

    Its arguments are kept by Serve in clear: the address of the database comes from the environment.
    """

    def __init__(
        self,
        *,
        application: str,
        places: int,
        seconds_per_page: float,
        start: float,
        down_delay: float,
        source: BacklogSource | None = None,
    ) -> None:
        self._application = application
        self._places, self._seconds_per_page = places, seconds_per_page
        self._start, self._down_delay = start, down_delay
        self._source = source or _watch_postgres()
        self._pace = Pace(PACE_SECONDS)
        self._metrics = ScalingMetrics(application)
        self._state = ScalingState()
        self._is_failing = False
        self._told: tuple[int, int] | None = None

    def __call__(self, context: ServeContext) -> tuple[int, dict[str, Any]]:
        """Return the number of replicas, and nothing for Serve to keep."""
        # The controller is the boundary: an error here would hold up the applications after this one.
        try:
            decision = self._decide(context, time.monotonic())
        except Exception:  # noqa: BLE001
            if not self._is_failing:
                self._is_failing = True
                _logger().exception("scaling: %s keeps its replicas: no decision", self._application)
            self._metrics.failed()
            return context.target_num_replicas, {}
        self._is_failing = False
        self._tell(context.target_num_replicas, decision)
        return decision.replicas, {}

    def _decide(self, context: ServeContext, now: float) -> Decision:
        backlog = self._source.latest
        self._pace.observe(
            now, min(context.total_num_requests, context.current_num_replicas * float(self._places))
        )
        figures = Figures(
            backlog=backlog,
            running=context.current_num_replicas,
            target=context.target_num_replicas,
            ongoing=context.total_num_requests,
            seconds_per_page=self._pace.seconds_per_page(backlog.ended) if backlog else None,
        )
        limits = Limits(
            minimum=context.capacity_adjusted_min_replicas,
            maximum=context.capacity_adjusted_max_replicas,
            places=self._places,
            seconds_per_page=self._seconds_per_page,
            start=self._start,
            down_delay=self._down_delay,
        )
        decision = decide(self._state, figures, limits, now)
        self._state = decision.state
        self._metrics.decided(decision, figures, now)
        return decision

    def _tell(self, target: int, decision: Decision) -> None:
        """Log a change, once: Serve may take some calls to follow."""
        change = (target, decision.replicas)
        if change != self._told and target != decision.replicas:
            _logger().info(
                "scaling: %s goes from %d to %d replicas: %s", self._application, *change, decision.reason
            )
        self._told = change

    def __del__(self) -> None:
        # A deployment with other limits makes another policy: the thread of this one ends.
        if hasattr(self, "_source"):
            self._source.close()


class _NoSource:
    """In place of a database whose address is not known; Serve's formula decides."""

    latest = None

    def close(self) -> None:
        """Do nothing."""


def _watch_postgres() -> BacklogSource:
    try:
        url = load_settings(os.environ).database_url
    except PagemillError as error:
        _logger().warning("scaling: the database is not asked: %s", error)
        return _NoSource()
    return BacklogWatch(lambda: ask_postgres(url))


def _logger() -> logging.Logger:
    """Return the logger of Serve's controller: its file is where operators look for scaling."""
    return logging.getLogger("ray.serve")

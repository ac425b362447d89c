"""The page that Prometheus scrapes. No label has a value of a tenant, a document or a model."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from typing import TypeAlias, get_args

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from db.transitions import TransitionType
from pagemill.api.metrics.figure_places import (
    IDLE_CONNECTIONS,
    IN_FLIGHT,
    NO_ANSWER,
    UNKNOWN_ROUTE,
    USED_CONNECTIONS,
    FigurePlaces,
    HistogramPlaces,
)
from pagemill.api.metrics.queue_watch import QueueFigures
from pagemill.api.openapi.parameters import path_of
from pagemill.release import release
from pagemill.workflows.transition_executions import EndStatus

API_PREFIX = "/v1"

Values: TypeAlias = Mapping[tuple[str, ...], float]
"""Values of a metric by those of its labels."""

_NOTHING: Values = {}
OPEN_STATUSES = ("running", "retry")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiFigures(Collector):
    """All figures of one moment: those of the processes by their places, and the queue's if there are any.

    ``kinds`` and ``roles`` are shown also where nothing of them is counted. ``volumes`` are directories.
    """

    places: FigurePlaces
    processes: Sequence[float]
    queue: QueueFigures | None
    volumes: Mapping[str, Path]
    kinds: Sequence[str]
    roles: Sequence[str]

    def page(self) -> bytes:
        """Return the page in Prometheus' text format."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; those of the queue have no values while Postgres gives none."""
        yield _gauge("build_info", "1; the label says the release.", ("version",), {(release(),): 1.0})
        yield from self._requests()
        yield from self._process()
        yield from self._queue()
        yield from self._executions()
        yield from self._disks()

    def _requests(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "pagemill_http_requests",
            "Requests that were answered; status none: their callers went before.",
            labels=("method", "route", "status"),
        )
        seconds = HistogramMetricFamily(
            "pagemill_http_request_seconds",
            "Time until the answer was sent.",
            labels=("method", "route"),
        )
        for (method, template), places in self.places.operations.items():
            route = _label(template)
            for status, place in places.statuses.items():
                if self.processes[place]:
                    code = str(status) if status != NO_ANSWER else "none"
                    total.add_metric((method, route, code), self.processes[place])
            self._add(seconds, (method, route), places.seconds)
        yield total
        yield seconds
        yield _gauge(
            "http_requests_in_flight",
            "Requests that wait for their answer.",
            (),
            {(): self.processes[IN_FLIGHT]},
        )

    def _process(self) -> Iterator[Metric]:
        lag = HistogramMetricFamily(
            "pagemill_event_loop_lag_seconds", "How late event loops were, looked at twice a second."
        )
        self._add(lag, (), self.places.lag)
        yield lag
        yield _gauge(
            "postgres_pool_connections",
            "Connections to Postgres of all pools.",
            ("state",),
            {("idle",): self.processes[IDLE_CONNECTIONS], ("used",): self.processes[USED_CONNECTIONS]},
        )

    def _queue(self) -> Iterator[Metric]:
        queue = self.queue
        waiting, running, oldest, pages, dispatchers = _NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING
        if queue is not None:
            waiting, running = _by_label(queue.waiting, self.kinds), _by_label(queue.running, self.kinds)
            oldest = _by_label(queue.oldest, self.kinds)
            pages = {("interactive",): queue.pages.interactive, ("background",): queue.pages.background}
            dispatchers = _by_label(queue.dispatchers, self.roles)
        is_up: Values = {(): float(queue is not None)}
        yield _gauge("postgres_up", "1 while Postgres gives the figures of the queue, else 0.", (), is_up)
        yield _gauge("jobs_waiting", "Queued jobs that may run.", ("kind",), waiting)
        yield _gauge("jobs_running", "Jobs that run.", ("kind",), running)
        yield _gauge("oldest_job_age_seconds", "Age of the oldest job that waits.", ("kind",), oldest)
        yield _gauge("pages_waiting", "Pages of jobs that wait.", ("priority",), pages)
        yield _gauge("dispatchers", "Dispatchers that live and do not drain.", ("role",), dispatchers)
        refused: Values = _NOTHING if queue is None else {(): float(queue.refused_mail)}
        yield _gauge("mail_refused", "Mail of the last day that bounds have refused.", (), refused)

    def _executions(self) -> Iterator[Metric]:
        executions, waiting, oldest = _NOTHING, _NOTHING, _NOTHING
        ended = CounterMetricFamily(
            "pagemill_steps_ended",
            "Steps that have ended since somebody scrapes, by type and outcome.",
            labels=("type", "outcome"),
        )
        if self.queue is not None:
            figures = self.queue.executions
            executions = _by_label(figures.executions, OPEN_STATUSES)
            waiting, oldest = {(): float(figures.waiting_steps)}, {(): figures.oldest_step}
            for ending in product(get_args(TransitionType), get_args(EndStatus)):
                ended.add_metric(ending, figures.ended_steps.get(ending, 0))
        yield _gauge("workflow_executions", "Executions that have not ended.", ("status",), executions)
        yield _gauge("manual_steps_waiting", "Steps that people can claim.", (), waiting)
        yield _gauge("oldest_manual_step_age_seconds", "Age of the oldest of them.", (), oldest)
        yield ended

    def _disks(self) -> Iterator[Metric]:
        usage = {volume: shutil.disk_usage(path) for volume, path in self.volumes.items() if path.exists()}
        free: Values = {(volume,): float(disk.free) for volume, disk in usage.items()}
        size: Values = {(volume,): float(disk.total) for volume, disk in usage.items()}
        yield _gauge("disk_free_bytes", "Bytes that are free.", ("volume",), free)
        yield _gauge("disk_size_bytes", "Bytes in all.", ("volume",), size)

    def _add(self, family: HistogramMetricFamily, labels: Sequence[str], places: HistogramPlaces) -> None:
        """Add a histogram if it has counted something."""
        total, *counts = self.processes[places.begin : places.end]
        bounds = (*map(str, places.bounds), "+Inf")
        if any(counts):
            family.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)


def _label(template: str) -> str:
    """Return a route as the API's document has it."""
    return UNKNOWN_ROUTE if template == UNKNOWN_ROUTE else path_of(template.removeprefix(API_PREFIX))


def _by_label(figures: Mapping[str, float], always: Iterable[str]) -> Values:
    """Return figures by their label, and 0 for what is ``always`` shown."""
    return {(name,): float(figures.get(name, 0)) for name in sorted({*always, *figures})}


def _gauge(name: str, documentation: str, labels: Sequence[str], values: Values) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"pagemill_{name}", documentation, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family

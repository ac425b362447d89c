"""docs/operations.md lists the metrics that there are, with their labels, and no others."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics_core import Metric

from pagemill.api.metrics.figure_places import METHODS, FigurePlaces, Operation
from pagemill.api.metrics.page import ApiFigures
from pagemill.api.metrics.queue_watch import QueueFigures
from pagemill.work.open_pages import OpenPages
from tests.support.ray_metrics import recorded

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ROW = re.compile(r"^\| `((?:ray_)?pagemill_\w+)` \| (\w+) \|([^|]*)\| [^|]+ \|$", re.MULTILINE)
MENTIONED = re.compile(r"`((?:ray_)?pagemill_[a-z_]+)`")
ROOMS = {"platform": "pagemill", "serve_apps": "serve_apps", "train_jobs": "train_jobs"}

ON_RAY = {
    "pagemill.cluster.job_metrics": ("JobMetrics", "release"),
    "pagemill.cluster.scaling.metrics": ("ScalingMetrics", "reading"),
    "pagemill.usage.reservation_metrics": ("ReservationMetrics",),
    "serve_apps.model_metrics": ("ModelMetrics",),
    "serve_apps.reading_metrics": ("ReadingMetrics",),
    "train_jobs.training_metrics": ("TrainingMetrics",),
}
"""The class of metrics in each module that has any, and what it is made with."""


class Declared(NamedTuple):
    """A metric: its name as it is scraped, its kind and its labels."""

    name: str
    kind: str
    labels: frozenset[str]


def of_the_api() -> Iterator[Declared]:
    """All metrics of a page on which everything has been counted."""
    places = FigurePlaces([Operation(METHODS[0], "/v1/documents")])
    nothing = QueueFigures({}, {}, {}, OpenPages(), {})
    figures = ApiFigures(
        places=places,
        processes=[1.0] * places.size,
        queue=nothing,
        volumes={"temporary": Path("/")},
        kinds=("mail",),
        roles=("long",),
    )
    for metric in figures.collect():
        suffix = "_total" if metric.type == "counter" else ""
        yield Declared(metric.name + suffix, metric.type, _labels(metric))


def _labels(metric: Metric) -> frozenset[str]:
    assert metric.samples, metric.name
    return frozenset(label for sample in metric.samples for label in sample.labels) - {"le"}


def on_ray() -> Iterator[Declared]:
    """All metrics that processes on Ray have, under the names that Ray gives them."""
    for name, (factory, *arguments) in ON_RAY.items():
        module = importlib.import_module(name)
        with recorded(module) as metrics:
            getattr(module, factory)(*arguments)
        for metric in metrics.values():
            suffix = "_total" if metric.kind == "counter" else ""
            yield Declared(f"ray_{metric.name}{suffix}", metric.kind, frozenset(metric.tag_keys))


def documented() -> list[Declared]:
    return [
        Declared(name, kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(OPERATIONS)
    ]


def modules_with_metrics_on_ray() -> set[str]:
    """The modules that import Ray's metrics."""
    return {
        ".".join(path.relative_to(ROOT / room).with_suffix("").parts)
        if room == "platform"
        else ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "ray.util.metrics" in path.read_text()
    }


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    assert sorted(documented()) == sorted([*of_the_api(), *on_ray()])


def test_no_module_has_metrics_beside_those() -> None:
    assert modules_with_metrics_on_ray() == set(ON_RAY)


def test_every_metric_that_is_mentioned_exists() -> None:
    mentioned = set(MENTIONED.findall(OPERATIONS))
    names = {metric.name for metric in documented()}
    unknown = {name for name in mentioned - names if not name.endswith("_")}
    assert len(names) > 35
    assert unknown == set()


def test_no_label_has_a_name_of_what_grows() -> None:
    labels = {label for metric in documented() for label in metric.labels}
    assert labels == {
        *("application", "kind", "lane", "method", "outcome", "priority", "reason", "role", "route"),
        *("source", "state", "status", "type", "version", "volume"),
    }

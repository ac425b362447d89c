"""Parts of a dashboard, and the PromQL that they repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Need: TypeAlias = Literal["autoscaler", "failure", "gpu"]
"""Circumstance without which a query has no data."""
WINDOW = "$__rate_interval"
"""Grafana's own variable: long enough for a rate at the data source's scrape interval."""


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL with the legend of its series."""

    expression: str
    legend: str
    needs: Need | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. ``unit`` is Grafana's name; ``names`` are texts for values; ``steps`` are (from, colour)."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat", "state-timeline"] = "timeseries"
    stacked: bool = False
    names: tuple[tuple[int, str], ...] = ()
    steps: tuple[tuple[float, str], ...] = ()
    show_name: bool = False
    """Show the legend in place of the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A dashboard; its panels stand from left to right, in rows."""

    name: str
    title: str
    description: str
    panels: tuple[Panel, ...]

    @property
    def file_name(self) -> str:
        """Return the name of its JSON file."""
        return f"{self.name}.json"


def labels(*names: str) -> str:
    """Return the ``by`` clause of labels; nothing without any."""
    return f" by ({', '.join(names)})" if names else ""


def rate(metric: str, *by: str, where: str = "") -> str:
    """Return a counter's increase a second, as the sum of all processes."""
    return f"sum{labels(*by)} (rate({metric}{where}[{WINDOW}]))"


def largest(metric: str, *by: str, where: str = "") -> str:
    """Return what each API process says of the same database: the largest, not the sum."""
    return f"max{labels(*by)} ({metric}{where})"


def quantile(share: float, metric: str, *by: str, where: str = "") -> str:
    """Return the value of a histogram below which ``share`` of the observations lie."""
    return f"histogram_quantile({share:g}, {rate(f'{metric}_bucket', 'le', *by, where=where)})"


def mean(metric: str, *by: str, where: str = "") -> str:
    """Return the mean of a histogram's observations."""
    return f"{rate(f'{metric}_sum', *by, where=where)} / {rate(f'{metric}_count', *by, where=where)}"


def quantiles_since_start(metric: str, where: str = "") -> tuple[Query, ...]:
    """Return queries for the median and the 95th percentile of all observations since the processes started.

    For what happens a few times a day: a series that begins with its first observation has no rate yet.
    """
    buckets = f"sum by (le) ({metric}_bucket{where})"
    return (
        Query(f"histogram_quantile(0.5, {buckets})", "50 %"),
        Query(f"histogram_quantile(0.95, {buckets})", "95 %"),
    )


def quantiles(metric: str, *by: str, where: str = "") -> tuple[Query, ...]:
    """Return queries for the median and for the 95th percentile."""
    of = "".join(f" {{{{{name}}}}}" for name in by)
    return (
        Query(quantile(0.5, metric, *by, where=where), f"50 %{of}"),
        Query(quantile(0.95, metric, *by, where=where), f"95 %{of}"),
    )

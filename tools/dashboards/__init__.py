"""Grafana dashboards, described in Python and kept as JSON files in ``deploy/observability/dashboards``."""

from __future__ import annotations

from pathlib import Path

from tools.dashboards import api, jobs, overview, scaling, serving, usage
from tools.dashboards.panels import Dashboard

DIRECTORY = Path(__file__).parents[2] / "deploy" / "observability" / "dashboards"
DASHBOARDS: tuple[Dashboard, ...] = (
    overview.DASHBOARD,
    jobs.DASHBOARD,
    serving.DASHBOARD,
    scaling.DASHBOARD,
    api.DASHBOARD,
    usage.DASHBOARD,
)

"""The queries of the dashboards as Grafana reads them, with what the description says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.dashboards import DASHBOARDS, DIRECTORY
from tools.dashboards.panels import WINDOW, Need


@dataclass(frozen=True, slots=True)
class Shown:
    """One query of a panel."""

    dashboard: str
    panel: str
    text: str
    needs: Need | None

    def __str__(self) -> str:
        return f"{self.dashboard}, {self.panel}: {self.text}"

    def expression(self, window: str) -> str:
        """Its PromQL; Grafana puts the window in."""
        return self.text.replace(WINDOW, window)


def dashboard_files() -> dict[str, dict[str, Any]]:
    """The dashboards by the names of their files."""
    return {path.name: json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.json"))}


def shown_queries() -> list[Shown]:
    """All queries of all files."""
    return list(_shown())


def _shown() -> Iterator[Shown]:
    needs = {
        query.expression: query.needs
        for dashboard in DASHBOARDS
        for panel in dashboard.panels
        for query in panel.queries
    }
    for name, dashboard in dashboard_files().items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield Shown(name, panel["title"], target["expr"], needs[target["expr"]])

"""Write the dashboards: ``python -m tools.dashboards``."""

from __future__ import annotations

from tools.dashboards import DASHBOARDS, DIRECTORY
from tools.dashboards.grafana import to_json


def main() -> None:
    """Write one JSON file for each dashboard and remove those of no dashboard."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    files = {dashboard.file_name: to_json(dashboard) for dashboard in DASHBOARDS}
    for path in DIRECTORY.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (DIRECTORY / name).write_text(text)


if __name__ == "__main__":
    main()

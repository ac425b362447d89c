"""JSON of a dashboard, as Grafana 10 and newer read it from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tools.dashboards.panels import Dashboard, Panel

SCHEMA_VERSION = 39
"""Of Grafana 10.4; newer ones migrate it by themselves."""
SIZES = {"stat": (4, 4), "timeseries": (8, 8), "state-timeline": (8, 8)}
"""Width and height of a panel, in Grafana's grid of 24 columns."""
COLUMNS = 24
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
TAG = "pagemill"


def to_json(dashboard: Dashboard) -> str:
    """Return the text of a dashboard's file."""
    document = {
        "uid": f"{TAG}-{dashboard.name}",
        "title": f"Pagemill: {dashboard.title}",
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [_link_to_others(), _link_to_ray()],
        "templating": {"list": [_data_source_variable()]},
        "annotations": {"list": [_alerts_annotation()]},
        "panels": list(_panels(dashboard)),
    }
    return json.dumps(document, indent=2) + "\n"


def _link_to_others() -> dict[str, Any]:
    return {"type": "dashboards", "title": "Pagemill", "tags": [TAG], "asDropdown": True, "keepTime": True}


def _link_to_ray() -> dict[str, Any]:
    return {
        "type": "link",
        "title": "Ray",
        "url": "/d/rayDefaultDashboard",
        "tooltip": "Dashboards that Ray generates",
        "keepTime": True,
        "targetBlank": True,
    }


def _data_source_variable() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def _alerts_annotation() -> dict[str, Any]:
    """Return the setting that marks in each panel when an alert fired."""
    return {
        "name": "Alerts",
        "datasource": DATA_SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing", service="pagemill"}',
        "titleFormat": "{{alertname}}",
        "step": "30s",
    }


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    left, top, height_of_row = 0, 0, 0
    for number, panel in enumerate(dashboard.panels, start=1):
        width, height = SIZES[panel.kind]
        if left + width > COLUMNS or (left and height != height_of_row):
            left, top = 0, top + height_of_row
        height_of_row = height
        position = {"x": left, "y": top, "w": width, "h": height}
        yield {"id": number, "gridPos": position, **_panel(panel)}
        left += width


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATA_SOURCE,
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": DATA_SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
                "range": True,
            }
            for number, query in enumerate(panel.queries)
        ],
    }


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.names:
        texts = {str(value): {"text": text} for value, text in panel.names}
        field["mappings"] = [{"type": "value", "options": texts}]
    if panel.steps:
        steps = [{"value": start or None, "color": colour} for start, colour in panel.steps]
        field["thresholds"] = {"mode": "absolute", "steps": steps}
        field["color"] = {"mode": "thresholds"}
    if panel.kind == "timeseries":
        field["custom"] = {"fillOpacity": 10, "showPoints": "never", "spanNulls": False}
        if panel.stacked:
            field["custom"] |= {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    return field


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        text = "name" if panel.show_name else "auto"
        values = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": values, "colorMode": "value", "graphMode": "none", "textMode": text}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    if panel.kind == "state-timeline":
        return {"legend": legend, "mergeValues": True, "showValue": "never"}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}

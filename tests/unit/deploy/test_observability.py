"""Dashboards, rules and their description fit together, and name only metrics that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from tests.support.dashboards import dashboard_files, shown_queries
from tests.support.prometheus import CONFIGURATION, OBSERVABILITY, RULES, alerting_rules, hastened
from tools.dashboards import DASHBOARDS
from tools.dashboards.grafana import COLUMNS, to_json

ROOT = Path(__file__).parents[3]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
README = (OBSERVABILITY / "README.md").read_text()
TESTS_OF_RULES = OBSERVABILITY / "alerts.test.yml"
SUFFIX = re.compile(r"_(bucket|sum|count|total)$")
OUR_METRIC = re.compile(r"(?<![\w:])(?:ray_)?pagemill_[a-z_]+")
RAYS_METRIC = re.compile(r"(?<![\w:])(?:ray|autoscaler)_(?!pagemill)([a-z_]+)")
VARIABLE = re.compile(r"\$\{?\w+\}?")
RAYS_SOURCES = (
    "autoscaler/_private/prom_metrics.py",
    "dashboard/modules/metrics/dashboards/default_dashboard_panels.py",
    "dashboard/modules/reporter/reporter_agent.py",
    "serve/_private/application_state.py",
    "serve/_private/deployment_state.py",
    "serve/_private/replica.py",
    "serve/_private/router.py",
)
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus"
)


def rules() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(RULES.read_text())
    return loaded


def alerts() -> list[dict[str, Any]]:
    return alerting_rules(rules())


def expressions() -> list[str]:
    """All PromQL that there is."""
    of_rules = [rule["expr"] for group in rules()["groups"] for rule in group["rules"]]
    return of_rules + [query.text for query in shown_queries()]


def section(title: str) -> str:
    return OPERATIONS.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def undocumented(texts: Iterable[str], documentation: str) -> set[str]:
    """Metrics of ours that the documentation does not name."""
    documented = set(OUR_METRIC.findall(documentation))
    named = {name for text in texts for name in OUR_METRIC.findall(text)}
    return {name for name in named if name not in documented and SUFFIX.sub("", name) not in documented}


def unknown_to_ray(texts: Iterable[str]) -> set[str]:
    """Metrics of Ray's that its own code does not name."""
    package = Path(ray.__file__).parent
    source = "".join((package / path).read_text() for path in RAYS_SOURCES)
    named = {name for text in texts for name in RAYS_METRIC.findall(text)}
    return {name for name in named if not re.search(rf"\b(ray_)?({name}|{SUFFIX.sub('', name)})\b", source)}


def promtool(*arguments: str, directory: Path = OBSERVABILITY) -> str:
    done = subprocess.run(
        ["promtool", *arguments], cwd=directory, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_file_is_what_its_description_gives() -> None:
    described = {dashboard.file_name: to_json(dashboard) for dashboard in DASHBOARDS}
    directory = OBSERVABILITY / "dashboards"
    assert {path.name: path.read_text() for path in directory.glob("*.json")} == described


def test_each_panel_says_what_it_shows() -> None:
    for name, dashboard in dashboard_files().items():
        for panel in dashboard["panels"]:
            of_panel = (name, panel["title"])
            assert panel["description"].endswith("."), of_panel
            assert panel["fieldConfig"]["defaults"]["unit"], of_panel
            assert panel["targets"], of_panel
            assert all(target["legendFormat"] for target in panel["targets"]), of_panel


def test_no_panel_lies_on_another() -> None:
    for name, dashboard in dashboard_files().items():
        places = [panel["gridPos"] for panel in dashboard["panels"]]
        assert all(place["x"] + place["w"] <= COLUMNS for place in places), name
        assert [(one, other) for one, other in combinations(places, 2) if overlap(one, other)] == [], name


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def test_dashboards_are_told_apart_and_ask_for_their_data_source() -> None:
    dashboards = dashboard_files().values()
    assert len({dashboard["uid"] for dashboard in dashboards}) == len(DASHBOARDS) >= 6
    for dashboard in dashboards:
        assert [variable["type"] for variable in dashboard["templating"]["list"]] == ["datasource"]
        assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {"${datasource}"}


def test_only_the_window_is_left_to_grafana() -> None:
    assert {name for query in shown_queries() for name in VARIABLE.findall(query.text)} == {
        "$__rate_interval"
    }


def test_panels_that_may_be_empty_are_named() -> None:
    [table] = re.findall(r"^Some queries have no data (.*)", README, re.MULTILINE | re.DOTALL)
    assert {query.panel for query in shown_queries() if query.needs} == set(re.findall(r"\*([^*]+)\*", table))


def test_the_rules_become_those_of_the_prometheus_operator() -> None:
    [command] = re.findall(r"^    (\{ printf .*) \| kubectl apply", README, re.MULTILINE)
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=OBSERVABILITY, capture_output=True, text=True, check=True, timeout=60
    )
    made = yaml.safe_load(done.stdout)
    assert (made["kind"], made["spec"]) == ("PrometheusRule", rules())


def test_each_metric_is_documented() -> None:
    assert undocumented(expressions(), OPERATIONS) == set()


def test_each_metric_of_ray_is_one_of_ray() -> None:
    assert unknown_to_ray(expressions()) == set()


def test_a_metric_that_does_not_exist_is_found() -> None:
    planted = [
        "rate(ray_pagemill_model_hit_total[5m])",
        "ray_serve_application_statuss",
        "ray_pagemill_models",
    ]
    assert undocumented(planted, OPERATIONS) == {"ray_pagemill_model_hit_total"}
    assert unknown_to_ray(planted) == {"serve_application_statuss"}


def test_each_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"].keys() == {"severity", "service"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}, rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_each_alert_is_described_and_each_description_is_of_an_alert() -> None:
    described = re.findall(r"^### (\w+)\n\n\*(Critical|Warning),", section("Alerts"), re.MULTILINE)
    assert described == [(rule["alert"], rule["labels"]["severity"].title()) for rule in in_order(alerts())]
    assert len(re.findall(r"^### ", section("Alerts"), re.MULTILINE)) == len(described)
    assert section("Alerts").count("*To do*:") == len(described)


def in_order(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each alert once, as the rules have them."""
    return list({rule["alert"]: rule for rule in found}.values())


def test_each_alert_has_a_test_that_it_fires_and_one_that_it_does_not() -> None:
    tests = yaml.safe_load(TESTS_OF_RULES.read_text())["tests"]
    fires, does_not = set(), set()
    for test in tests:
        for check in test.get("promql_expr_test", []):
            (fires if check["exp_samples"] else does_not).update(
                re.findall(r'alertname="(\w+)"', check["expr"])
            )
        for check in test.get("alert_rule_test", []):
            (fires if check["exp_alerts"] else does_not).add(check["alertname"])
    names = {rule["alert"] for rule in alerts()}
    # The idle stack is one on which none of them fires.
    assert tests[0]["promql_expr_test"][0] == {"expr": "ALERTS", "eval_time": "30m", "exp_samples": []}
    assert names - fires == set()
    assert does_not <= names


def test_haste_changes_times_and_nothing_else() -> None:
    rule = {"alert": "A", "expr": "rate(x[1h] offset 15m) > 300 or y[5m] > 0.1", "for": "15m", "labels": {}}
    [group] = hastened({"groups": [{"name": "g", "rules": [rule, {"record": "r", "expr": "x"}]}]})["groups"]
    assert group["rules"] == [
        {"alert": "A", "expr": "rate(x[60s] offset 24s) > 300 or y[24s] > 0.1", "for": "15s", "labels": {}},
        {"record": "r", "expr": "x"},
    ]


@needs_promtool
def test_promtool_finds_the_configuration_in_order() -> None:
    promtool("check", "config", CONFIGURATION.name)


@needs_promtool
def test_promtool_finds_each_alert_to_fire_when_it_should() -> None:
    promtool("test", "rules", TESTS_OF_RULES.name)


@needs_promtool
def test_promtool_finds_each_query_to_be_valid(tmp_path: Path) -> None:
    records = [
        {"record": f"query:{number}", "expr": query.expression("5m")}
        for number, query in enumerate(shown_queries())
    ]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": records}]}))
    promtool("check", "rules", "queries.yml", directory=tmp_path)

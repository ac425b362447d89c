"""A Prometheus of a test's own, with the configuration, rules and dashboards of the repository."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from pagemill.stack.postgres import free_port
from tests.support.processes import eventually

OBSERVABILITY = Path(__file__).parents[2] / "deploy" / "observability"
CONFIGURATION = OBSERVABILITY / "prometheus.yml"
RULES = OBSERVABILITY / "alerts.yml"
START_SECONDS = 60.0
CALL_SECONDS = 60.0
INTERVAL_SECONDS = 3
HASTE = 60
"""Factor by which alerts fire faster in tests: a minute of the rules is a second."""
SHORTEST_WINDOW = 24
"""Seconds of the shortest window of a rate: metrics of Ray's processes come every second or two."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WINDOW = re.compile(r"(\[|offset )(\d+)([smhd])")

Labels = dict[str, str]


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in ("prometheus", "promtool") if shutil.which(name) is None]


def alerting_rules(rules: dict[str, Any]) -> list[dict[str, Any]]:
    """All alerts of a file of rules."""
    return [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]


def hastened(rules: dict[str, Any]) -> dict[str, Any]:
    """The same rules, whose windows and delays are shorter; their limits are the same."""
    text = json.dumps(rules)
    copied: dict[str, Any] = json.loads(text)
    for group in copied["groups"]:
        for rule in group["rules"]:
            rule["expr"] = WINDOW.sub(_shorter_window, rule["expr"])
            if "for" in rule:
                rule["for"] = f"{max(1, _seconds(rule['for']) // HASTE)}s"
    return copied


def _shorter_window(found: re.Match[str]) -> str:
    seconds = max(SHORTEST_WINDOW, int(found[2]) * UNITS[found[3]] // HASTE)
    return f"{found[1]}{seconds}s"


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one."""

    url: str

    def _get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=CALL_SECONDS)
        body = answer.json()
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """The series of an instant, NaN left out."""
        data = self._get("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        found = [(dict(one["metric"]), float(one["value"][1])) for one in data["result"]]
        return [(labels, value) for labels, value in found if not math.isnan(value)]

    def alerts(self, name: str) -> list[Labels]:
        """The labels of an alert that fires."""
        return [labels for labels, _ in self.query(f'ALERTS{{alertname="{name}", alertstate="firing"}}')]

    def fired(self, seconds: float) -> set[str]:
        """The names of all alerts that have fired in the last seconds."""
        window = max(1, int(seconds))
        return {
            labels["alertname"]
            for labels, _ in self.query(f'count_over_time(ALERTS{{alertstate="firing"}}[{window}s])')
        }

    def annotations(self, name: str) -> list[Labels]:
        """Return the annotations of an alert that fires or is about to."""
        return [one["annotations"] for one in self._get("alerts")["alerts"] if name in one["labels"].values()]

    def targets(self) -> list[dict[str, Any]]:
        """All targets that it scrapes."""
        active: list[dict[str, Any]] = self._get("targets", state="active")["activeTargets"]
        return active

    def rules(self) -> list[dict[str, Any]]:
        """All rules, with the error of their last evaluation."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]


def write_configuration(directory: Path, *, api: Sequence[str], ray: Path) -> Path:
    """The repository's configuration with other targets and shorter intervals."""
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    interval = f"{INTERVAL_SECONDS}s"
    configuration["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    targets = directory / "api.json"
    targets.write_text(json.dumps([{"targets": list(api)}]))
    files = {"pagemill-api": str(targets), "ray": str(ray)}
    for job in configuration["scrape_configs"]:
        job["scrape_timeout"] = interval
        [discovery] = job["file_sd_configs"]
        discovery |= {"files": [files[job["job_name"]]], "refresh_interval": "5s"}
    (directory / RULES.name).write_text(json.dumps(hastened(yaml.safe_load(RULES.read_text()))))
    path = directory / CONFIGURATION.name
    path.write_text(yaml.safe_dump(configuration))
    return path


@contextmanager
def running_prometheus(directory: Path, *, api: Sequence[str], ray: Path) -> Iterator[Prometheus]:
    """One that scrapes these targets, stopped at the end; its log is beside its data."""
    configuration = write_configuration(directory, api=api, ray=ray)
    address = f"127.0.0.1:{free_port()}"
    log = directory / "prometheus.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={directory / 'series'}",
                f"--web.listen-address={address}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: process.poll() is not None or _ready(address), bool, seconds=START_SECONDS)
        assert process.poll() is None, log.read_text(errors="replace")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/-/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False

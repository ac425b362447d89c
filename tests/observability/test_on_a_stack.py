"""Dashboards show data and alerts fire when they should, on a real stack and a real Prometheus.

The tests build on each other, in their order: first all is well, then one part after the other fails.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.faults import kill_postgres, standing_still
from tests.chaos.world import World
from tests.observability.load import (
    Customer,
    age_the_queue,
    forget_the_queue,
    predict_with_broken_model,
    requests_under_way,
    work,
)
from tests.support.dashboards import Shown, shown_queries
from tests.support.processes import descendants, eventually, kill
from tests.support.prometheus import Prometheus

WINDOW = "3m"
SCRAPED_SECONDS = 60.0
SHOWN_SECONDS = 60.0
FIRES_SECONDS = 90.0
QUIET_SECONDS = 150.0
ROLES = {"interactive", "long", "housekeeping"}
TOO_OLD_SECONDS = 400.0
FILLED = 0.96

pytestmark = [pytest.mark.observability, pytest.mark.timeout(600)]


def empty(prometheus: Prometheus, queries: list[Shown]) -> list[str]:
    """The queries that have no data."""
    return [str(one) for one in queries if not prometheus.query(one.expression(WINDOW))]


def is_quiet(prometheus: Prometheus) -> None:
    """Return when no alert fires or is about to."""
    eventually(lambda: prometheus.query("ALERTS"), lambda found: not found, seconds=QUIET_SECONDS)


def test_all_targets_answer(prometheus: Prometheus) -> None:
    targets = eventually(
        prometheus.targets,
        lambda found: (
            {one["labels"]["job"] for one in found} == {"pagemill-api", "ray"}
            and all(one["health"] == "up" for one in found)
        ),
        seconds=SCRAPED_SECONDS,
    )
    assert len(targets) >= 2


def test_each_query_has_data_and_no_alert_fires(
    prometheus: Prometheus, world: World, customer: Customer
) -> None:
    is_quiet(prometheus)
    began = time.monotonic()

    asyncio.run(work(world, customer))
    everywhere = [one for one in shown_queries() if one.needs is None]
    eventually(
        lambda: empty(prometheus, everywhere),
        lambda found: not found,
        seconds=SHOWN_SECONDS,
        pause=2.0,
    )

    assert len(everywhere) > 60
    assert prometheus.fired(time.monotonic() - began) == set()


def test_each_rule_can_be_evaluated(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    assert len(rules) > 16
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


def test_queries_that_need_a_gpu_or_an_autoscaler_are_valid(prometheus: Prometheus) -> None:
    elsewhere = [one for one in shown_queries() if one.needs in ("gpu", "autoscaler")]
    for one in elsewhere:
        prometheus.query(one.expression(WINDOW))
    assert elsewhere


def test_models_that_cannot_be_loaded(prometheus: Prometheus, world: World, customer: Customer) -> None:
    asyncio.run(predict_with_broken_model(world, customer, times=4))

    found = eventually(lambda: prometheus.alerts("ModelLoadsFail"), bool, seconds=FIRES_SECONDS)

    assert [labels["reason"] for labels in found] == ["ModelMissing"]
    [said] = prometheus.annotations("ModelLoadsFail")
    assert said["summary"] == "Models cannot be loaded: ModelMissing"
    is_quiet(prometheus)


def test_killed_dispatchers_and_a_rising_queue(
    prometheus: Prometheus, world: World, customer: Customer
) -> None:
    with (
        kept_dead(world.stack.process.pid, "ray::Dispatcher"),
        requests_under_way(world, customer, asynchronous_predictions=True),
    ):
        eventually(
            lambda: {labels["role"] for labels in prometheus.alerts("DispatcherDown")},
            lambda roles: roles == ROLES,
            seconds=FIRES_SECONDS,
        )
        rising = eventually(lambda: prometheus.alerts("QueueRising"), bool, seconds=FIRES_SECONDS)
        asyncio.run(age_the_queue(world, TOO_OLD_SECONDS))
        old = eventually(lambda: prometheus.alerts("OldestJobTooOld"), bool, seconds=FIRES_SECONDS)
    asyncio.run(forget_the_queue(world))

    assert [labels["kind"] for labels in rising] == ["prediction"]
    assert "prediction" in {labels["kind"] for labels in old}
    is_quiet(prometheus)


def test_postgres_away(prometheus: Prometheus, world: World, customer: Customer) -> None:
    kill_postgres(world)
    try:
        with requests_under_way(world, customer, asynchronous_predictions=False):
            for name in ("PostgresAway", "ApiErrors", "ScalingSignalOld"):
                eventually(lambda name=name: prometheus.alerts(name), bool, seconds=FIRES_SECONDS)
    finally:
        world.postgres.start()
    is_quiet(prometheus)


def test_api_that_does_not_answer(prometheus: Prometheus, world: World) -> None:
    with standing_still(world.stack.process.pid):
        kill(descendants(world.stack.process.pid, lambda line: "granian" in line))
        found = eventually(lambda: prometheus.alerts("MetricsMissing"), bool, seconds=FIRES_SECONDS)

    assert [labels["job"] for labels in found] == ["pagemill-api"]
    is_quiet(prometheus)


def test_disk_that_is_nearly_full(prometheus: Prometheus, world: World, small_disk: Path | None) -> None:
    if small_disk is None:
        pytest.skip("no file system can be mounted here")
    filler = small_disk / "filler"
    free = int(prometheus.query('pagemill_disk_free_bytes{volume="temporary"}')[0][1])
    try:
        filler.write_bytes(bytes(int(free * FILLED)))
        found = eventually(lambda: prometheus.alerts("DiskNearlyFull"), bool, seconds=FIRES_SECONDS)
    finally:
        filler.unlink(missing_ok=True)

    assert [labels["volume"] for labels in found] == ["temporary"]
    is_quiet(prometheus)


def test_queries_of_failures_have_data(prometheus: Prometheus) -> None:
    failures = [one for one in shown_queries() if one.needs == "failure"]
    assert failures
    assert empty(prometheus, failures) == []


@contextmanager
def kept_dead(process_id: int, title: str) -> Iterator[None]:
    """Kill what has this title, and kill it again as often as it comes back."""
    ending = threading.Event()

    def watch() -> None:
        while not ending.is_set():
            kill(descendants(process_id, lambda line: title in line))
            ending.wait(0.2)

    thread = threading.Thread(target=watch, name="killer")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()

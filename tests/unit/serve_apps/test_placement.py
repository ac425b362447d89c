"""The applications ask Ray for what the pools say, and end what they have begun before they go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ray.serve import Application

from pagemill.applications.clients import PREDICTING_SECONDS, READING_SECONDS
from pagemill.pools import Placement, prediction_replica, reading_replica
from pagemill.settings import Settings, load_settings
from serve_apps.prediction import prediction_application
from serve_apps.reading import reading_application

REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"}
CHOSEN = {
    "PAGEMILL_READING_CPUS": "1.5",
    "PAGEMILL_READING_MEMORY": "2",
    "PAGEMILL_GPU_PER_PREDICTION_REPLICA": "0.25",
}


@pytest.mark.parametrize(
    ("application", "placement"),
    [(reading_application, reading_replica), (prediction_application, prediction_replica)],
)
def test_replicas_take_what_is_said_of_them(
    application: Callable[[dict[str, str]], Application],
    placement: Callable[[Settings], Placement],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for chosen in ({}, CHOSEN):
        for name, value in (REQUIRED | chosen).items():
            monkeypatch.setenv(name, value)
        [deployment] = [application({})._bound_deployment]
        options = placement(load_settings({**REQUIRED, **chosen})).actor_options
        assert options.items() <= (deployment.ray_actor_options or {}).items()


@pytest.mark.parametrize(
    ("application", "longest"),
    [(reading_application, READING_SECONDS), (prediction_application, PREDICTING_SECONDS)],
)
def test_a_replica_that_is_replaced_has_time_for_the_longest_call_and_a_successor_beside_it(
    application: Callable[[dict[str, str]], Application], longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    options = application({})._bound_deployment._deployment_config
    assert options.graceful_shutdown_timeout_s >= longest
    assert options.max_surge_percent > 0

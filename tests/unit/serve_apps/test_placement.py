"""The applications ask Ray for what the pools say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

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
    application: Callable[[Settings, AutoscalingConfig], Application],
    placement: Callable[[Settings], Placement],
) -> None:
    for chosen in ({}, CHOSEN):
        settings = load_settings({**REQUIRED, **chosen})
        [deployment] = [application(settings, AutoscalingConfig())._bound_deployment]
        options = placement(settings).actor_options
        assert options.items() <= (deployment.ray_actor_options or {}).items()

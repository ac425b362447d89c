"""The autoscaling configuration of the applications, made from the settings."""

from __future__ import annotations

from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from pagemill.applications.clients import parts_per_replica
from pagemill.applications.requests import PREDICTION, READING
from pagemill.settings import Settings
from serve_apps.prediction import BATCH_SIZE

POLICY = "pagemill.cluster.scaling.policies:BacklogPolicy"
READING_SECONDS_PER_PAGE = 1.5
"""Of a scan, on one processor; replaced by what is measured."""
PREDICTION_SECONDS_PER_PAGE = 0.1
READING_START_SECONDS = 10.0
"""From the order to the first page, where a node is there; a node from the cloud takes longer."""
PREDICTION_START_SECONDS = 20.0
LOOK_BACK_SECONDS = 12.0
"""Serve's requests are a mean over this time, which has to be longer than the 10 s between their reports; its
default of 30 s hides the beginning of a burst."""


def reading_autoscaling(settings: Settings) -> AutoscalingConfig:
    """Return how reading replicas follow the waiting pages."""
    return _autoscaling(
        settings,
        READING,
        minimum=settings.reading_replicas_min,
        maximum=settings.reading_replicas_max,
        places=parts_per_replica(settings),
        seconds_per_page=READING_SECONDS_PER_PAGE,
        start=READING_START_SECONDS,
    )


def prediction_autoscaling(settings: Settings) -> AutoscalingConfig:
    """Return how prediction replicas follow the waiting pages."""
    return _autoscaling(
        settings,
        PREDICTION,
        minimum=settings.prediction_replicas_min,
        maximum=settings.prediction_replicas_max,
        places=BATCH_SIZE,
        seconds_per_page=PREDICTION_SECONDS_PER_PAGE,
        start=PREDICTION_START_SECONDS,
    )


def _autoscaling(
    settings: Settings,
    application: str,
    *,
    minimum: int,
    maximum: int,
    places: int,
    seconds_per_page: float,
    start: float,
) -> AutoscalingConfig:
    maximum = max(1, maximum)
    minimum = min(minimum, maximum)
    return AutoscalingConfig(
        # Without a number to begin with: Serve would go back to it with each release.
        min_replicas=minimum,
        max_replicas=maximum,
        target_ongoing_requests=places,
        look_back_period_s=LOOK_BACK_SECONDS,
        # The policy has its own patience: Serve's would come on top of it.
        upscale_delay_s=0.0,
        downscale_delay_s=0.0,
        policy=AutoscalingPolicy(  # type: ignore[no-untyped-call]
            policy_function=POLICY,
            policy_kwargs={
                "application": application,
                "places": places,
                "seconds_per_page": seconds_per_page,
                "start": start,
                "down_delay": settings.replicas_down_delay,
            },
        ),
    )

"""Deployment to Ray, by ``python -m pagemill.cluster.deploy``; it ends when all parts are healthy.

It can be run again at any time: after the head was started anew, and after an upgrade. Workers take their
settings from the environment of their node; a dispatcher is handed its keys (``DispatcherKeys``) from here.
"""

from __future__ import annotations

import logging
import os
import sys

import ray
from ray import serve
from ray.serve import RunTarget

from pagemill import __version__
from pagemill.applications.requests import PREDICTION, READING
from pagemill.cluster.dispatchers import replace_dispatchers
from pagemill.cluster.scaling.configuration import prediction_autoscaling, reading_autoscaling
from pagemill.settings import Settings, load_settings
from pagemill.usage.actor import start_counters
from serve_apps.prediction import prediction_application
from serve_apps.reading import reading_application


def main() -> int:
    """Connect, deploy and disconnect; return the exit status 0 when all parts are healthy."""
    settings = load_settings(os.environ)
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    ray.init(
        address=settings.ray_address,
        namespace=settings.ray_namespace,
        log_to_driver=False,
        configure_logging=False,
    )
    try:
        deploy(settings)
    finally:
        ray.shutdown()
    return 0


def deploy(settings: Settings) -> None:
    """Deploy to the cluster that this process is connected to."""
    start_counters(settings)
    serve.start(proxy_location="Disabled", logging_config={"enable_access_log": False})
    serve.run_many(
        [
            RunTarget(
                reading_application(settings, reading_autoscaling(settings)),
                name=READING,
                route_prefix=None,
            ),
            RunTarget(
                prediction_application(settings, prediction_autoscaling(settings)),
                name=PREDICTION,
                route_prefix=None,
            ),
        ]
    )
    replace_dispatchers(settings, release=__version__)


if __name__ == "__main__":
    sys.exit(main())

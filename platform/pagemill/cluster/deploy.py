"""Deployment to Ray, by ``python -m pagemill.cluster.deploy``; it ends when all parts are healthy.

It can be run again at any time: after the head was started anew, and after an upgrade. Workers take their
settings from the environment of their node; the dispatcher is handed its keys (``DispatcherKeys``) from here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve import RunTarget

from pagemill.applications.requests import PREDICTION, READING
from pagemill.cluster.dispatcher import NAME as DISPATCHER
from pagemill.cluster.dispatcher import DispatcherActor, DispatcherKeys
from pagemill.cluster.scaling.configuration import prediction_autoscaling, reading_autoscaling
from pagemill.pools import coordinator
from pagemill.settings import Settings, load_settings
from pagemill.usage.actor import start_counters
from serve_apps.prediction import prediction_application
from serve_apps.reading import reading_application

STOP_SECONDS = 8.0
NAME_SECONDS = 20.0
START_SECONDS = 60.0
POLL_SECONDS = 0.1

logger = logging.getLogger(__name__)


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
    replace_dispatcher(settings)


def replace_dispatcher(settings: Settings) -> None:
    """Have the running dispatcher give its jobs back, and start one with the current code and settings."""
    _end_dispatcher(settings.ray_namespace)
    actor = ray.remote(DispatcherActor).options(
        name=DISPATCHER,
        namespace=settings.ray_namespace,
        lifetime="detached",
        max_restarts=-1,
        **coordinator().actor_options,
    )
    keys = DispatcherKeys(secret_keys=settings.secret_keys, smtp_password=settings.smtp_password)
    deadline = time.monotonic() + NAME_SECONDS
    while True:
        try:
            dispatcher = actor.remote(keys)
            break
        except ValueError:
            # The name of a dead actor is free a moment later.
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
    status = ray.get(dispatcher.status.remote(), timeout=START_SECONDS)
    logger.info("the dispatcher works: %s", status)


def _end_dispatcher(namespace: str) -> None:
    try:
        dispatcher = ray.get_actor(DISPATCHER, namespace=namespace)
    except ValueError:
        return
    # One that cannot give its jobs back loses them to the lease.
    with contextlib.suppress(RayError):
        ray.get(dispatcher.stop.remote(), timeout=STOP_SECONDS)
    ray.kill(dispatcher, no_restart=True)


if __name__ == "__main__":
    sys.exit(main())

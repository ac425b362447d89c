"""Deployment to Ray, by ``python -m pagemill.cluster.deploy``; it ends when all parts are healthy.

It can be run again at any time: after the head was started anew, and after an upgrade. Workers take their
settings from the environment of their node; a dispatcher is handed its keys (``DispatcherKeys``) from here.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence

import ray
from ray.exceptions import RayError
from ray.job_config import JobConfig
from ray.serve.exceptions import RayServeException

from pagemill import __version__
from pagemill.cluster.dispatchers import replace_dispatchers
from pagemill.cluster.failures import failure_line
from pagemill.cluster.reconciliation import find_missing, wait_until_lacking
from pagemill.cluster.rollout import roll_out
from pagemill.cluster.serve_configuration import APPLICATIONS, ServedApplication
from pagemill.errors import PagemillError
from pagemill.release import release as installed_release
from pagemill.sandbox.concealment import conceal_ray_worker
from pagemill.settings import Settings, load_settings
from pagemill.usage.actor import replace_counters

FAILURES = (PagemillError, RayError, RayServeException, OSError)
"""Errors that an operator is told in one line: of the settings, of Ray, of the way to it."""

logger = logging.getLogger(__name__)


def main(
    arguments: Sequence[str] = (),
    *,
    release: str = "",
    applications: Sequence[ServedApplication] = APPLICATIONS,
) -> int:
    """Connect, deploy and disconnect; return the exit status: 0 when all parts are healthy, else 1.

    Without a ``release`` it is that of the installed code. With ``--stay`` it goes on until something is
    missing, and then ends with 1.
    """
    # Its keys are for a dispatcher alone, and Ray's processes run beside it, as the same user. Ray's agent
    # looks into who deploys and stays as into a worker.
    conceal_ray_worker()
    try:
        return _connect_and_deploy(release or installed_release(), applications, stays="--stay" in arguments)
    except FAILURES as error:
        logger.error("nothing was deployed: %s: %s", type(error).__name__, error)
        return 1


def _connect_and_deploy(release: str, applications: Sequence[ServedApplication], *, stays: bool) -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = load_settings(os.environ)
    logging.getLogger().setLevel(settings.log_level)
    ray.init(
        address=settings.ray_address,
        namespace=settings.ray_namespace,
        log_to_driver=False,
        configure_logging=False,
        job_config=JobConfig(metadata=job_metadata(release)),
    )
    failures = deploy(settings, release, applications)
    if stays and not failures:
        missing = wait_until_lacking(lambda: find_missing(settings, release, applications))
        logger.warning("%s", missing)
        # Disconnecting from a Ray that is gone would not end.
        os._exit(1)
    ray.shutdown()
    return 1 if failures else 0


def job_metadata(release: str) -> dict[str, str]:
    """Return what Ray says of the job of a deployment, which dispatchers and usage counters belong to."""
    return {"job_name": f"pagemill {release}", "release": release, "version": __version__}


def deploy(
    settings: Settings, release: str, applications: Sequence[ServedApplication] = APPLICATIONS
) -> dict[str, str]:
    """Deploy to the cluster that this process is connected to; return why applications do not run, by name.

    The release that runs already restarts nothing.
    """
    began = time.monotonic()
    replace_counters(settings, release)
    failures = roll_out(settings, release, applications)
    for name, reason in failures.items():
        logger.error("%s", failure_line(name, reason))
    replace_dispatchers(settings, release)
    if not failures:
        logger.info("release %s runs after %.1f s", release, time.monotonic() - began)
    return failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

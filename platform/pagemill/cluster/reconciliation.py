"""Search for the parts of a deployment that a cluster lacks, by the driver that made it."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Sequence

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus

from pagemill.cluster.dispatchers import missing_dispatchers
from pagemill.cluster.rollout import failure_reason
from pagemill.cluster.serve_configuration import APPLICATIONS, ServedApplication
from pagemill.settings import Settings
from pagemill.usage.actor import counter_name, find_counters

LOOK_SECONDS = 5.0
NO_ANSWER = "Ray did not answer"
ANSWER_SECONDS = 20.0
"""Calls to a head that is gone do not end by themselves, for a minute."""


def wait_until_lacking(look: Callable[[], str], *, pause: float = LOOK_SECONDS) -> str:
    """Look again and again; return what is missing twice in a row, or that Ray did not answer in time.

    At one look alone Ray may just be bringing it back, Serve's controller for instance.
    """
    before = ""
    while True:
        missing = answer_in_time(look)
        if missing and (before or missing.startswith(NO_ANSWER)):
            return missing
        before = missing
        time.sleep(pause)


def answer_in_time(look: Callable[[], str], seconds: float = ANSWER_SECONDS) -> str:
    """Look in a thread of its own; return what is missing, or that Ray did not answer."""
    executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="look")
    try:
        return executor.submit(look).result(seconds)
    except concurrent.futures.TimeoutError:
        return f"{NO_ANSWER} within {seconds:g} s"
    except (RayError, RayServeException, ConnectionError) as error:
        return f"Ray does not answer: {error}"
    finally:
        executor.shutdown(wait=False)


def find_missing(
    settings: Settings, release: str, applications: Sequence[ServedApplication] = APPLICATIONS
) -> str:
    """Return what does not run of a release; nothing when all does. Raises RayError.

    What Ray and Serve bring back by themselves is not missing: a replica or a dispatcher that died.
    """
    found = serve.status().applications
    missing = [one.name for one in applications if one.name not in found]
    missing += [
        f"{name} ({failure_reason(application)})"
        for name, application in found.items()
        if application.status == ApplicationStatus.DEPLOY_FAILED
    ]
    missing += missing_dispatchers(settings)
    counters = find_counters(settings.ray_namespace)
    names = [counter_name(shard, release) for shard in range(settings.usage_counters)]
    missing += [name for name in names if name not in counters]
    return f"does not run: {', '.join(missing)}" if missing else ""

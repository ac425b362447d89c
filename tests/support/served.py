"""Applications that a deployment is tried with: one that answers, and one that needs a file to start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import ray
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from pagemill.cluster.serve_configuration import RELEASE, ServedApplication
from pagemill.pools import SURGE_PERCENT

NEEDED = "TEST_NEEDED_FILE"
"""Variable with the path of the file without which ``Needing`` does not start."""
CPUS = "TEST_REPLICA_CPUS"
CALL_SECONDS = 60.0
PAUSE_SECONDS = 0.05


class Answering:
    """Replica that says which release it is, and which process."""

    async def __call__(self) -> tuple[str, int]:
        """Return the release and the process id."""
        return os.environ[RELEASE], os.getpid()


class Needing(Answering):
    """Replica that does not start without a file."""

    def __init__(self) -> None:
        if not Path(os.environ[NEEDED]).exists():
            raise FileNotFoundError(f"the weights {os.environ[NEEDED]} are not there")


def answering(_arguments: dict[str, str]) -> Application:
    """Build an application that answers."""
    return _application(Answering)


def needing(_arguments: dict[str, str]) -> Application:
    """Build an application that needs a file."""
    return _application(Needing)


def _application(replica: type) -> Application:
    deployment = serve.deployment(
        replica,
        name="Replica",
        ray_actor_options={"num_cpus": float(os.environ.get(CPUS, "0.1"))},
        max_surge_percent=SURGE_PERCENT,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config={"enable_access_log": False},
    )
    return deployment.bind()


def served(name: str) -> ServedApplication:
    """Return what is declared of an application of this module."""
    return ServedApplication(
        name=name,
        deployment="Replica",
        builder=f"tests.support.served:{name}",
        settings=(),
        autoscaling=lambda _: AutoscalingConfig(min_replicas=1, max_replicas=1),
    )


@ray.remote(num_cpus=0, max_retries=0, max_calls=1)
def call_until(stop: Path, begun: Path, name: str) -> list[tuple[str, int]]:
    """Call an application until a file is there; return its answers. Raises what a call raises.

    ``begun`` is written after the first answer.
    """

    async def call() -> list[tuple[str, int]]:
        handle = serve.get_deployment_handle("Replica", name, _check_exists=False)
        answers: list[tuple[str, int]] = []
        while not answers or not await asyncio.to_thread(stop.exists):
            answers.append(await asyncio.wait_for(handle.remote(), CALL_SECONDS))
            await asyncio.to_thread(begun.touch)
            await asyncio.sleep(PAUSE_SECONDS)
        return answers

    return asyncio.run(call())

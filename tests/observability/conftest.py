"""One stack under a little load, and a Prometheus that scrapes it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import free_port
from tests.chaos.storage import running_storage
from tests.chaos.world import World, running_world
from tests.observability.load import Customer, join_customer
from tests.support.directories import temporary_directory
from tests.support.prometheus import Prometheus, missing, running_prometheus
from tests.support.small_model import small_artefact

SMALL_DISK = "192m"
DISCOVERY = "session_latest/prom_metrics_service_discovery.json"
SETTINGS = {
    "PAGEMILL_JOB_LEASE": "6",
    "PAGEMILL_JOB_HEARTBEAT": "1.5",
    "PAGEMILL_TRAINING_BUDGET": "8",
    # Models leave the replica and come again, so that loads and evictions are counted.
    "PAGEMILL_PREDICTION_MODEL_AGE": "10",
}


@pytest.fixture(scope="package", autouse=True)
def programs() -> None:
    """Skip all where Prometheus is not installed."""
    if absent := missing():
        pytest.skip(f"{' and '.join(absent)} not installed: apt-get install prometheus")


@pytest.fixture(scope="package")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def small_disk() -> Iterator[Path | None]:
    """A file system of the stack's own for its temporary files; None where nothing can be mounted."""
    with temporary_directory("pagemill-disk-") as directory, mounted(directory) as disk:
        yield disk


@contextmanager
def mounted(directory: Path) -> Iterator[Path | None]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=1777", "pagemill", str(directory)]
    try:
        is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        is_mounted = False
    if not is_mounted:
        yield None
        return
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture(scope="package")
def world(programs: None, metrics_port: int, small_disk: Path | None) -> Iterator[World]:
    """A stack with ports of its own for metrics."""
    settings = {
        **SETTINGS,
        "PAGEMILL_METRICS_PORT": str(metrics_port),
        # Of Ray's, which would be the same for all stacks on a machine.
        "AUTOSCALER_METRIC_PORT": str(free_port()),
        "DASHBOARD_METRIC_PORT": str(free_port()),
        **({"TMPDIR": str(small_disk)} if small_disk else {}),
    }
    with (
        temporary_directory("pagemill-") as directory,
        running_storage() as storage,
        running_world(directory, storage, small_artefact(), settings, long=False) as world,
    ):
        yield world


@pytest.fixture(scope="package")
def customer(world: World) -> Customer:
    """The organization that works on the stack."""
    return asyncio.run(join_customer(world))


@pytest.fixture(scope="package")
def prometheus(world: World, metrics_port: int) -> Iterator[Prometheus]:
    """A Prometheus with the repository's configuration and rules, in a hurry."""
    discovery = DataDirectory(world.stack.data_directory).logs / "ray-sessions" / DISCOVERY
    with (
        temporary_directory("prometheus-") as directory,
        running_prometheus(directory, api=[f"127.0.0.1:{metrics_port}"], ray=discovery) as prometheus,
    ):
        yield prometheus

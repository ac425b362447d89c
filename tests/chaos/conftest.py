"""One stack for all faults: what one of them leaves broken, the next one finds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.storage import running_storage
from tests.chaos.world import World, running_world
from tests.support.directories import temporary_directory
from tests.support.small_model import small_artefact

SHORT = {
    "PAGEMILL_JOB_LEASE": "6",
    "PAGEMILL_JOB_HEARTBEAT": "1.5",
    "PAGEMILL_PREDICTION_WAIT": "15",
    "PAGEMILL_READING_REPLICAS_MAX": "1",
    "PAGEMILL_PREDICTION_REPLICAS_MAX": "1",
}
"""The long form runs with the defaults."""


@pytest.fixture(scope="package")
def is_long() -> bool:
    """Whether this is the form that takes its time."""
    return os.environ.get("PAGEMILL_CHAOS_LONG") == "1"


@pytest.fixture(scope="package")
def seed() -> int:
    return int(os.environ.get("PAGEMILL_CHAOS_SEED", "20261125"))


@pytest.fixture(scope="package")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the histories go."""
    given = os.environ.get("PAGEMILL_CHAOS_HISTORIES")
    if given is None:
        return tmp_path_factory.mktemp("histories")
    directory = Path(given)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="package")
def world(is_long: bool) -> Iterator[World]:
    """A stack on a Postgres and an object storage of its own."""
    with (
        temporary_directory("pagemill-") as directory,
        running_storage() as storage,
        running_world(directory, storage, small_artefact(), {} if is_long else SHORT, long=is_long) as world,
    ):
        yield world

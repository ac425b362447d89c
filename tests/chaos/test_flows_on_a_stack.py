"""The same on a whole stack: Ray and its dispatchers of all roles are killed, too."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.local_stack import local_stack
from pagemill.settings import load_settings
from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import EmbeddedPostgres
from tests.chaos.flows.run import kill_amid_executions
from tests.chaos.flows.site import Site, write_functions
from tests.chaos.flows.victims import (
    API,
    CONTAINER,
    DISPATCHER,
    FORK_SERVER,
    FUNCTION,
    POSTGRES,
    RAY_HEAD,
)
from tests.support.directories import temporary_directory
from tests.support.stack import wait_until_stopped
from tests.support.step_engine import NETWORK, ULIMITS, StepEngine, missing_engine, step_engine

EXECUTIONS = 100
WITHOUT_CONTAINERS = (
    DISPATCHER,
    FUNCTION,
    API,
    POSTGRES,
    FORK_SERVER,
    DISPATCHER,
    FUNCTION,
    POSTGRES,
    RAY_HEAD,
)

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture
def engine() -> Iterator[StepEngine | None]:
    """An engine of containers; without one, flows do without."""
    with contextlib.ExitStack() as stack:
        yield None if missing_engine() else stack.enter_context(step_engine())


@pytest.fixture
def site(engine: StepEngine | None) -> Iterator[Site]:
    """A stack on a Postgres of its own."""
    with temporary_directory("pagemill-flows-") as directory, contextlib.ExitStack() as stack:
        postgres = EmbeddedPostgres(directory / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        given = _settings(directory, postgres, engine)
        running = stack.enter_context(local_stack(directory / "data", settings=given))
        yield Site(
            settings=load_settings({"PAGEMILL_OBJECTS_URL": directory.as_uri(), **given}),
            postgres=postgres,
            url=running.environment["LAS_API_ENDPOINT"].removesuffix("/v1"),
            authority=DataDirectory(running.data_directory).ca_certificate,
            calls=directory / "calls",
            engine=engine,
            roots=[running.process.pid],
        )
        stack.close()
        wait_until_stopped(running.data_directory)


def _settings(directory: Path, postgres: EmbeddedPostgres, engine: StepEngine | None) -> dict[str, str]:
    (directory / "calls").mkdir()
    given = {
        "PAGEMILL_DATABASE_URL": postgres.url(),
        "PAGEMILL_TOKEN_KEY": secrets.token_urlsafe(48),
        "PAGEMILL_FUNCTIONS_FILE": str(write_functions(directory)),
        "PAGEMILL_FUNCTION_CONCURRENCY": "4",
        "PAGEMILL_JOB_LEASE": "6",
        "PAGEMILL_JOB_HEARTBEAT": "1.5",
    }
    if engine is not None:
        given |= {
            "PAGEMILL_CONTAINER_ENGINE_URL": engine.url,
            "PAGEMILL_CONTAINER_NETWORK": NETWORK,
            "PAGEMILL_CONTAINER_ULIMITS": ULIMITS,
        }
    return given


async def test_whatever_is_killed_of_a_stack_no_outcome_changes(
    site: Site, engine: StepEngine | None, seed: int
) -> None:
    victims = WITHOUT_CONTAINERS if engine is None else (CONTAINER, *WITHOUT_CONTAINERS, CONTAINER)
    found = await kill_amid_executions(
        site,
        victims,
        executions=EXECUTIONS,
        longest_pause=3.0,
        function_seconds=0.5,
        seconds=400.0,
        seed=seed,
    )
    assert not found, f"PAGEMILL_CHAOS_SEED={seed}\n" + "\n".join(found)

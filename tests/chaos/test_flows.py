"""Any process is killed while flows are executed: each execution has the outcome of its definition, once.

Functions are called at least once, containers are started once: docs/decisions/0036 and 0037.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.chaos.flows.run import kill_amid_executions
from tests.chaos.flows.site import running_site
from tests.chaos.flows.victims import (
    API,
    CONTAINER,
    DISPATCHER,
    FORK_SERVER,
    FUNCTION,
    POSTGRES,
    Victim,
)
from tests.support.directories import temporary_directory
from tests.support.processes import wait_until_gone
from tests.support.step_engine import StepEngine, missing_engine, step_engine

EVERY: Sequence[Victim] = (FUNCTION, DISPATCHER, FORK_SERVER, POSTGRES, API)

pytestmark = [pytest.mark.chaos, pytest.mark.stack]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: an engine has its socket below it."""
    with temporary_directory("pagemill-flows-") as made:
        yield made


@pytest.fixture
def engine() -> Iterator[StepEngine]:
    """An engine of containers, where one can be run."""
    if reason := missing_engine():
        pytest.skip(reason)
    with step_engine() as running:
        yield running


async def test_whatever_is_killed_no_outcome_changes(directory: Path, seed: int) -> None:
    async with running_site(directory, None) as site:
        found = await kill_amid_executions(
            site,
            EVERY,
            executions=27,
            longest_pause=0.3,
            function_seconds=0.5,
            seconds=120.0,
            seed=seed,
        )
        processes = [process.pid for process in site.processes()]
    assert not found, f"PAGEMILL_CHAOS_SEED={seed}\n" + "\n".join(found)
    await asyncio.to_thread(wait_until_gone, *processes)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_whatever_is_killed_no_container_is_started_twice(
    directory: Path, engine: StepEngine, seed: int
) -> None:
    async with running_site(directory, engine) as site:
        found = await kill_amid_executions(
            site,
            (*EVERY, CONTAINER) * 2,
            executions=100,
            longest_pause=1.5,
            function_seconds=0.5,
            seconds=900.0,
            seed=seed,
        )
        processes = [process.pid for process in site.processes()]
    assert not found, f"PAGEMILL_CHAOS_SEED={seed}\n" + "\n".join(found)
    await asyncio.to_thread(wait_until_gone, *processes)

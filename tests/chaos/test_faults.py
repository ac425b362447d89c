"""Parts are killed amid the jobs of organizations at their limits: nothing is lost, doubled or miscounted."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from db.pool import create_pool
from pagemill.objects import ObjectStore, open_objects
from tests.chaos.aftermath import all_ended, note_left, note_memory, note_rows
from tests.chaos.checker import grown, violations
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.history import Back, Began, Recorder, read
from tests.chaos.plan import allowances, operations
from tests.chaos.workload import Workload, open_client
from tests.chaos.world import Member, World, join, prepare_operations
from tests.support.labelled import store_document
from tests.unit.extraction.documents import text_pdf

OPERATIONS = {True: 300, False: 75}
STRUCK_AFTER = 0.2
"""What share of the operations has been answered when it begins."""
PATIENCE_SECONDS = {True: 600.0, False: 150.0}
UNANSWERED_SECONDS = {True: 200.0, False: 15.0}
"""How long after all is back clients try on; an abandoned key is free after 180 s."""
ENDED_SECONDS = 240.0
MARGIN_SECONDS = 15.0
ALSO_LONG = (
    "API",
    "Postgres",
    "usage counter",
    "reading replica",
    "prediction replica",
    "Serve controller",
    "object storage",
    "Ray head",
)
"""Faults that ``make test`` leaves to ``make test-long`` and ``make chaos``."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1500)]


@pytest.fixture
async def pool(world: World) -> AsyncIterator[asyncpg.Pool]:
    """Connections past the stack."""
    pool = await create_pool(world.settings.database_url, size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def objects(world: World) -> AsyncIterator[ObjectStore]:
    """The object storage, reached as the stack reaches it."""
    objects = open_objects(world.settings)
    yield objects
    await objects.close()


def parameters() -> list[Any]:
    """Each fault; those that take the ways of others are for the long tests."""
    return [
        pytest.param(fault, marks=pytest.mark.long if fault.name in ALSO_LONG else (), id=str(fault))
        for fault in FAULTS
    ]


@pytest.mark.parametrize("fault", parameters())
async def test_whatever_is_killed(
    fault: Fault, world: World, pool: asyncpg.Pool, objects: ObjectStore, seed: int, histories: Path
) -> None:
    recorder = Recorder(history_of(fault, seed, histories))
    recorder.note(Began(fault=fault.name, seed=seed))
    wanted = operations(seed, OPERATIONS[world.long])
    members = [await join(pool, world.settings, allowed) for allowed in allowances(seed, wanted)]
    prepared = await prepare_operations(pool, objects, members, wanted)
    probing = await join(pool, world.settings, {})
    probed = await store_document(pool, objects, probing.id, text_pdf())

    async with open_client(world) as client:
        workload = Workload(
            client, recorder, members, prepared, world.model, seconds=PATIENCE_SECONDS[world.long]
        )
        working = asyncio.create_task(
            workload.run(wanted, spread=fault.lasts[world.long] / (1 - STRUCK_AFTER))
        )
        try:
            await _answered(workload, working, STRUCK_AFTER * len(wanted))
            note_memory(recorder, world)
            began = time.monotonic()
            chance = random.Random(f"{fault.name}:{seed}")
            await asyncio.gather(
                fault.strike(world, recorder, chance),
                _works_again(client, recorder, world, probing, probed),
            )
            workload.give_up_in(UNANSWERED_SECONDS[world.long])
            await working
            await all_ended(pool, members, seconds=ENDED_SECONDS)
        finally:
            await workload.stop_watching()
        await workload.look_again()
    recorder.note(Back(what="everything", seconds=time.monotonic() - began))
    await note_rows(pool, recorder, members, wanted, prepared)
    await note_left(pool, objects, recorder, members)
    note_memory(recorder, world)
    recorder.close()

    found = violations(read(recorder.path), longest_answer=world.settings.prediction_wait + MARGIN_SECONDS)
    assert not found, f"PAGEMILL_CHAOS_SEED={seed}, {recorder.path}:\n" + "\n".join(found)


def history_of(fault: Fault, seed: int, histories: Path) -> Path:
    """The file of a fault's history."""
    return histories / f"{fault.name.replace(' ', '-')}-{seed}.jsonl"


async def _answered(workload: Workload, working: asyncio.Task[None], enough: float) -> None:
    """Returns when it has so much behind it, but not all."""
    while workload.answered < enough:
        assert not working.done(), working
        await asyncio.sleep(0.02)


async def _works_again(
    client: httpx.AsyncClient, recorder: Recorder, world: World, probing: Member, document_id: str
) -> None:
    """Notes when a prediction that is asked for after the kill has succeeded."""
    began = time.monotonic()
    deadline = began + PATIENCE_SECONDS[world.long]
    headers = {"Authorization": f"Bearer {probing.token}"}
    body = {"documentId": document_id, "modelId": world.model}
    await asyncio.sleep(0.2)
    while True:
        try:
            response = await client.post("/predictions", json=body, headers=headers)
        except httpx.HTTPError:
            response = None
        if response is not None and response.status_code == 200:
            break
        assert time.monotonic() < deadline, "no prediction succeeds any more"
        await asyncio.sleep(0.5)
    recorder.note(Back(what="prediction", seconds=time.monotonic() - began))


def test_the_dispatcher_says_what_happened(world: World) -> None:
    """Lines as the API writes them, with a time and a level."""
    sessions = world.stack.data_directory / "logs" / "ray-sessions"
    lines = [line for log in sessions.glob("session_2*/logs/worker-*.err") for line in _entries(log)]
    said = [line["message"] for line in lines if line["logger"] == "pagemill.jobs.upkeep"]
    assert any("lost its worker; tried again in" in message for message in said)
    assert all(line["time"] and line["level"] for line in lines)


def _entries(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"time":')]


def test_no_process_grew(world: World, seed: int, histories: Path) -> None:
    """Those that lived through several faults; what was killed has begun anew."""
    if not world.long:
        pytest.skip("the short form says nothing about growth")
    kept = [history_of(fault, seed, histories) for fault in FAULTS]
    found = grown([read(path) for path in kept if path.exists()])
    assert not found, "\n".join(found)

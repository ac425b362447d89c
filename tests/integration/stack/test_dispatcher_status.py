"""``pagemill status`` says which dispatchers there are, and which role has none."""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec
import pytest

from db.dispatchers import DispatcherRow, announce_dispatcher
from pagemill import cli
from pagemill.settings import Settings
from pagemill.stack.status import Down, RayReport, StackReport, dispatchers_at_work


async def announce(pool: asyncpg.Pool, role: str, number: int = 0, **changed: Any) -> None:
    announced = {
        "name": f"dispatcher-{role}-1-{number}",
        "role": role,
        "release": "1",
        "owner": f"machine:{number}",
        "listening": True,
        "draining": False,
        "slots": {"prediction": 4},
        "running": {"prediction": 3},
        "seconds": 60.0,
    }
    async with pool.acquire() as connection:
        await announce_dispatcher(connection, **{**announced, **changed})


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, objects_url="file:///unused")


async def test_dispatchers_are_told_by_role(pool: asyncpg.Pool, settings: Settings) -> None:
    for role in ("interactive", "long", "housekeeping", "workflows"):
        await announce(pool, role)
    await announce(pool, "interactive", 1)
    await announce(pool, "long", 7, draining=True)
    reports: list[DispatcherRow] = []

    detail = await dispatchers_at_work(settings, reports)

    assert detail == "2 interactive, 1 long, 1 housekeeping, 1 workflows; 1 draining"
    assert [(one.name, one.draining) for one in reports] == [
        ("dispatcher-housekeeping-1-0", False),
        ("dispatcher-interactive-1-0", False),
        ("dispatcher-interactive-1-1", False),
        ("dispatcher-long-1-0", False),
        ("dispatcher-long-1-7", True),
        ("dispatcher-workflows-1-0", False),
    ]


async def test_workflows_need_no_dispatcher_of_their_own(pool: asyncpg.Pool, settings: Settings) -> None:
    for role in ("interactive", "long", "housekeeping"):
        await announce(pool, role)
    with pytest.raises(Down, match=r"listens for these jobs: workflows$"):
        await dispatchers_at_work(settings, [])
    shared = msgspec.structs.replace(settings, workflows_dispatcher=False)
    assert await dispatchers_at_work(shared, []) == "1 interactive, 1 long, 1 housekeeping"


@pytest.mark.parametrize("changed", [{"listening": False}, {"draining": True}, {"seconds": 0.0}])
async def test_a_role_without_a_dispatcher_that_claims_is_named(
    pool: asyncpg.Pool, settings: Settings, changed: dict[str, Any]
) -> None:
    for role in ("interactive", "housekeeping", "workflows"):
        await announce(pool, role)
    await announce(pool, "long", **changed)
    with pytest.raises(Down, match=r"listens for these jobs: long$"):
        await dispatchers_at_work(settings, [])


def test_the_table_shows_what_each_one_does(capsys: pytest.CaptureFixture[str]) -> None:
    row = DispatcherRow(
        name="dispatcher-long-1-0",
        role="long",
        release="1",
        owner="machine:1:2",
        listening=True,
        draining=True,
        slots={"training": 2, "data-bundle": 0},
        running={"training": 1},
    )
    cli._show(
        StackReport(
            running=True, healthy=True, url=None, parts={}, queue=None, ray=RayReport(), dispatchers=[row]
        )
    )
    shown = capsys.readouterr().out.split()
    assert shown[-7:] == [row.name, "draining", "1", "of", "2", "training;", row.owner]

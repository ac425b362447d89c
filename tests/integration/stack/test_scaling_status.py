"""``pagemill status`` says when replicas do not follow the waiting pages."""

from __future__ import annotations

import asyncio
import time

import pytest

from pagemill.cluster.scaling.asking import BacklogWatch, ask_postgres
from pagemill.settings import Settings
from pagemill.stack.troubles import NOT_ASKING, scheduling_troubles

DEADLINE = 60.0


def settings_with(database_url: str) -> Settings:
    return Settings(database_url=database_url, objects_url="file:///unused")


async def test_a_policy_that_does_not_ask_is_told(database_url: str) -> None:
    assert await scheduling_troubles(settings_with(database_url)) == [NOT_ASKING]


async def test_one_that_asks_is_no_trouble_and_gets_its_figures(database_url: str) -> None:
    watch = BacklogWatch(lambda: ask_postgres(database_url), interval=0.05)
    try:
        deadline = time.monotonic() + DEADLINE
        while watch.latest is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert (watch.latest.waiting, watch.latest.running) == (0.0, 0.0)
        assert await scheduling_troubles(settings_with(database_url)) == []
    finally:
        watch.close()
    while not await scheduling_troubles(settings_with(database_url)):
        assert time.monotonic() < deadline + DEADLINE, "the connection stays although the watch is closed"


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/nothing"])
async def test_postgres_that_is_away_is_told_elsewhere(url: str) -> None:
    assert await scheduling_troubles(settings_with(url)) == []

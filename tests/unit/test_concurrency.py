"""Tasks end when they are to, whatever hides from them that they were cancelled."""

from __future__ import annotations

import asyncio

import pytest

from pagemill import concurrency
from pagemill.concurrency import cancel_and_wait


async def _goes_on(hidden: int, told: list[str]) -> None:
    """As a loop that waits out that Postgres is away: its connection breaks while it is cancelled."""
    while True:
        try:
            try:
                await asyncio.Event().wait()
            finally:
                told.append("cancelled")
                if len(told) <= hidden:
                    raise ConnectionError("the connection broke before it had rolled back")
        except ConnectionError:
            continue


@pytest.mark.parametrize("hidden", [0, 1, 3])
async def test_a_task_that_did_not_notice_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch, hidden: int
) -> None:
    monkeypatch.setattr(concurrency, "CANCEL_AGAIN_SECONDS", 0.01)
    told: list[str] = []
    task = asyncio.create_task(_goes_on(hidden, told))
    await asyncio.sleep(0)
    await cancel_and_wait([task])
    assert task.cancelled()
    assert len(told) == hidden + 1


async def test_what_has_ended_already_may_have_failed() -> None:
    async def fail() -> None:
        raise ValueError("seen by nobody")

    await cancel_and_wait([asyncio.create_task(fail())])
    await cancel_and_wait([])

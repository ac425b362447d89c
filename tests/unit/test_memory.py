"""Memory that a process has freed goes back to the system; see also the tests of the models' thread."""

from __future__ import annotations

import asyncio

import pytest

from pagemill import memory
from pagemill.concurrency import cancel_and_wait

SECONDS = 60.0
TIMES = 3


async def test_memory_is_given_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, returned = asyncio.get_running_loop(), asyncio.Queue[None]()
    monkeypatch.setattr(
        memory, "return_free_memory", lambda: loop.call_soon_threadsafe(returned.put_nowait, None)
    )
    monkeypatch.setattr(memory, "RETURN_SECONDS", 0.01)
    keeping = asyncio.create_task(memory.keep_returning_memory())
    async with asyncio.timeout(SECONDS):
        for _ in range(TIMES):
            await returned.get()
    await cancel_and_wait([keeping])

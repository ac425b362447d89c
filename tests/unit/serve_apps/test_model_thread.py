"""Batches run on one thread, which gives back what they leave free."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator

import numpy as np
import psutil
import pytest

from pagemill.concurrency import cancel_and_wait
from pagemill.memory import return_free_memory
from serve_apps import model_thread
from serve_apps.model_thread import ModelThread

SECONDS = 20.0
MEBIBYTE = 1024**2
KEPT = [16 * MEBIBYTE] * 8
"""Sizes of arrays that the allocator keeps when they are freed: smaller ones than it maps."""


@pytest.fixture
async def thread() -> AsyncIterator[ModelThread]:
    thread = ModelThread()
    yield thread
    thread.end()


async def test_all_work_runs_on_the_same_thread_in_its_order(thread: ModelThread) -> None:
    gate, ran = threading.Event(), list[tuple[int, int]]()

    def work(number: int) -> int:
        assert gate.wait(SECONDS)
        ran.append((number, threading.get_ident()))
        return 2 * number

    calls = [asyncio.create_task(thread.run(work, number)) for number in range(5)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(*calls), SECONDS) == [0, 2, 4, 6, 8]
    assert [number for number, _ in ran] == [0, 1, 2, 3, 4]
    assert len({ident for _, ident in ran} | {threading.get_ident()}) == 2


async def test_work_sees_the_context_of_its_caller(thread: ModelThread) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")
    assert await thread.run(lambda _: variable.get(), None) == "seen"


async def test_an_error_is_that_of_its_work_alone(thread: ModelThread) -> None:
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda number: 1 / number, 0)
    assert await thread.run(lambda number: 1 / number, 1) == 1


async def test_memory_is_given_back_after_work(thread: ModelThread, monkeypatch: pytest.MonkeyPatch) -> None:
    returned = asyncio.Event()
    idents: list[int] = []
    loop = asyncio.get_running_loop()

    def give_back() -> None:
        idents.append(threading.get_ident())
        loop.call_soon_threadsafe(returned.set)

    monkeypatch.setattr(model_thread, "return_free_memory", give_back)
    monkeypatch.setattr(model_thread, "RETURN_SECONDS", 0.01)
    keeping = asyncio.create_task(thread.keep_small())
    ident = await thread.run(lambda _: threading.get_ident(), None)
    await asyncio.wait_for(returned.wait(), SECONDS)
    await cancel_and_wait([keeping])
    # Neither before it nor, without other work, again.
    assert idents == [ident]


@pytest.mark.skipif(sys.platform != "linux", reason="other allocators are left alone")
def test_free_memory_goes_back_to_the_system() -> None:
    process = psutil.Process()
    return_free_memory()
    # Freed once, arrays of this size come from the heap, and what lies above holds them there.
    for _ in range(3):
        held = [np.ones(size // 8) for size in KEPT]
        above = [np.ones(100) for _ in range(1000)]
        del held
    before = process.memory_info().rss
    return_free_memory()
    assert len(above) == 1000
    assert before - process.memory_info().rss > sum(KEPT) / 2

"""Batches run on one thread, which gives back what they leave free."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from pagemill.concurrency import cancel_and_wait
from serve_apps import model_thread
from serve_apps.model_thread import ModelThread

SECONDS = 20.0
FREED = """
import psutil
from pagemill.memory import return_free_memory

process = psutil.Process()
# Pieces that the allocator takes from its heap, and never maps; what lies above holds them there.
held = [bytearray(b"1" * 65_536) for _ in range(1000)]
above = bytearray(b"1" * 65_536)
freed = sum(map(len, held))
del held
before = process.memory_info().rss
return_free_memory()
print(freed, before - process.memory_info().rss)
"""
"""A program that prints how many bytes it freed, and how many of them the system got back."""


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
    # In a process of its own: what this one has freed before would take in the arrays.
    printed = subprocess.check_output([sys.executable, "-c", FREED], text=True, timeout=60)
    freed, returned = map(int, printed.split())
    assert returned > freed / 2

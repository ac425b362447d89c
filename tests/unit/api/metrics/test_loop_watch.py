"""The watch over the event loop, in a process of its own: its processor time is measured."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest

from pagemill.api.metrics.loop_watch import LONGEST_HOLD, watching_loop

WARNING = "the event loop was held for"


def told(name: str) -> str:
    """Return what a function of this module logs in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"import asyncio, {__name__} as test; asyncio.run(test.{name}())"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return done.stderr


def work(seconds: float) -> None:
    """Use the processor for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def hold_the_loop() -> None:
    async def middleware(scope: dict[str, Any]) -> None:
        await asyncio.sleep(0.1)
        await handler()

    async def handler() -> None:
        work(5 * LONGEST_HOLD)

    async with watching_loop():
        await middleware({"type": "http", "method": "POST", "path_template": "/v1/workflows", "path": "/x"})
        await asyncio.sleep(0.1)


async def work_in_pieces() -> None:
    async with watching_loop():
        for _ in range(100):
            work(LONGEST_HOLD / 20)
            await asyncio.sleep(0)


async def wait_without_working() -> None:
    async with watching_loop():
        await asyncio.sleep(0.1)
        # The processor is free meanwhile: that the machine is busy would look the same.
        time.sleep(3 * LONGEST_HOLD)  # noqa: ASYNC251 - that it blocks is what is tested
        await asyncio.sleep(0.1)


def test_what_holds_the_loop_is_named_with_its_route_once() -> None:
    lines = [line for line in told("hold_the_loop").splitlines() if WARNING in line]
    assert len(lines) == 1
    assert "by POST /v1/workflows in " in lines[0]
    assert "hold_the_loop.<locals>.handler" in lines[0]


@pytest.mark.parametrize("name", ["work_in_pieces", "wait_without_working"])
def test_work_in_pieces_and_waiting_are_no_finding(name: str) -> None:
    assert WARNING not in told(name)

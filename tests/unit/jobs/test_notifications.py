"""Listening goes on after every error of its connection."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any

import asyncpg
import pytest

from pagemill.jobs import notifications
from pagemill.jobs.notifications import NotificationListener


class BreakingPool:
    """A pool whose connections break before they are of use."""

    def __init__(self, error: Exception, enough: int) -> None:
        self.error, self.enough = error, enough
        self.tries = 0
        self.reached = asyncio.Event()

    def acquire(self, *, timeout: float | None) -> BreakingPool:
        assert timeout is not None
        return self

    def get_idle_size(self) -> int:
        return 0

    def get_size(self) -> int:
        return 0

    def get_max_size(self) -> int:
        return 1

    async def __aenter__(self) -> Any:
        self.tries += 1
        if self.tries >= self.enough:
            self.reached.set()
        raise self.error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


@pytest.mark.parametrize(
    "error",
    [
        OSError("refused"),
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("got result for unknown protocol state"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_listening_resumes_after_every_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "RECONNECT_SECONDS", (0.001, 0.001))
    pool = BreakingPool(error, enough=3)

    async def connected(_connection: object) -> None:
        raise AssertionError

    listener = NotificationListener(pool, ["channel"], heard=lambda *_: None, connected=connected)  # type: ignore[arg-type]
    task = asyncio.create_task(listener.run())
    async with asyncio.timeout(60):
        await pool.reached.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

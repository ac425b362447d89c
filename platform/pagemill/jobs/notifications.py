"""A LISTEN connection that is checked while nothing happens and opened again when it breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from db.jobs import check_connection
from db.pool import DATABASE_ERRORS, Pool, acquire
from db.statements import Connection

logger = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
RECONNECT_SECONDS = (0.05, 5.0)
ANSWER_SECONDS = 5.0


class NotificationListener:
    """Listener that calls ``heard(channel, payload)`` for each notification until ``run`` is cancelled.

    ``connected(connection)`` is awaited after each (re)connection: notifications may have been missed before.
    It takes one connection of the pool for as long as it runs.
    """

    def __init__(
        self,
        pool: Pool,
        channels: Sequence[str],
        *,
        heard: Callable[[str, str], None],
        connected: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self._pool = pool
        self._channels = channels
        self._heard = heard
        self._connected = connected
        self.is_connected = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled; wait while Postgres is away."""
        delay, longest = RECONNECT_SECONDS
        while True:
            try:
                await self._listen_once()
            except DATABASE_ERRORS as error:
                logger.warning("listening was interrupted: %s: %s", type(error).__name__, error)
            delay = RECONNECT_SECONDS[0] if self.is_connected.is_set() else min(delay * 2, longest)
            self.is_connected.clear()
            await asyncio.sleep(delay)

    async def _listen_once(self) -> None:
        """Listen on one connection until it ends."""
        async with acquire(self._pool) as connection:
            ended = asyncio.Event()

            def end(_: Any) -> None:
                ended.set()

            connection.add_termination_listener(end)
            try:
                for channel in self._channels:
                    await connection.add_listener(channel, self._on_notification)
                await self._connected(connection)
                self.is_connected.set()
                await self._watch(connection, ended)
            finally:
                if not connection.is_closed():
                    # Terminated, not given back: its next user would hear notifications that are not for it.
                    connection.remove_termination_listener(end)
                    connection.terminate()

    async def _watch(self, connection: Connection, ended: asyncio.Event) -> None:
        while not ended.is_set():
            try:
                await asyncio.wait_for(ended.wait(), CHECK_SECONDS)
            except TimeoutError:
                await asyncio.wait_for(check_connection(connection), ANSWER_SECONDS)

    def _on_notification(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        self._heard(channel, str(payload))

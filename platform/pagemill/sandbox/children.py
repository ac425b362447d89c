"""Children of a fork server for an event loop, which must not wait for a process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from pagemill.concurrency import finish_despite_cancellation
from pagemill.sandbox.forked_child import Ending, ForkedChild, ForkServer

START_SECONDS: Final = 30.0


class Children:
    """Children of a fork server, which starts when it is needed; close it to end them all."""

    def __init__(
        self, module: str, *, environment: Mapping[str, str] | None = None, strict: bool = False
    ) -> None:
        self._module, self._environment, self._strict = module, environment, strict
        self._starting = asyncio.Lock()
        self._server: ForkServer | None = None

    @property
    def server(self) -> ForkServer | None:
        """The fork server, None before the first child."""
        return self._server

    async def fork(self, descriptors: Sequence[int] = ()) -> ForkedChild:
        """Return a new child, which gets copies of the descriptors. Raises OSError."""
        server = await self._running()
        forking = asyncio.ensure_future(asyncio.to_thread(server.fork, descriptors))
        try:
            return await asyncio.shield(forking)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                await self.end(await forking)
            raise

    async def end(self, child: ForkedChild) -> Ending | None:
        """End a child, if it has not, and return how it ended; None when its server is gone."""
        return await finish_despite_cancellation(asyncio.to_thread(_end, child))

    async def close(self) -> None:
        """End the fork server, and with it its children."""
        if self._server is not None:
            await asyncio.to_thread(self._server.end)
            self._server = None

    async def _running(self) -> ForkServer:
        async with self._starting:
            if self._server is None or not self._server.is_running():
                await self.close()
                starting = asyncio.to_thread(
                    ForkServer,
                    self._module,
                    start_seconds=START_SECONDS,
                    environment=self._environment,
                    strict=self._strict,
                )
                self._server = await starting
            return self._server


def _end(child: ForkedChild) -> Ending | None:
    try:
        return child.end()
    except OSError:
        return None

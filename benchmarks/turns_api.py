"""The API twice in one process, with metrics and without, which answer in turns.

Two processes of the same program differ by some percent for as long as they live; in one process nothing
differs but the program. ``GET /turns`` answers what each turn took.

granian --interface=asgi --factory benchmarks.turns_api:create_app
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from pagemill.api.app import create_app as create_api
from pagemill.settings import load_settings

TURN = (200, 400)
"""Fewest and most requests of a turn: tenths of a second, in which the machine is the same for both sides."""
PATH = "/turns"


class Turn(NamedTuple):
    """One turn: its side, 0 with metrics (if they are on) and 1 without; seconds and CPU seconds of it."""

    side: int
    seconds: float
    cpu_seconds: float


class InTurns:
    """An ASGI application that gives turns of requests to two others."""

    def __init__(self, sides: tuple[Litestar, Litestar]) -> None:
        self._sides = sides
        self._turns: list[Turn] = []
        self._chance = random.Random(TURN[0])
        self._order = [0, 1]
        self._requests = self._left = TURN[0]
        self._began = self._clocks()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the side whose turn it is."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == PATH:
            await self._tell(send)
        else:
            side = self._sides[self._order[-1]]
            self._left -= 1
            if not self._left:
                self._next_turn()
            await side(scope, receive, send)

    def _next_turn(self) -> None:
        """Note the turn, and give the next to the other side, or to either when both have had theirs.

        By chance, so that nothing that comes back after so many requests meets the same side each time.
        """
        began, self._began = self._began, self._clocks()
        self._turns.append(
            Turn(self._order.pop(), *(now - then for then, now in zip(began, self._began, strict=True)))
        )
        if not self._order:
            self._order = self._chance.sample([0, 1], 2)
            self._requests = self._chance.randint(*TURN)
        self._left = self._requests

    @staticmethod
    def _clocks() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    async def _live(self, receive: Receive, send: Send) -> None:
        async with self._running():
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        async with self._sides[0].lifespan(), self._sides[1].lifespan():
            yield

    async def _tell(self, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = msgspec.json.encode(self._turns)
        await send({"type": "http.response.body", "body": body, "more_body": False})


def create_app() -> InTurns:
    """Create both, with the settings of the environment but for the metrics of the second."""
    settings = load_settings(os.environ)
    return InTurns((create_api(settings), create_api(msgspec.structs.replace(settings, metrics_port=0))))

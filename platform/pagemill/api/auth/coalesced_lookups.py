"""Look-ups that callers share when they ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeAlias, TypeVar

Answer = TypeVar("Answer")

_Turn: TypeAlias = "asyncio.Future[tuple[Answer] | None]"
"""Future of a waiting caller: the shared answer, or None when this caller has to look it up."""


class CoalescedLookups(Generic[Answer]):
    """Look-ups of which one at a time runs for each key, within one event loop.

    A caller never gets the answer of a look-up that began before it asked: it waits for the next one, which
    all waiting callers share. So answers are as fresh as with a look-up each, and many requests of one caller
    cost the database few statements.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[_Turn[Answer]]] = {}

    async def ask(self, key: Hashable, look_up: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer of ``look_up``, or of a shared one for this ``key``. Errors are shared too."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            turn: _Turn[Answer] = asyncio.get_running_loop().create_future()
            waiting.append(turn)
            try:
                answered = await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    # Cancelled when it was this caller's turn: the next one looks up.
                    self._start_next(key)
                raise
            if answered is not None:
                return answered[0]
        sharing, self._waiting[key] = self._waiting.get(key, []), []
        try:
            answer = await look_up()
        except Exception as error:
            for turn in _pending(sharing):
                turn.set_exception(error)
            raise
        except BaseException:
            # Only this caller was cancelled: the others wait for the next look-up.
            self._waiting[key] = sharing + self._waiting[key]
            raise
        else:
            for turn in _pending(sharing):
                turn.set_result((answer,))
            return answer
        finally:
            self._start_next(key)

    def _start_next(self, key: Hashable) -> None:
        """Let the first waiting caller look up; without any, forget the key."""
        waiting = _pending(self._waiting[key])
        if waiting:
            waiting.pop(0).set_result(None)
            self._waiting[key] = waiting
        else:
            del self._waiting[key]


def _pending(turns: list[_Turn[Answer]]) -> list[_Turn[Answer]]:
    """Return the turns whose callers have not been cancelled."""
    return [turn for turn in turns if not turn.done()]

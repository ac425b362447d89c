"""One look-up for all that ask for the same at the same time, and never one that began before they asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeAlias, TypeVar

Answer = TypeVar("Answer")

_Turn: TypeAlias = "asyncio.Future[tuple[Answer] | None]"
"""What somebody waits for: another's answer, or None when it is his turn to look it up."""


class CoalescedLookups(Generic[Answer]):
    """Belongs to one event loop. Who asks while a look-up is under way waits for the next, which all share.

    An answer is as new as if everyone had looked it up for himself, and a caller that sends many requests at
    once costs the database few statements.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[_Turn[Answer]]] = {}

    async def ask(self, key: Hashable, look_up: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of ``look_up``, or of one for the same ``key`` that is shared. Raises what it raises."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            turn: _Turn[Answer] = asyncio.get_running_loop().create_future()
            waiting.append(turn)
            try:
                answered = await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    # Broken off when its turn had come.
                    self._end(key)
                raise
            if answered is not None:
                return answered[0]
        together, self._waiting[key] = self._waiting.get(key, []), []
        try:
            answer = await look_up()
        except Exception as error:
            for turn in _undone(together):
                turn.set_exception(error)
            raise
        except BaseException:
            # Broken off for a reason of its own, which the others do not share.
            self._waiting[key] = together + self._waiting[key]
            raise
        else:
            for turn in _undone(together):
                turn.set_result((answer,))
            return answer
        finally:
            self._end(key)

    def _end(self, key: Hashable) -> None:
        """The turn of the first that waits; without any, the key is free."""
        waiting = _undone(self._waiting[key])
        if waiting:
            waiting.pop(0).set_result(None)
            self._waiting[key] = waiting
        else:
            del self._waiting[key]


def _undone(turns: list[_Turn[Answer]]) -> list[_Turn[Answer]]:
    """Those whose callers have not been broken off meanwhile."""
    return [turn for turn in turns if not turn.done()]

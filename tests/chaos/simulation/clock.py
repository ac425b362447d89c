"""An event loop on which time is a number: it passes when the story says so."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Task(asyncio.Task[Any]):
    """In a set it stands by its number, not by its address: every run of a story has the same order."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number


class _Selector(selectors.SelectSelector):
    """There is nothing to wait for: when nothing is to be done at once, the loop stops."""

    def __init__(self) -> None:
        super().__init__()
        self.idle: asyncio.AbstractEventLoop | None = None
        self.until_next_timer: float | None = None

    def select(self, timeout: float | None = None) -> list[Any]:
        if self.idle is not None and (timeout is None or timeout > 0):
            self.until_next_timer = timeout
            self.idle.stop()
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Everything on it is simulated, so that what happens follows from what the story decides alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self._tasks = 0
        self._selector_ = _Selector()
        super().__init__(self._selector_)
        self._selector_.idle = self
        self.set_task_factory(self._make_task)
        # What a process that was killed leaves unread is not a fault.
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self.now

    def run_until_idle(self) -> float | None:
        """Do all that can be done now. Returns the seconds until the next timer, None when there is none."""
        self.run_forever()
        return self._selector_.until_next_timer

    def end(self) -> None:
        """Cancel all that is left, and close."""
        while tasks := asyncio.all_tasks(self):
            for task in tasks:
                task.cancel()
            self.run_until_idle()
        self.close()

    def _make_task(
        self, _loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> _Task:
        self._tasks += 1
        return _Task(coroutine, number=self._tasks, loop=self, **options)

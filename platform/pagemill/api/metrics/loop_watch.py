"""Watch over the event loop from a thread beside it: what has held it up is logged with its request.

The histogram ``pagemill_event_loop_lag_seconds`` says how late the loop is; this says why. The thread
compares the processor time of the loop's thread with that at the loop's last beat, so a busy machine, on
which the loop merely waits, is no finding. Requests pay nothing: the route is found in the stack of the
loop's thread, among the locals of the middleware through which every request goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from types import FrameType
from typing import Any, Final

BEAT_SECONDS: Final = 0.04
LOOK_SECONDS: Final = 0.05
LONGEST_HOLD: Final = 0.2
"""Processor seconds between two beats: of one callback, or of all that the loop had to run at that moment."""
FRAMES_SHOWN: Final = 6
HELD: Final = "the event loop was held for %.2f s of processor time by %s"

logger = logging.getLogger("pagemill.loop")


class LoopWatch:
    """Watch over the loop of the thread that makes it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._thread)
        self._beats = 0
        self._used = time.thread_time()
        self._stopped = threading.Event()

    async def beat(self) -> None:
        """Note the loop's processor time again and again, until cancelled."""
        while True:
            self._used = time.thread_time()
            self._beats += 1
            await asyncio.sleep(BEAT_SECONDS)

    def watch(self) -> None:
        """Look until stopped; log each hold once, when it is over the bound. Runs in a thread of its own."""
        beats = told = -1
        while not self._stopped.wait(LOOK_SECONDS):
            if beats != self._beats:
                beats = self._beats
                continue
            held = time.clock_gettime(self._clock) - self._used
            if held > LONGEST_HOLD and told != beats:
                told = beats
                logger.warning(HELD, held, described(sys._current_frames().get(self._thread)))

    def stop(self) -> None:
        """Let the thread end."""
        self._stopped.set()


@contextlib.asynccontextmanager
async def watching_loop() -> AsyncIterator[None]:
    """Watch over the running loop meanwhile."""
    watch = LoopWatch()
    beating = asyncio.create_task(watch.beat(), name="loop beat")
    thread = threading.Thread(target=watch.watch, name="loop watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.stop()
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        await asyncio.to_thread(thread.join)


def described(frame: FrameType | None) -> str:
    """Return the request whose code a stack is in, and the innermost places."""
    places: list[str] = []
    request = "no request"
    while frame is not None:
        code = frame.f_code
        if len(places) < FRAMES_SHOWN:
            places.append(f"{code.co_qualname}:{frame.f_lineno}")
        if code.co_name == "middleware":
            scope: Any = frame.f_locals.get("scope")
            if isinstance(scope, dict) and scope.get("type") == "http":
                request = f"{scope['method']} {scope.get('path_template') or 'an unknown route'}"
                break
        frame = frame.f_back
    return f"{request} in {' < '.join(places)}"

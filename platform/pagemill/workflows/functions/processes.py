"""Processes of functions, forked by a server that is started when it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from db.pool import DATABASE_ERRORS
from pagemill.concurrency import cancel_and_wait, finish_despite_cancellation
from pagemill.errors import Unavailable
from pagemill.ids import OrganizationId
from pagemill.sandbox.child_process import environment_of_functions
from pagemill.sandbox.children import Children
from pagemill.sandbox.forked_child import Ending, in_words
from pagemill.sandbox.framing import MessageTooLarge
from pagemill.workflows.failures import TASK_FAILED, TIMED_OUT
from pagemill.workflows.functions.messages import (
    INVALID_RESULT,
    FunctionCall,
    FunctionReply,
)
from pagemill.workflows.functions.workers import IdleWorkers, Purpose, Worker
from pagemill.workflows.functions.working_directories import WorkingDirectories
from pagemill.workflows.step_log import StepLog
from pagemill.workflows.transition_executions import StepResult

FORK_SERVER: Final = "pagemill.workflows.functions.child"
CRASHED: Final = "Pagemill.FunctionCrashed"
PIECE_BYTES: Final = 64 * 1024
WRITE_SECONDS: Final = 1.0
"""Interval in which lines reach the log while a function runs."""
LAST_LINES_SECONDS: Final = 0.5
"""Longest wait for the end of the output: what a function has started may keep it open."""
NOT_AVAILABLE: Final = "There is no process for the function now"

logger = logging.getLogger(__name__)


class FunctionProcesses:
    """Processes for calls of functions; close it to end them all."""

    def __init__(self) -> None:
        self._directories = WorkingDirectories()
        self._children = Children(FORK_SERVER, environment=environment_of_functions())
        self._idle = IdleWorkers()

    async def call(
        self,
        call: FunctionCall,
        log: StepLog,
        *,
        seconds: float,
        organization_id: OrganizationId,
        calls_per_process: int = 1,
    ) -> StepResult:
        """Call a function in a directory of its own, and write what it prints to the log.

        Its process serves at most ``calls_per_process`` calls of the function for the organization. A
        function that raises, crashes or takes longer than ``seconds`` is a failed result. Raises Unavailable
        when there is no process for it. Cancelled, it ends the process.
        """
        purpose = Purpose(organization_id, call.callable, call.directory, call.memory_bytes)
        directory = await self._make_directory()
        call = msgspec.structs.replace(call, working_directory=directory)
        reading, writing = os.pipe()
        try:
            async with _following(reading, log):
                answer: FunctionReply | StepResult | None = None
                ending: Ending | None = None
                worker: Worker | None = None
                try:
                    worker = self._idle.take(purpose) or await self._fork()
                    answer = await _ask(worker, call, writing, seconds)
                finally:
                    if worker is None:
                        os.close(writing)
                    elif _is_fit(answer) and worker.calls < calls_per_process:
                        self._idle.add(purpose, worker)
                    else:
                        ending = await finish_despite_cancellation(worker.end())
        finally:
            if not self._directories.remove_empty(directory):
                await asyncio.to_thread(self._directories.remove, directory)
        return _result(answer, ending)

    async def close(self) -> None:
        """End the fork server, and with it all calls."""
        await self._idle.close()
        await self._children.close()
        await asyncio.to_thread(self._directories.close)

    async def _make_directory(self) -> str:
        # The first one sweeps. Others are made here: a thread would take longer than the directory.
        if self._directories.is_open:
            return self._directories.make()
        return await asyncio.to_thread(self._directories.make)

    async def _fork(self) -> Worker:
        try:
            return await Worker.of(self._children)
        except OSError as error:
            raise Unavailable(NOT_AVAILABLE, detail=str(error)) from error


@contextlib.asynccontextmanager
async def _following(reading: int, log: StepLog) -> AsyncIterator[None]:
    """Write to the log what comes through a pipe, and at the end what is left of it; close the pipe."""
    os.set_blocking(reading, False)
    following = asyncio.create_task(_follow(reading, log))
    try:
        yield
    finally:
        await asyncio.wait({following}, timeout=LAST_LINES_SECONDS)
        await cancel_and_wait([following])
        os.close(reading)
        log.end()
        await _write(log)


async def _follow(reading: int, log: StepLog) -> None:
    written = time.monotonic()
    while True:
        if log.is_full or (log.waits and time.monotonic() - written > WRITE_SECONDS):
            await _write(log)
            written = time.monotonic()
        try:
            async with asyncio.timeout(WRITE_SECONDS if log.waits else None):
                await _readable(reading)
        except TimeoutError:
            continue
        piece = os.read(reading, PIECE_BYTES)
        if not piece:
            return
        log.feed(piece)


async def _readable(descriptor: int) -> None:
    """Wait until something can be read, or the other end is closed.

    A transport is not used: that of uvloop closes the descriptor of a pipe twice, and the second time it may
    be that of a file which another thread has opened.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


async def _write(log: StepLog) -> None:
    try:
        await log.write()
    except DATABASE_ERRORS as error:
        logger.warning("lines of a function are not written yet: %s: %s", type(error).__name__, error)


async def _ask(
    worker: Worker, call: FunctionCall, output: int, seconds: float
) -> FunctionReply | StepResult | None:
    """Return the reply of a worker, a failure, or None when it has ended without a reply.

    ``output`` is closed once the worker has it.
    """
    try:
        async with asyncio.timeout(seconds):
            return await worker.ask(call, output)
    except TimeoutError:
        return StepResult(
            "failed", message=f"The function ran longer than {seconds:.0f} seconds", error=TIMED_OUT
        )
    except (MessageTooLarge, msgspec.MsgspecError):
        return StepResult("failed", message="The function's reply cannot be read", error=INVALID_RESULT)
    except (OSError, asyncio.IncompleteReadError):
        return None


def _is_fit(answer: FunctionReply | StepResult | None) -> bool:
    return isinstance(answer, FunctionReply) and answer.is_fit


def _result(answer: FunctionReply | StepResult | None, ending: Ending | None) -> StepResult:
    """Return the result of a call. Raises Unavailable when its server has ended it."""
    match answer:
        case StepResult():
            return answer
        case FunctionReply(status=status, output=output, message=message, error=error):
            return StepResult(status, output=output, message=message, error=error or TASK_FAILED)
        case None if ending is None:
            raise Unavailable(NOT_AVAILABLE, detail="the fork server has ended")
        case None:
            message = f"The function's process has ended without a result: {in_words(ending.status)}"
            return StepResult("failed", message=message, error=CRASHED)

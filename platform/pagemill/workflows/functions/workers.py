"""Children that call functions, as the dispatcher holds them; some are kept for further calls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from pagemill.ids import OrganizationId
from pagemill.sandbox.children import Children
from pagemill.sandbox.forked_child import Ending, ForkedChild
from pagemill.sandbox.framing import frame, read_message
from pagemill.workflows.functions.messages import CALL, REPLY_BYTES, FunctionCall, FunctionReply

IDLE_SECONDS: Final = 10.0
"""Time for which a child waits for another call."""
MOST_IDLE: Final = 32
"""Children that wait, of all functions together."""


class Purpose(NamedTuple):
    """Calls that one child may serve one after the other: of one function, for one organization."""

    organization_id: OrganizationId
    callable: str
    directory: str | None
    memory_bytes: int


@dataclass(slots=True, eq=False)
class Worker:
    """A child, and the streams over which calls and replies travel."""

    children: Children
    child: ForkedChild
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    calls: int = 0

    @classmethod
    async def of(cls, children: Children) -> Worker:
        """Fork a child and return its worker. Raises OSError."""
        child = await children.fork()
        child.connection.setblocking(False)
        return cls(children, child, *await asyncio.open_connection(sock=child.connection))

    @property
    def is_gone(self) -> bool:
        """Return whether an idle child has ended."""
        return self.reader.at_eof()

    async def ask(self, call: FunctionCall, output: int) -> FunctionReply:
        """Return the reply to a call, whose prints go to the descriptor ``output``; it is closed here.

        Raises asyncio.IncompleteReadError and OSError when the child has ended, MessageTooLarge, and
        msgspec.MsgspecError.
        """
        self.calls += 1
        try:
            # A byte fits into the empty buffer of the socket.
            socket.send_fds(self.child.connection, [CALL], [output])
        finally:
            os.close(output)
        self.writer.write(frame(msgspec.json.encode(call)))
        reply = await read_message(self.reader, maximum=REPLY_BYTES)
        return msgspec.json.decode(reply, type=FunctionReply)

    async def end(self) -> Ending | None:
        """End the child and what it has started; return how it ended, None when its server is gone."""
        self.writer.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.process_id, signal.SIGKILL)
        return await self.children.end(self.child)


@dataclass(slots=True)
class IdleWorkers:
    """Workers that wait for another call of their purpose; the one that was used last is taken first."""

    _idle: dict[Purpose, deque[Worker]] = field(default_factory=dict)
    _alarms: dict[Worker, asyncio.TimerHandle] = field(default_factory=dict)
    _ending: set[asyncio.Task[Ending | None]] = field(default_factory=set)

    def take(self, purpose: Purpose) -> Worker | None:
        """Return a worker that waits, if there is one."""
        workers = self._idle.get(purpose, deque())
        while workers:
            worker = workers[-1]
            self._remove(purpose, worker)
            if not worker.is_gone:
                return worker
            self._end(worker)
        return None

    def add(self, purpose: Purpose, worker: Worker) -> None:
        """Keep a worker for a while, unless too many are kept."""
        if len(self._alarms) >= MOST_IDLE:
            self._end(worker)
            return
        self._idle.setdefault(purpose, deque()).append(worker)
        loop = asyncio.get_running_loop()
        self._alarms[worker] = loop.call_later(IDLE_SECONDS, self._let_go, purpose, worker)

    async def close(self) -> None:
        """End all of them."""
        for purpose, workers in list(self._idle.items()):
            for worker in list(workers):
                self._let_go(purpose, worker)
        if self._ending:
            await asyncio.wait(self._ending)

    def _let_go(self, purpose: Purpose, worker: Worker) -> None:
        self._remove(purpose, worker)
        self._end(worker)

    def _remove(self, purpose: Purpose, worker: Worker) -> None:
        self._alarms.pop(worker).cancel()
        self._idle[purpose].remove(worker)
        if not self._idle[purpose]:
            del self._idle[purpose]

    def _end(self, worker: Worker) -> None:
        ending = asyncio.create_task(worker.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

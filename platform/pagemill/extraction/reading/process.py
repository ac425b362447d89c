"""The child process that parses documents: its start, its messages and its end."""

from __future__ import annotations

import signal
import time

from pagemill.errors import Unavailable
from pagemill.extraction.reading.read_messages import (
    ReadLimits,
    Ready,
    Reply,
    Request,
    Start,
    decode_reply,
    send,
)
from pagemill.sandbox.child_process import ChildProcess
from pagemill.sandbox.framing import receive_message

CHILD_MODULE = "pagemill.extraction.reading.child"
REPLY_BYTES = 32 * 1024 * 1024
CLOSING_SECONDS = 0.2
DYING_SECONDS = 2.0


class ReaderProcess:
    """A running child. Its methods raise OSError or EOFError once it is gone or silent for too long."""

    def __init__(self, limits: ReadLimits) -> None:
        self._child = ChildProcess(CHILD_MODULE)
        self.requests_sent = 0
        self._start(limits)

    @property
    def process_id(self) -> int:
        """The child's process id."""
        return self._child.process.pid

    def _start(self, limits: ReadLimits) -> None:
        try:
            self._write(Start(limits), limits.start_seconds)
            reply = self.receive(limits.start_seconds)
        except (OSError, EOFError) as error:
            detail = f"the reader's child did not start: {self.end(DYING_SECONDS)}"
            raise Unavailable("The document reader is not available", detail=detail) from error
        assert isinstance(reply, Ready)

    def send(self, request: Request, seconds: float) -> None:
        """Send a document."""
        self.requests_sent += 1
        self._write(request, seconds)

    def _write(self, request: Request, seconds: float) -> None:
        self._child.connection.settimeout(max(seconds, 0.001))
        send(self._child.connection, request)

    def receive(self, seconds: float) -> Reply:
        """Return the next reply. Its size is bounded: it comes from a process that is not trusted."""
        deadline = time.monotonic() + seconds
        return decode_reply(receive_message(self._child.connection, maximum=REPLY_BYTES, deadline=deadline))

    def running(self) -> bool:
        """Return whether the process is alive."""
        return self._child.is_running()

    def end(self, seconds: float = CLOSING_SECONDS) -> str:
        """End the process, and return in words how it ended."""
        status = self._child.end(seconds)
        if status is None:
            return "it was stopped"
        return (
            f"it ended with {signal.Signals(-status).name}"
            if status < 0
            else f"it ended with status {status}"
        )

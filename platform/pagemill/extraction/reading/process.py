"""The child process that parses: how it is started, spoken to and ended."""

from __future__ import annotations

import signal
import socket
import subprocess
import time

from pagemill.errors import Unavailable
from pagemill.extraction.reading.messages import (
    ReadLimits,
    Ready,
    Reply,
    Request,
    Start,
    decode_reply,
    send,
)
from pagemill.sandbox.confinement import HEADER, child_command, child_environment, receive_exactly

CHILD_MODULE = "pagemill.extraction.reading.child"
REPLY_BYTES = 32 * 1024 * 1024
CLOSING_SECONDS = 0.2
DYING_SECONDS = 2.0


class ChildProcess:
    """One running child. Its methods raise OSError or EOFError once it is gone or silent for too long."""

    def __init__(self, limits: ReadLimits) -> None:
        self._connection, theirs = socket.socketpair()
        self.requests_sent = 0
        try:
            self.process = subprocess.Popen(
                child_command(CHILD_MODULE, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=child_environment(),
            )
        except OSError:
            self._connection.close()
            raise
        finally:
            theirs.close()
        self._start(limits)

    def _start(self, limits: ReadLimits) -> None:
        try:
            self._write(Start(limits), limits.start_seconds)
            reply = self.receive(limits.start_seconds)
        except (OSError, EOFError) as error:
            detail = f"the reader's child did not start: {self.end(DYING_SECONDS)}"
            raise Unavailable("The document reader is not available", detail=detail) from error
        assert isinstance(reply, Ready)

    def send(self, request: Request, seconds: float) -> None:
        """Hand over one document."""
        self.requests_sent += 1
        self._write(request, seconds)

    def _write(self, request: Request, seconds: float) -> None:
        self._connection.settimeout(max(seconds, 0.001))
        send(self._connection, request)

    def receive(self, seconds: float) -> Reply:
        """The next reply. The size of a reply is bounded: it comes from a process that we do not trust."""
        deadline = time.monotonic() + seconds
        self._connection.settimeout(max(seconds, 0.001))
        (length,) = HEADER.unpack(receive_exactly(self._connection, HEADER.size))
        if length > REPLY_BYTES:
            raise OSError("the reply is too large")
        self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
        return decode_reply(receive_exactly(self._connection, length))

    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process.poll() is None

    def end(self, seconds: float = CLOSING_SECONDS) -> str:
        """End the process; how it ended by itself, in words, if it had."""
        self._connection.close()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "it was stopped"
        return f"it ended with {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"

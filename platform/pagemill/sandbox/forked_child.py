"""Parent's side of a fork server: its start, and the children that it forks."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pagemill.sandbox.child_process import ChildProcess
from pagemill.sandbox.fork_server import END, FORK, FORK_FAILED, READY, REPLY, REQUEST
from pagemill.sandbox.framing import receive_exactly, receive_message
from pagemill.sandbox.means import ESSENTIAL, Confinement

ANSWER_SECONDS = 30.0
"""The server does nothing that takes long; one that is silent has failed."""
CLOSING_SECONDS = 2.0
CONFINEMENT_BYTES: Final = 4096

logger = logging.getLogger(__name__)


class Ending(msgspec.Struct, frozen=True):
    """End of a child: its exit status, negative for a signal, and the processor seconds it used."""

    status: int
    processor_seconds: float


def in_words(status: int) -> str:
    """Return an exit status as the end of a sentence."""
    if status == -signal.SIGSYS:
        return "it asked the kernel for what its sandbox forbids (SIGSYS)"
    if status < 0:
        return f"it ended with {signal.Signals(-status).name}"
    return f"it ended with status {status}"


class ForkServer:
    """A running fork server. Thread-safe; its methods raise OSError once it has failed."""

    def __init__(
        self,
        module: str,
        *,
        start_seconds: float,
        environment: Mapping[str, str] | None = None,
        strict: bool = False,
    ) -> None:
        """Start a module that calls ``serve_forks``. Raises OSError if it does not start.

        ``strict``: it does not start either where the kernel lacks a means that no other one replaces.
        """
        self._lock = threading.Lock()
        self._process = ChildProcess(module, environment)
        self._process.connection.settimeout(start_seconds)
        try:
            ready = receive_exactly(self._process.connection, len(READY))
            report = receive_message(self._process.connection, maximum=CONFINEMENT_BYTES)
        except (OSError, EOFError) as error:
            status = self._process.end(CLOSING_SECONDS)
            raise OSError("it was stopped" if status is None else in_words(status)) from error
        assert ready == READY
        self.confinement = msgspec.json.decode(report, type=Confinement)
        logger.log(
            logging.WARNING if self.confinement.missing & ESSENTIAL else logging.INFO,
            "the sandbox of %s has %s",
            module,
            self.confinement.in_words(),
        )
        lacking = self.confinement.missing & ESSENTIAL
        if strict and lacking:
            self.end()
            raise OSError(f"the sandbox lacks {', '.join(sorted(lacking))}, and PAGEMILL_SANDBOX requires it")
        self._process.connection.settimeout(ANSWER_SECONDS)

    @property
    def process_id(self) -> int:
        """The server's process id."""
        return self._process.process.pid

    def is_running(self) -> bool:
        """Return whether the process is alive."""
        return self._process.is_running()

    def fork(self, descriptors: Sequence[int] = ()) -> ForkedChild:
        """Return a new child, which gets copies of the descriptors."""
        ours, theirs = socket.socketpair()
        try:
            process_id, _ = self._ask(FORK, 0, [theirs.fileno(), *descriptors])
            if process_id == FORK_FAILED:
                raise OSError("no child could be forked")
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ForkedChild(self, ours, process_id)

    def end_child(self, process_id: int) -> Ending:
        """Kill a child, unless it has ended, and forget it."""
        return Ending(*self._ask(END, process_id))

    def end(self) -> None:
        """End the process, and with it its children."""
        self._process.end(CLOSING_SECONDS)

    def _ask(self, action: bytes, process_id: int, descriptors: Sequence[int] = ()) -> tuple[int, float]:
        with self._lock:
            connection = self._process.connection
            try:
                socket.send_fds(connection, [REQUEST.pack(action, process_id)], descriptors)
                number, seconds = REPLY.unpack(receive_exactly(connection, REPLY.size))
            except (OSError, EOFError) as error:
                # After a lost answer, the next one would be taken for it.
                self._process.end(0)
                raise OSError("the fork server has failed") from error
        return number, seconds


class ForkedChild:
    """A child for one task, connected by a socket. End it, however the task ended."""

    def __init__(self, server: ForkServer, connection: socket.socket, process_id: int) -> None:
        self.connection, self.process_id = connection, process_id
        self._server = server
        self._ending: Ending | None = None

    def end(self) -> Ending:
        """End the child, if it has not, and return how it ended. Raises OSError if its server is gone."""
        try:
            if self._ending is None:
                self._ending = self._server.end_child(self.process_id)
            return self._ending
        finally:
            # Closed before, it would wake up a child that has nothing left to do.
            self.connection.close()

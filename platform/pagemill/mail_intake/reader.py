"""Reader of mail: it gives mails to confined child processes, and never parses them itself."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from pagemill.errors import Unavailable
from pagemill.mail_intake.mail import Delivery, Mail, ReadReply, ReadRequest
from pagemill.mail_intake.refusals import MailUnreadable
from pagemill.sandbox.forked_child import ForkedChild, ForkServer, in_words
from pagemill.sandbox.framing import receive_message, send_message

FORK_SERVER = "pagemill.mail_intake.reading_server"
START_SECONDS = 30.0
READ_SECONDS = 30.0
"""Longest time for a mail: ten seconds of the processor, and ten of questions to name servers."""
CONCURRENCY = 16
"""Mails that are read at a time: most of them wait for name servers."""
REPLY_OVERHEAD = 1024 * 1024
"""Bytes of a reply beside its documents, which are smaller than the mail."""
NOT_AVAILABLE = "Mail cannot be read at the moment"
CRASHED = "The mail needs more memory or time to read than is allowed"


class MailReader:
    """Reader of some mails at a time, on threads; others wait. It starts its fork server when needed.

    ``name_servers`` are ``address:port``; without any, those of the machine are asked.
    """

    def __init__(
        self,
        *,
        authenticate: bool,
        name_servers: Sequence[str] = (),
        concurrency: int = CONCURRENCY,
        strict: bool = False,
    ) -> None:
        """Make a reader; ``strict``: without all essential means to confine children it is not available."""
        self._authenticate, self._name_servers = authenticate, list(name_servers)
        self._strict = strict
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="mail-reader")
        self._starting = threading.Lock()
        self._fork_server: ForkServer | None = None

    async def read(self, delivery: Delivery) -> Mail:
        """Return what a mail says. Raises MailUnreadable, and Unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, delivery)

    async def close(self) -> None:
        """End the fork server, and with it its children."""
        if self._fork_server is not None:
            await asyncio.to_thread(self._fork_server.end)
        await asyncio.to_thread(self._threads.shutdown)

    def _read(self, delivery: Delivery) -> Mail:
        try:
            server = self._running()
            child = server.fork()
        except OSError as error:
            raise Unavailable(NOT_AVAILABLE, detail=str(error)) from error
        try:
            reply = self._ask(child, delivery)
        except TimeoutError:
            raise MailUnreadable(f"The mail takes longer than {READ_SECONDS:g} seconds to read") from None
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            raise _failure(child) from error
        finally:
            with contextlib.suppress(OSError):
                child.end()
        if reply.mail is None:
            raise MailUnreadable(reply.problem or CRASHED)
        return reply.mail

    def _ask(self, child: ForkedChild, delivery: Delivery) -> ReadReply:
        deadline = time.monotonic() + READ_SECONDS
        request = ReadRequest(
            sender=delivery.sender,
            client_address=delivery.client_address,
            client_name=delivery.client_name,
            authenticate=self._authenticate,
            name_servers=self._name_servers,
        )
        child.connection.settimeout(READ_SECONDS)
        send_message(child.connection, msgspec.msgpack.encode(request))
        send_message(child.connection, delivery.content)
        maximum = len(delivery.content) + REPLY_OVERHEAD
        return msgspec.msgpack.decode(
            receive_message(child.connection, maximum=maximum, deadline=deadline), type=ReadReply
        )

    def _running(self) -> ForkServer:
        with self._starting:
            if self._fork_server is not None and not self._fork_server.is_running():
                self._fork_server.end()
                self._fork_server = None
            if self._fork_server is None:
                self._fork_server = ForkServer(FORK_SERVER, start_seconds=START_SECONDS, strict=self._strict)
            return self._fork_server


def _failure(child: ForkedChild) -> MailUnreadable | Unavailable:
    """Return what it means that a child has not answered as it should."""
    try:
        ending = child.end()
    except OSError as gone:
        return Unavailable(NOT_AVAILABLE, detail=str(gone))
    return MailUnreadable(CRASHED, detail=f"its reader failed: {in_words(ending.status)}")

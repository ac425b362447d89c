"""A mail server of a test: real SMTP on a port of this machine."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio.from_thread
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USERNAME, PASSWORD = "mill", "correct horse"


@dataclass(slots=True)
class MailServer:
    """``replies`` answers the next messages instead of taking them; ``taken`` are the envelopes."""

    port: int = 0
    taken: list[Envelope] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """What is answered to recipients."""
    secure: list[bool] = field(default_factory=list)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.replies:
            return self.replies.pop(0)
        self.taken.append(envelope)
        self.secure.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"


def _authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
) -> AuthResult:
    right = isinstance(data, LoginPassword) and data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@asynccontextmanager
async def mail_server(
    context: ssl.SSLContext | None = None, *, implicit_tls: bool = False
) -> AsyncIterator[MailServer]:
    """With a context, mail is taken from who has encrypted the connection and signed in only."""
    server = MailServer()
    options: dict[str, Any] = {}
    if context is not None:
        options = {
            "auth_required": True,
            "authenticator": _authenticate,
            "auth_require_tls": not implicit_tls,
        }
        if not implicit_tls:
            options |= {"require_starttls": True, "tls_context": context}
    loop = asyncio.get_running_loop()

    def connected() -> SMTP:
        with warnings.catch_warnings():
            # It does not know of the TLS that is there before it.
            warnings.simplefilter("ignore")
            return SMTP(server, hostname="localhost", loop=loop, **options)

    listening = await loop.create_server(
        connected,
        "127.0.0.1",
        0,
        ssl=context if implicit_tls else None,
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


@contextmanager
def serving_mail() -> Iterator[MailServer]:
    """A mail server that takes everything, on a thread of its own: for tests without an event loop."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(mail_server()) as server,
    ):
        yield server

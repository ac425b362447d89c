"""One SMTP connection: the protocol is aiosmtpd's, what strangers can make of it is bounded here."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, cast

from aiosmtpd.smtp import SMTP, syntax

from pagemill.mail_intake.bounds import ByteBudget, Connections, Share
from pagemill.mail_intake.refusals import Busy, MailRefused, TooLarge

COMMAND_SECONDS = 60.0
DATA_SECONDS = 600.0
"""Time for a mail and for what is done with it: senders wait ten minutes (RFC 5321 4.5.3.2)."""
CALLS = {"*": 50, "MAIL": 100, "RCPT": 1000, "DATA": 100, "RSET": 200}
"""Commands of one connection; a sender with more connects again."""
TOO_MANY_CONNECTIONS = b"421 4.3.2 Too many connections, try again later\r\n"
END = b"\r\n.\r\n"
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """State that all connections of a server share; sizes are in bytes."""

    host_name: str
    largest_mail: int
    connections: Connections
    budget: ByteBudget
    tls_context: ssl.SSLContext | None = None


class MailSession(SMTP):
    """An SMTP connection without AUTH, with one mail at a time in memory."""

    # The reader holds so much: a mail comes in pieces, lines of any length are taken.
    line_length_limit = PIECE_BYTES

    def __init__(self, handler: Any, options: SessionOptions) -> None:
        super().__init__(
            handler,
            data_size_limit=options.largest_mail,
            hostname=options.host_name,
            ident="Pagemill",
            tls_context=options.tls_context,
            timeout=COMMAND_SECONDS,
            command_call_limit=CALLS,
            loop=asyncio.get_running_loop(),
        )
        self._options = options
        self._admitted: str | None = None
        self._turned_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, unless there are too many connections. It is called again when TLS begins."""
        if self._admitted is None:
            peer = str(transport.get_extra_info("peername", ("",))[0])
            if not self._options.connections.admit(peer):
                self._turned_away = True
                refused = cast("asyncio.Transport", transport)
                refused.write(TOO_MANY_CONNECTIONS)
                refused.close()
                return
            self._admitted = peer
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Make room for another connection."""
        if self._admitted is not None:
            self._options.connections.leave(self._admitted)
            self._admitted = None
        if not self._turned_away:
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless the connection was turned away."""
        if not self._turned_away:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """End with the client."""
        return None if self._turned_away else super().eof_received()

    async def smtp_AUTH(self, arg: str) -> None:
        """Refuse: nobody signs in to hand a mail in, and nothing is relayed."""
        await self.push("502 5.5.1 AUTH is not offered")

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """Receive a mail in pieces, and hand it over. The base class keeps an object for each line."""
        if await self.check_helo_needed():
            return
        assert self.envelope is not None
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        self._reset_timeout(DATA_SECONDS)
        # The end is a line with a dot: with a line break in front, that is true of an empty mail too.
        self._reader.feed_data(b"\r\n")
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        with self._options.budget.share() as share:
            try:
                self.envelope.content = await self._receive(share)
                status = await self._call_handler_hook("DATA")
            except MailRefused as refusal:
                status = refusal.reply
            self._set_post_data_state()  # type: ignore[no-untyped-call]
        self._reset_timeout()
        await self.push(status)

    async def _receive(self, share: Share) -> bytes:
        """Return a mail once all of it is there. Raises TooLarge and Busy, then too."""
        received, refusal, ended, count = bytearray(), None, False, 0
        while not ended:
            piece, ended = await self._next_piece()
            count += len(piece)
            if refusal is None and count > self._options.largest_mail + len(END):
                refusal = cast("MailRefused", TooLarge())
            elif refusal is None and not share.take(len(piece)):
                refusal = Busy()
            if refusal is None:
                received += piece
            else:
                received.clear()
                share.give_back()
            if count > 2 * self._options.largest_mail and self.transport is not None:
                # It does not stop by itself.
                self.transport.close()
        if refusal is not None:
            raise refusal
        # A dot that begins a line was doubled by the sender (RFC 5321 4.5.2).
        return bytes(received[: -len(END) + 2].replace(b"\r\n.", b"\r\n")[2:])

    async def _next_piece(self) -> tuple[bytes, bool]:
        """Return the next bytes, and whether the mail ends with them."""
        try:
            return await self._reader.readuntil(END), True
        except asyncio.LimitOverrunError as overrun:
            return await self._reader.readexactly(overrun.consumed), False

"""SMTP commands of a connection: who may be written to, and what a mail is answered with."""

from __future__ import annotations

import asyncio
import logging
import re

from aiosmtpd.smtp import SMTP, Envelope, Session

from db.pool import DATABASE_ERRORS
from pagemill.errors import PagemillError
from pagemill.mail_intake.addressed_mail import Recipient
from pagemill.mail_intake.intake import MailIntake
from pagemill.mail_intake.mail import Delivery
from pagemill.mail_intake.refusals import (
    TOO_MANY_RECIPIENTS,
    TOO_MANY_UNKNOWN,
    UNAVAILABLE,
    UNKNOWN,
    MailRefused,
)

ADDRESS = re.compile(r"[0-9a-fA-F]{32}@[-_.A-Za-z0-9]{1,255}")
"""Addresses of workflows; others are refused without asking the database."""
MOST_RECIPIENTS = 20
MOST_UNKNOWN = 10
TAKEN = "250 2.0.0 Taken"

AWAY: tuple[type[BaseException], ...] = (PagemillError, *DATABASE_ERRORS)
"""Errors after which the sender tries again."""

logger = logging.getLogger(__name__)


class MailHandler:
    """Handler of one connection. ``working`` has the mails that are being taken, of all connections."""

    def __init__(self, intake: MailIntake, working: set[asyncio.Task[None]]) -> None:
        self._intake, self._working = intake, working
        self._recipients: dict[str, Recipient] = {}
        self._unknown = 0

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, host_name: str, responses: list[str]
    ) -> list[str]:
        """Say what is offered: no AUTH."""
        session.host_name = host_name
        return [line for line in responses if not line.startswith("250-AUTH")]

    async def handle_RCPT(
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take an address that a workflow has now."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return TOO_MANY_RECIPIENTS
        try:
            found = await self._intake.find(address) if ADDRESS.fullmatch(address) else None
        except AWAY as error:
            logger.warning("an address could not be looked up: %s", error)
            return UNAVAILABLE
        if found is None:
            return self._unknown_recipient(server)
        self._recipients[address] = found
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    def _unknown_recipient(self, server: SMTP) -> str:
        self._unknown += 1
        if self._unknown < MOST_UNKNOWN:
            return UNKNOWN
        if server.transport is not None:
            # After the reply: who tries addresses has to connect again.
            asyncio.get_running_loop().call_soon(server.transport.close)
        return TOO_MANY_UNKNOWN

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail; the sender is told so when everything that it starts is committed."""
        assert isinstance(envelope.content, bytes)
        peer = session.peer if isinstance(session.peer, tuple) else ("",)
        delivery = Delivery(
            content=envelope.content,
            sender=envelope.mail_from or "",
            client_address=str(peer[0]),
            client_name=session.host_name or "",
        )
        # An address that is named twice, in capitals once, is one recipient.
        recipients = {one.address: one for one in map(self._recipients.__getitem__, envelope.rcpt_tos)}
        return await self._take(delivery, list(recipients.values()))

    async def _take(self, delivery: Delivery, recipients: list[Recipient]) -> str:
        task = asyncio.create_task(self._intake.take(delivery, recipients))
        self._working.add(task)
        task.add_done_callback(self._done)
        try:
            # A sender that goes away tries again, and finds what was committed: nothing is broken off.
            await asyncio.shield(task)
        except MailRefused as refusal:
            return refusal.reply
        except AWAY as error:
            logger.warning("a mail could not be taken: %s", error)
            return UNAVAILABLE
        return TAKEN

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled():
            # Nobody asks for it when the sender has hung up.
            task.exception()

    async def handle_exception(self, error: Exception) -> str:
        """Answer what nobody has foreseen."""
        logger.error("an SMTP command failed", exc_info=error)
        return UNAVAILABLE

"""Taking of mail for all its recipients."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from db.pool import Pool, acquire
from db.workflow_mail import find_mailed_workflow
from pagemill.mail_intake.addressed_mail import UNREAD, AddressedMail, Recipient, Taken, key_of, refused
from pagemill.mail_intake.execution_starter import ExecutionStarter, TakenBefore
from pagemill.mail_intake.mail import Authentication, Delivery
from pagemill.mail_intake.reader import MailReader
from pagemill.mail_intake.refusals import (
    AddressGivenUp,
    AuthenticationUnanswered,
    MailRefused,
    NotAuthenticated,
)

logger = logging.getLogger(__name__)


class MailIntake:
    """Handling of mail by the SMTP server; with ``enforce``, SPF or DKIM has to prove the sender's domain.

    Its methods raise MailRefused, Unavailable and database errors.
    """

    def __init__(self, pool: Pool, reader: MailReader, starter: ExecutionStarter, *, enforce: bool) -> None:
        self._pool, self._reader, self._starter, self._enforce = pool, reader, starter, enforce

    async def find(self, address: str) -> Recipient | None:
        """Return the workflow of an address."""
        address = address.lower()
        async with acquire(self._pool) as connection:
            row = await find_mailed_workflow(connection, address=address)
        return None if row is None else Recipient(row.organization_id, row.workflow_id, address)

    async def take(self, delivery: Delivery, recipients: Sequence[Recipient]) -> None:
        """Take a mail for all its recipients; when this returns, what it starts is committed.

        Each recipient is a transaction of its own. When one is refused for now, the sender tries all of them
        again: those that have taken the mail know it by its Message-ID.
        """
        mail = UNREAD
        try:
            mail = await self._reader.read(delivery)
            if self._enforce:
                _check_authentication(mail.authentication)
        except MailRefused as refusal:
            key = key_of(mail, delivery)
            for recipient in recipients:
                await self._record(AddressedMail(recipient, mail, key), refused(refusal))
            raise
        key = key_of(mail, delivery)
        replies = [await self._take_for(AddressedMail(recipient, mail, key)) for recipient in recipients]
        _raise_worst([reply for reply in replies if reply is not None], len(recipients))

    async def _take_for(self, addressed: AddressedMail) -> MailRefused | None:
        """Take a mail for one recipient, and return why that was refused."""
        try:
            taken = await self._starter.start(addressed)
        except TakenBefore:
            logger.info("%s: mail %s has been taken before", addressed.recipient.workflow_id, addressed.key)
            return None
        except MailRefused as refusal:
            await self._record(addressed, refused(refusal))
            return refusal
        if taken.outcome == "started":
            _log(addressed, taken)
        else:
            await self._record(addressed, taken)
        return None

    async def _record(self, addressed: AddressedMail, taken: Taken) -> None:
        """Record that a mail starts nothing, unless its workflow has gone."""
        _log(addressed, taken)
        async with acquire(self._pool) as connection, connection.transaction():
            try:
                await addressed.keep_workflow(connection)
            except AddressGivenUp:
                return
            await addressed.record(connection, taken)


def _log(addressed: AddressedMail, taken: Taken) -> None:
    logger.log(
        logging.WARNING if taken.outcome == "refused" else logging.INFO,
        "%s: mail %s was %s, %d executions%s",
        *(addressed.recipient.workflow_id, addressed.key, taken.outcome, taken.executions),
        f": {taken.detail}" if taken.detail else "",
    )


def _check_authentication(found: Authentication | None) -> None:
    """Raise AuthenticationUnanswered or NotAuthenticated unless the sender's domain is proven."""
    if found is None or found.aligned:
        return
    if "temperror" in (found.spf.result, *(one.result for one in found.dkim)):
        raise AuthenticationUnanswered
    raise NotAuthenticated


def _raise_worst(refusals: Sequence[MailRefused], recipients: int) -> None:
    """Raise a refusal that is worth another try; a final one only when nobody has taken the mail."""
    for refusal in refusals:
        if refusal.is_temporary:
            raise refusal
    if refusals and len(refusals) == recipients:
        raise refusals[0]

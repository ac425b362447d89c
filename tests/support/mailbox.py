"""Mail that people get: sent by the product's own runner, through a real SMTP server."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage

import asyncpg
import msgspec

from pagemill.settings import Settings
from pagemill.work.mail import MAIL, MailRunner
from tests.support.mail_server import MailServer, mail_server
from tests.support.mailed import set_mail
from tests.support.working import dispatching, until

CODE = re.compile(r"^ *((?:[0-9A-Z]{4}-){2,4}[0-9A-Z]{4}) *$", re.MULTILINE)


class Mailbox:
    """All mail that has arrived, in its order."""

    def __init__(self, server: MailServer, pool: asyncpg.Pool) -> None:
        self._server, self._pool = server, pool

    async def messages(self, count: int) -> list[EmailMessage]:
        """Wait until so many have arrived and nothing more is under way; return them."""

        async def arrived() -> bool:
            waiting = await self._pool.fetchval(
                "SELECT count(*) FROM job WHERE kind = 'mail' AND state IN ('queued', 'running')"
            )
            return len(self._server.taken) >= count and waiting == 0

        await until(arrived)
        messages = [
            email.message_from_bytes(one.original_content or b"", policy=email.policy.default)
            for one in self._server.taken
        ]
        assert len(messages) == count, [message["Subject"] for message in messages]
        return [message for message in messages if isinstance(message, EmailMessage)]

    async def last(self, count: int) -> EmailMessage:
        """Wait for the message of a number, which is the last one."""
        return (await self.messages(count))[-1]


def text_of(message: EmailMessage) -> str:
    """The plain text of a message."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def code_in(message: EmailMessage) -> str:
    """The code that a message has."""
    match = CODE.search(text_of(message))
    assert match is not None, text_of(message)
    return match[1]


@asynccontextmanager
async def mailbox(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[Mailbox]:
    """A mail server, and a dispatcher that sends to it."""
    await set_mail(pool)
    async with mail_server() as server:
        sending = msgspec.structs.replace(
            settings,
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_security="none",
            mail_sender="mill@example.com",
        )
        async with dispatching(pool, MailRunner(sending, pool), kinds=(MAIL,)):
            yield Mailbox(server, pool)

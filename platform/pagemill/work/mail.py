"""Mail is a job like any other. It needs a mail server only, so it runs where jobs are dispatched."""

from __future__ import annotations

import asyncio
import datetime
import logging
import random

import aiosmtplib
import asyncpg
import msgspec

from db.mail import SET_MAIL_SERVICE
from db.pool import CONNECTION_ERRORS, acquire
from pagemill.errors import PagemillError
from pagemill.jobs.job import Job, TryAgain
from pagemill.jobs.outcomes import Done
from pagemill.notices.messages import Notice, compose
from pagemill.settings import Settings

SECONDS = 60.0
DELAYS = (10.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0)
"""Between the attempts. A server that wants to be asked again (greylisting) is content with the first few."""
SPREAD = 0.2
AWAY_SECONDS = 0.5
PERMANENT = range(500, 600)

logger = logging.getLogger(__name__)


class MailRefused(PagemillError):
    """The message will not be taken, however often it is sent."""


async def say_whether_mail_is_sent(pool: asyncpg.Pool, settings: Settings) -> None:
    """Whoever runs the jobs says it: those that queue mail, in other processes, see it in the database.

    Returns when it is written: Postgres being away is waited out.
    """
    while True:
        try:
            async with acquire(pool) as connection:
                await SET_MAIL_SERVICE.execute(connection, settings.smtp_host is not None)
        except CONNECTION_ERRORS as error:
            logger.warning("Postgres is away: %s: %s", type(error).__name__, error)
            await asyncio.sleep(AWAY_SECONDS)
        else:
            return


class MailRunner:
    """Sends one message. Its Message-ID is the job's: whoever gets it twice can tell.

    It is sent twice when the server took it and the answer, or this process, was lost.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, job: Job) -> Done:
        """Raises MailRefused, and TryAgain when the server is away or wants the message later."""
        settings = self._settings
        if settings.smtp_host is None:
            raise MailRefused("there is no mail server any more: PAGEMILL_SMTP_HOST is not set")
        try:
            notice: Notice = msgspec.convert(job.payload, Notice)
            message = compose(
                notice,
                sender=settings.mail_sender,
                message_id=f"<{job.id}@{settings.mail_sender.rpartition('@')[2]}>",
                date=datetime.datetime.now(datetime.UTC),
            )
            await aiosmtplib.send(
                message,
                sender=settings.mail_sender,
                recipients=[notice.to],
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_username,
                password=settings.smtp_password,
                use_tls=settings.smtp_security == "tls",
                start_tls=settings.smtp_security == "starttls",
                timeout=SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _judged(error, job) from error
        except ValueError as error:
            raise MailRefused(f"the message cannot be written: {error}") from error
        return Done()


def _judged(error: Exception, job: Job) -> PagemillError:
    """What the server says of the message (5xx) is final; a wrong password can be put right."""
    refusals = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
    final = (
        aiosmtplib.SMTPRecipientRefused,
        aiosmtplib.SMTPSenderRefused,
        aiosmtplib.SMTPDataError,
    )
    text = "; ".join(f"{type(one).__name__}: {one}" for one in refusals)
    if all(isinstance(one, final) and one.code in PERMANENT for one in refusals):
        return MailRefused(f"the mail server refuses the message: {text}")
    delay = DELAYS[min(job.attempt, len(DELAYS)) - 1] * random.uniform(1.0, 1.0 + SPREAD)
    return TryAgain(f"the mail server does not take the message now: {text}", delay=delay)

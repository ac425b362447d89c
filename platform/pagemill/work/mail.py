"""Jobs that send one mail each."""

from __future__ import annotations

import asyncio
import datetime
import logging
import random

import aiosmtplib
import msgspec

from db.mail import KIND, MAXIMUM_ATTEMPTS, PRIORITY, set_mail_service
from db.one_time_codes import Purpose
from db.pool import CONNECTION_ERRORS, Pool, acquire
from pagemill.errors import PagemillError
from pagemill.jobs.job import Job, KindName, TryAgain
from pagemill.jobs.kind import JobKind
from pagemill.notices.messages import CodeNotice, InvitationNotice, Notice, compose
from pagemill.people.one_time_codes import make_code
from pagemill.settings import Settings
from pagemill.work.resources import WorkResources

SENDING_SECONDS = 60.0
DELAYS = (10.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0)
"""Seconds between the attempts. The first few satisfy servers that want to be asked again (greylisting)."""
SPREAD = 0.2
AWAY_SECONDS = 0.5
PERMANENT_CODES = range(500, 600)

logger = logging.getLogger(__name__)


class MailRefused(PagemillError):
    """The mail server refuses the message for good."""


async def announce_mail_service(pool: Pool, settings: Settings) -> None:
    """Write to the database whether this dispatcher has a mail server; mail is queued only if it has.

    Returns when it is written; waits while Postgres is away.
    """
    while True:
        try:
            async with acquire(pool) as connection:
                await set_mail_service(
                    connection,
                    available=settings.smtp_host is not None,
                    daily_quota=settings.mail_quota,
                    stranger_interval=settings.mail_stranger_interval,
                )
        except CONNECTION_ERRORS as error:
            logger.warning("Postgres is away: %s: %s", type(error).__name__, error)
            await asyncio.sleep(AWAY_SECONDS)
        else:
            return


class MailRunner:
    """Runner of mail jobs. The Message-ID is the job's, so that a message that is sent twice can be told.

    It is sent twice when the server took it and the answer, or this process, was lost. A code is made anew
    each time: that of the last message works.
    """

    def __init__(self, settings: Settings, pool: Pool | None = None) -> None:
        self._settings, self._pool = settings, pool

    async def __call__(self, job: Job) -> None:
        """Send the message. Raises MailRefused, and TryAgain when the server is away or wants it later."""
        settings = self._settings
        if settings.smtp_host is None:
            raise MailRefused("there is no mail server any more: PAGEMILL_SMTP_HOST is not set")
        notice = _read_notice(job)
        code = await self._code(notice)
        if code is None:
            # It was used, or another one was sent: nobody waits for this one.
            return
        try:
            message = compose(
                notice,
                sender=settings.mail_sender,
                message_id=f"<{job.id}@{settings.mail_sender.rpartition('@')[2]}>",
                date=datetime.datetime.now(datetime.UTC),
                code=code,
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
                timeout=SENDING_SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _as_job_error(error, job) from error
        except ValueError as error:
            raise MailRefused(f"the message cannot be written: {error}") from error

    async def _code(self, notice: Notice) -> str | None:
        """Make the code of a message; it is empty for one without, None when it is not wanted any more."""
        match notice:
            case CodeNotice():
                purpose: Purpose = notice.purpose
            case InvitationNotice() if notice.code_id is not None:
                purpose = "invite"
            case _:
                return ""
        if self._pool is None or notice.code_id is None:
            raise MailRefused("there is no database to keep its code in")
        async with acquire(self._pool) as connection:
            return await make_code(connection, notice.code_id, purpose, notice.to.lower())


def _read_notice(job: Job) -> Notice:
    try:
        notice: Notice = msgspec.convert(job.payload, Notice)
    except ValueError as error:
        raise MailRefused(f"the message cannot be written: {error}") from error
    return notice


def _as_job_error(error: Exception, job: Job) -> PagemillError:
    """Return the job's error: refusals of the message (5xx) are final, a wrong password can be corrected."""
    refusals = error.recipients if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else [error]
    final = (
        aiosmtplib.SMTPRecipientRefused,
        aiosmtplib.SMTPSenderRefused,
        aiosmtplib.SMTPDataError,
    )
    text = "; ".join(f"{type(one).__name__}: {one}" for one in refusals)
    if all(isinstance(one, final) and one.code in PERMANENT_CODES for one in refusals):
        return MailRefused(f"the mail server refuses the message: {text}")
    delay = DELAYS[min(job.attempt, len(DELAYS)) - 1] * random.uniform(1.0, 1.0 + SPREAD)
    return TryAgain(f"the mail server does not take the message now: {text}", delay=delay)


MAIL: JobKind[WorkResources, None] = JobKind(
    name=KindName(KIND),
    description="Send a mail",
    runner=lambda resources: MailRunner(resources.settings, resources.pool),
    concurrency=lambda _settings: 1,
    priority=PRIORITY,
    maximum_attempts=MAXIMUM_ATTEMPTS,
)

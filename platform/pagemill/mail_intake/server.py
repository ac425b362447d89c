"""The SMTP server of mail intake. A composition root; it is no part of the API, and never joins Ray."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import signal
from collections.abc import AsyncIterator, Sequence

from db.pool import create_pool
from pagemill.logging_setup import configure_logging
from pagemill.mail_intake.bounds import ByteBudget, Connections
from pagemill.mail_intake.certificate import open_certificate
from pagemill.mail_intake.execution_starter import ExecutionStarter
from pagemill.mail_intake.handler import MailHandler
from pagemill.mail_intake.intake import MailIntake
from pagemill.mail_intake.reader import MailReader
from pagemill.mail_intake.session import MailSession, SessionOptions
from pagemill.objects import open_objects
from pagemill.sandbox.concealment import conceal_this_process
from pagemill.secret_box import open_secret_box
from pagemill.settings import Settings, SettingsError

MEBIBYTE = 1024 * 1024
MAILS_IN_MEMORY = 4
"""Largest mails that are received at a time; more of smaller ones."""
AUTHENTICATION_MODULES = ("dkim", "spf")
INSTALLED_BY = "the packages of pagemill[mail-authentication]"
STOP_SECONDS = 8.0
"""Time for mails that are being taken when the server ends."""

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def mail_server(settings: Settings, *, name_servers: Sequence[str] = ()) -> AsyncIterator[int]:
    """Serve SMTP, and yield the port. At the end, mails that are being taken are finished.

    Port 0 takes a free one. ``name_servers`` are ``address:port``; without any, those of the machine are
    asked. Raises SettingsError and OSError.
    """
    conceal_this_process()
    secret_box, certificate = open_secret_box(settings), open_certificate(settings)
    authenticates = can_authenticate(settings)
    largest = round(settings.mail_intake_size * MEBIBYTE)
    connections, budget = Connections(settings.mail_intake_connections), ByteBudget(MAILS_IN_MEMORY * largest)
    working: set[asyncio.Task[None]] = set()
    async with contextlib.AsyncExitStack() as stack:
        pool = await create_pool(
            settings.database_url, size=settings.database_pool_size, application_name="pagemill-mail-intake"
        )
        stack.push_async_callback(pool.close)
        objects = open_objects(settings)
        stack.push_async_callback(objects.close)
        reader = MailReader(
            authenticate=authenticates,
            name_servers=name_servers,
            strict=settings.sandbox == "required",
        )
        stack.push_async_callback(reader.close)
        starter = ExecutionStarter(
            pool, objects, secret_box, development_allowance=settings.development_workflow_executions
        )
        intake = MailIntake(pool, reader, starter, enforce=settings.mail_authentication == "enforce")

        def connect() -> MailSession:
            options = SessionOptions(
                host_name=settings.mail_domain,
                largest_mail=largest,
                connections=connections,
                budget=budget,
                tls_context=certificate.context() if certificate else None,
            )
            return MailSession(MailHandler(intake, working), options)

        server = await asyncio.get_running_loop().create_server(
            connect, settings.mail_intake_host, settings.mail_intake_port
        )
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            if working:
                await asyncio.wait(working, timeout=STOP_SECONDS)


def can_authenticate(settings: Settings) -> bool:
    """Return whether SPF and DKIM are asked for, and their libraries are installed. Raises SettingsError."""
    if settings.mail_authentication == "off":
        return False
    missing = [name for name in AUTHENTICATION_MODULES if importlib.util.find_spec(name) is None]
    if missing and settings.mail_authentication == "enforce":
        raise SettingsError(f"PAGEMILL_MAIL_AUTHENTICATION: enforce needs {INSTALLED_BY}")
    if missing:
        logger.warning("SPF and DKIM are not recorded: that needs %s", INSTALLED_BY)
    return not missing


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError and OSError."""
    if not settings.mail_intake_port:
        raise SettingsError("PAGEMILL_MAIL_INTAKE_PORT: is needed, 25 or one that 25 is forwarded to")
    configure_logging(settings.log_level)
    # Its lines have the addresses of people who write.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with mail_server(settings) as port:
        logger.info("mail to %s is taken on port %d", settings.mail_domain, port)
        await stopping.wait()

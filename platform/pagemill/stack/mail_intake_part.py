"""Mail intake as a part of a stack: the SMTP server, in a process of its own."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from pagemill.settings import Settings, to_environment
from pagemill.stack.directory import StackError
from pagemill.stack.probes import smtp_answers
from pagemill.stack.processes import Child, child_environment
from pagemill.stack.stack_configuration import StackConfiguration, mail_intake_settings

POLL_SECONDS = 0.1
START_SECONDS = 60.0
STOP_SECONDS = 10.0


class MailIntakePart:
    """The SMTP server that takes mail to workflows."""

    name = "mail"

    def __init__(self, configuration: StackConfiguration, settings: Callable[[], Settings]) -> None:
        self._configuration, self._settings = configuration, settings
        self._child: Child | None = None

    @property
    def process_id(self) -> int | None:
        """Return the server's process, None without one."""
        return self._child.process_id if self._child else None

    async def start(self) -> None:
        """Start the server and return when it greets."""
        settings, directory = self._settings(), self._configuration.directory
        log = directory.log(self.name)
        environment = child_environment(
            self._configuration.environ, to_environment(mail_intake_settings(settings)), directory.marker
        )
        command = [sys.executable, "-P", "-m", "pagemill.cli", "mail-intake", "run"]
        self._child = await Child.start(command, environment, log)
        deadline = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(smtp_answers, settings.mail_intake_host, settings.mail_intake_port):
            if not self._child.running:
                raise StackError(f"mail intake did not start, see {log}")
            if time.monotonic() > deadline:
                raise StackError(f"mail intake did not answer within {START_SECONDS:g} s, see {log}")
            await asyncio.sleep(POLL_SECONDS)

    async def ended(self) -> str:
        """Return its exit status, as soon as it ends."""
        assert self._child is not None
        return f"exit status {await self._child.ended()}"

    async def stop(self) -> None:
        """Stop the server; mails that are being taken are finished."""
        if self._child is not None:
            await self._child.stop(STOP_SECONDS)

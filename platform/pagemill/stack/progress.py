"""Progress of ``pagemill up``: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.status import Status


class Progress(Protocol):
    """Messages of the supervisor while it works."""

    def say(self, line: str) -> None:
        """Show one line of news."""
        ...

    def waiting_for(self, parts: Sequence[str]) -> None:
        """Show the parts that are not up yet."""
        ...

    def ready(self, url: str) -> None:
        """Show that the stack is ready."""
        ...

    def stopping(self) -> None:
        """Show that stopping has begun."""
        ...


class ConsoleProgress:
    """Progress on the standard output."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def say(self, line: str) -> None:
        """Print one line of news."""
        self._console.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)

    def waiting_for(self, parts: Sequence[str]) -> None:
        """Show the parts that are not up yet."""
        if not parts:
            self._hide()
        elif self._console.is_terminal:
            self._show(f"starting {', '.join(parts)}")

    def ready(self, url: str) -> None:
        """Print the one line that programs wait for."""
        self._hide()
        self._console.print(f"ready {url}", style="bold", highlight=False, markup=False, soft_wrap=True)

    def stopping(self) -> None:
        """Show that stopping has begun."""
        self._hide()
        self.say("stopping")

    def _show(self, text: str) -> None:
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def _hide(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

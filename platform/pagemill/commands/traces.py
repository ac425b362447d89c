"""Command ``pagemill traces``."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import click

from pagemill.errors import PagemillError

if TYPE_CHECKING:
    from pagemill.tracing.receiving import ReceivedSpan

HOST = "127.0.0.1"
QUIET_SECONDS = 3.0
"""A trace is shown when nothing of it has come for so long: processes send once a second."""
POLL_SECONDS = 0.25
MOST_SPANS = 20_000


class ReceiverFailed(PagemillError):
    """The port cannot be listened on."""


@click.command()
@click.option("--port", default=4318, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
def traces(port: int) -> None:
    """Show traces in this terminal, until Ctrl-C: a collector that keeps nothing.

    \b
      pagemill traces
      PAGEMILL_TRACES_URL=http://localhost:4318 pagemill up     # in another terminal

    Each trace is shown when all of it has come, as far as one can tell.
    """
    from pagemill.tracing.receiving import receiving
    from pagemill.tracing.trees import trace_lines

    waiting = WaitingTraces()
    try:
        with receiving(HOST, port, waiting.add) as url:
            click.echo(f"PAGEMILL_TRACES_URL={url}")
            while True:
                time.sleep(POLL_SECONDS)
                for spans in waiting.take_complete():
                    click.echo("\n".join([*trace_lines(spans), ""]))
    except OSError as error:
        raise ReceiverFailed(f"port {port}: {error.strerror}") from error
    except KeyboardInterrupt:
        return


class WaitingTraces:
    """Traces of which more may come. Those that wait longest are dropped when there are too many spans."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces: dict[str, tuple[float, list[ReceivedSpan]]] = {}

    def add(self, spans: list[ReceivedSpan]) -> None:
        """Add spans that have come."""
        with self._lock:
            for span in spans:
                _, known = self._traces.pop(span.trace_id, (0.0, []))
                self._traces[span.trace_id] = (time.monotonic(), [*known, span])
            while sum(len(known) for _, known in self._traces.values()) > MOST_SPANS:
                del self._traces[next(iter(self._traces))]

    def take_complete(self) -> list[list[ReceivedSpan]]:
        """Return the traces to which nothing has been added for a while, and forget them."""
        with self._lock:
            before = time.monotonic() - QUIET_SECONDS
            complete = [trace for trace, (added, _) in self._traces.items() if added <= before]
            return [self._traces.pop(trace)[1] for trace in complete]

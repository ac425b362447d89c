"""Logging: lines of JSON on standard error, one object each."""

from __future__ import annotations

import contextlib
import datetime
import io
import logging
import sys
from collections.abc import Iterator
from typing import TextIO

import msgspec

from pagemill.tracing.spans import active_trace_id

TRACE_ID = "trace_id"


class _Line(msgspec.Struct, omit_defaults=True):
    """A line of the log. The members without a default are those of every line."""

    time: datetime.datetime
    level: str
    logger: str
    message: str
    request_id: object = None
    status: object = None
    milliseconds: object = None
    address: object = None
    principal: object = None
    organization: object = None
    trace_id: object = None
    exception: str | None = None


class JsonFormatter(logging.Formatter):
    """Formatter of time, level, logger, message, and a line's extra members."""

    _encoder = msgspec.json.Encoder(enc_hook=str)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as JSON."""
        said = record.__dict__
        line = _Line(
            datetime.datetime.fromtimestamp(record.created, datetime.UTC),
            record.levelname,
            record.name,
            record.getMessage(),
            said.get("request_id"),
            said.get("status"),
            said.get("milliseconds"),
            said.get("address"),
            said.get("principal"),
            said.get("organization"),
            # A line that is written later than it was logged knows its trace, or that it has none.
            said[TRACE_ID] if TRACE_ID in said else active_trace_id(),
            self.formatException(record.exc_info) if record.exc_info else None,
        )
        return self._encoder.encode(line).decode()


class LineHandler(logging.StreamHandler[TextIO]):
    """Handler that can write many lines by one call of the system, which costs more than a line."""

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write at the end what is logged meanwhile."""
        gathered = io.StringIO()
        stream = self.setStream(gathered)
        try:
            yield
        finally:
            self.setStream(stream or sys.stderr)
            self.stream.write(gathered.getvalue())
            self.flush()


def lines_together() -> contextlib.AbstractContextManager[None]:
    """Write the lines that are logged meanwhile by one call of the system."""
    for handler in _pagemill().handlers:
        if isinstance(handler, LineHandler):
            return handler.together()
    return contextlib.nullcontext()


def configure_logging(level: str) -> None:
    """Make Pagemill's own loggers write to standard error; calling it again changes only the level."""
    # What no line shows is not looked up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # It would log the tokens that it makes, at DEBUG.
    logging.getLogger("authlib").setLevel(logging.INFO)
    logger = _pagemill()
    logger.setLevel(level)
    if not any(isinstance(handler, LineHandler) for handler in logger.handlers):
        handler = LineHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.propagate = False


def _pagemill() -> logging.Logger:
    return logging.getLogger("pagemill")

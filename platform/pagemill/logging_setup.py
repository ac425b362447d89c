"""Logging: lines of JSON on standard error, one object each."""

from __future__ import annotations

import datetime
import logging
import sys

import msgspec

from pagemill.tracing.spans import active_trace_id

EXTRA = ("request_id", "status", "milliseconds", "address", "principal", "organization")
TRACE_ID = "trace_id"


class JsonFormatter(logging.Formatter):
    """Formatter of time, level, logger, message, and a line's extra members."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as JSON."""
        entry: dict[str, object] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in EXTRA:
            value = getattr(record, name, None)
            if value is not None:
                entry[name] = value
        # A line that is written later than it was logged knows its trace, or that it has none.
        trace_id = getattr(record, TRACE_ID, active_trace_id())
        if trace_id is not None:
            entry[TRACE_ID] = trace_id
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry, enc_hook=str).decode()


def configure_logging(level: str) -> None:
    """Make Pagemill's own loggers write to standard error; calling it again changes only the level."""
    # What no line shows is not looked up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # It would log the tokens that it makes, at DEBUG.
    logging.getLogger("authlib").setLevel(logging.INFO)
    logger = logging.getLogger("pagemill")
    logger.setLevel(level)
    if not any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.propagate = False

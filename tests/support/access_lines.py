"""The access log's lines, as a list."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from pagemill.api.http.access_log import logger


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(record)


@contextlib.contextmanager
def access_lines() -> Iterator[list[logging.LogRecord]]:
    """What is written meanwhile."""
    handler, level = _Lines(), logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield handler.written
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)

"""Tests of the lines of the log."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from pagemill.logging_setup import configure_logging, lines_together


class Stream(io.StringIO):
    """Stream that knows how often it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += bool(text)
        return super().write(text)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    """Standard error of loggers that are configured anew."""
    logger = logging.getLogger("pagemill")
    kept = logger.handlers[:], logger.level, logger.propagate
    logger.handlers[:] = []
    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("INFO")
    configure_logging("INFO")
    yield stream
    logger.handlers[:], logger.level, logger.propagate = kept


def test_a_line_is_an_object_without_members_that_nobody_has_said(stream: Stream) -> None:
    logging.getLogger("pagemill.access").info("GET %s", "/health", extra={"status": 200})
    (line,) = stream.lines()
    assert str(line.pop("time")).endswith("Z")
    assert line == {"level": "INFO", "logger": "pagemill.access", "message": "GET /health", "status": 200}


def test_an_error_is_said_with_where_it_was(stream: Stream) -> None:
    try:
        raise ValueError("no such page")
    except ValueError:
        logging.getLogger("pagemill").exception("failed")
    (line,) = stream.lines()
    assert "test_logging_setup.py" in str(line["exception"])
    assert "no such page" in str(line["exception"])


def test_lines_together_are_written_once_and_in_order(stream: Stream) -> None:
    with lines_together():
        for number in range(3):
            logging.getLogger("pagemill.access").info("%d", number)
        assert stream.writes == 0
    assert stream.writes == 1
    logging.getLogger("pagemill").info("alone")
    assert [line["message"] for line in stream.lines()] == ["0", "1", "2", "alone"]


def test_what_was_logged_before_an_error_is_written(stream: Stream) -> None:
    def fail_midway() -> None:
        with lines_together():
            logging.getLogger("pagemill").info("before")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert [line["message"] for line in stream.lines()] == ["before"]

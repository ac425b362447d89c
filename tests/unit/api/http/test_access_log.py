"""Tests of the access log."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from pagemill.api.http import access_log
from pagemill.api.http.access_log import GATHERED_LINES, AccessLog
from pagemill.tracing.spans import active_trace_id, begin_trace
from tests.support.access_lines import access_lines
from tests.support.collector import collecting, recording
from tests.support.working import until

if TYPE_CHECKING:
    from litestar.types import HTTPScope

SCOPE = cast(
    "HTTPScope", {"method": "GET", "path": "/v1/documents", "query_string": b"secret=1", "state": {}}
)


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    with access_lines() as lines:
        yield lines


def answer(log: AccessLog, request_id: str) -> None:
    log.add(SCOPE, request_id, 200, 0.0015, "203.0.113.9")


async def test_lines_are_written_after_a_moment(lines: list[logging.LogRecord]) -> None:
    log = AccessLog()
    answer(log, "one")
    answer(log, "two")
    assert lines == []

    async def written() -> bool:
        return len(lines) == 2

    await until(written)
    assert [vars(line)["request_id"] for line in lines] == ["one", "two"]
    assert (lines[0].getMessage(), vars(lines[0])["milliseconds"]) == ("GET /v1/documents 200", 1.5)
    answer(log, "three")

    async def written_again() -> bool:
        return len(lines) == 3

    await until(written_again)


async def test_full_buffer_is_written_at_once(lines: list[logging.LogRecord]) -> None:
    log = AccessLog()
    for number in range(GATHERED_LINES):
        answer(log, str(number))
    assert len(lines) == GATHERED_LINES


def test_lines_of_an_ended_loop_are_written_in_the_next(
    lines: list[logging.LogRecord],
) -> None:
    log = AccessLog()

    async def ends_at_once() -> None:
        answer(log, "one")

    async def waits() -> None:
        answer(log, "two")

        async def written() -> bool:
            return len(lines) == 2

        await until(written)

    asyncio.run(ends_at_once())
    asyncio.run(waits())


def test_child_does_not_write_lines_of_its_parent(lines: list[logging.LogRecord]) -> None:
    log = AccessLog()

    async def one() -> None:
        answer(log, "one")

    asyncio.run(one())
    child = os.fork()
    if child == 0:
        log.write()
        os._exit(len(lines))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    log.write()
    assert len(lines) == 1


async def test_a_line_names_the_trace_of_its_request_although_it_is_written_later(
    lines: list[logging.LogRecord],
) -> None:
    log = AccessLog()
    with collecting() as collector, recording(collector):
        with begin_trace("GET", None):
            trace_id = active_trace_id()
            answer(log, "traced")
        answer(log, "untraced")
        with begin_trace("GET", None):
            log.write()
    assert [vars(line)["trace_id"] for line in lines] == [trace_id, None]


def test_disabled_log_buffers_nothing(lines: list[logging.LogRecord]) -> None:
    log = AccessLog()
    access_log.logger.setLevel(logging.WARNING)
    answer(log, "one")
    access_log.logger.setLevel(logging.INFO)
    log.write()
    assert lines == []

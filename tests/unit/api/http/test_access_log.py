"""The access log: a line for each request, by itself, together with others, and once."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from pagemill.api.http import access_log
from pagemill.api.http.access_log import GATHERED_LINES, AccessLog
from tests.support.access_lines import access_lines
from tests.support.working import until

if TYPE_CHECKING:
    from litestar.types import HTTPScope

SCOPE = cast("HTTPScope", {"method": "GET", "path": "/v1/documents", "query_string": b"secret=1"})


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    with access_lines() as lines:
        yield lines


def answer(log: AccessLog, request_id: str) -> None:
    log.add(SCOPE, request_id, 200, 0.0015)


async def test_lines_are_written_by_themselves_soon_after(lines: list[logging.LogRecord]) -> None:
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


async def test_many_lines_do_not_wait(lines: list[logging.LogRecord]) -> None:
    log = AccessLog()
    for number in range(GATHERED_LINES):
        answer(log, str(number))
    assert len(lines) == GATHERED_LINES


def test_a_line_that_waits_in_a_loop_that_ended_is_written_with_those_of_the_next(
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


def test_a_child_does_not_write_its_parents_lines(lines: list[logging.LogRecord]) -> None:
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


def test_nothing_is_kept_where_no_line_is_wanted(lines: list[logging.LogRecord]) -> None:
    log = AccessLog()
    access_log.logger.setLevel(logging.WARNING)
    answer(log, "one")
    access_log.logger.setLevel(logging.INFO)
    log.write()
    assert lines == []

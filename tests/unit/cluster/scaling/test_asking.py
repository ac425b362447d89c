"""The thread that asks goes on through all that a database does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from pagemill.cluster.scaling import asking
from pagemill.cluster.scaling.asking import Ask, BacklogWatch
from pagemill.cluster.scaling.figures import Backlog

DEADLINE = 60.0


class Database:
    """A stand-in that answers with the number of the question, and can refuse or hang."""

    def __init__(self) -> None:
        self.opened = self.asked = self.closed = 0
        self.error: Exception | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Ask]:
        self.opened += 1
        try:
            yield self.ask
        finally:
            self.closed += 1

    async def ask(self) -> Backlog:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Backlog(taken=time.monotonic(), batch=float(self.asked))


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def watch(database: Database) -> Iterator[BacklogWatch]:
    watch = BacklogWatch(database.open, interval=0.01)
    yield watch
    watch.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_newest_answer_is_there_at_once(database: Database, watch: BacklogWatch) -> None:
    until(lambda: watch.latest is not None and watch.latest.batch >= 5.0)

    assert database.opened == 1


def test_a_question_that_fails_takes_another_connection(database: Database, watch: BacklogWatch) -> None:
    until(lambda: watch.latest is not None)
    database.error = RuntimeError("planted")
    until(lambda: database.opened >= 3)
    before = watch.latest
    assert before is not None, "the last answer stays, with its time"
    database.error = None

    until(lambda: watch.latest is not None and watch.latest.taken > before.taken)
    assert database.closed == database.opened - 1


def test_an_outage_is_logged_once_without_what_a_message_may_hold(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("ray.serve")
    logger.addHandler(caplog.handler)
    database.error = RuntimeError("postgresql://someone:hidden@host")
    watch = BacklogWatch(database.open, interval=0.01)
    until(lambda: database.opened >= 4)
    database.error = None
    until(lambda: watch.latest is not None and "again" in caplog.text)
    watch.close()
    logger.removeHandler(caplog.handler)

    assert [record.getMessage() for record in caplog.records] == [
        "scaling: the database gives no figures: RuntimeError",
        "scaling: the database gives figures again",
    ]


def test_a_question_that_hangs_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.05)
    hanging = []

    @contextlib.asynccontextmanager
    async def opens() -> AsyncIterator[Ask]:
        hanging.append(1)
        if len(hanging) <= 2:
            await asyncio.Event().wait()
        yield database.ask

    watch = BacklogWatch(opens, interval=0.01)
    until(lambda: watch.latest is not None)
    watch.close()

    assert len(hanging) == 3


def test_a_closed_watch_ends_its_connection(database: Database, watch: BacklogWatch) -> None:
    until(lambda: watch.latest is not None)
    watch.close()

    until(lambda: database.closed == database.opened)

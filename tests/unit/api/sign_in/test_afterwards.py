"""Work after an answer is done, and what fails of it concerns nobody but the operator."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.testing import RequestFactory

from db.pool import PoolExhausted
from pagemill.api.sign_in.afterwards import after_answer
from pagemill.api.sign_in.visits import Visit


def a_visit() -> Visit:
    # An application with its usual logging would take the handlers of these tests away.
    requests = RequestFactory(app=Litestar(logging_config=None))
    return Visit(cast("Any", requests.get("/")), cast("Any", None))


async def test_it_is_done() -> None:
    done: list[str] = []

    async def work(_visit: Visit, email: str) -> None:
        done.append(email)

    await after_answer(work, a_visit(), "ada@example.com")()
    assert done == ["ada@example.com"]


async def test_a_database_that_is_away_is_told_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def work(_visit: Visit, _email: str) -> None:
        raise PoolExhausted

    with caplog.at_level(logging.WARNING):
        await after_answer(work, a_visit(), "ada@example.com")()
    assert "no mail was queued" in caplog.text
    assert "ada" not in caplog.text


async def test_a_fault_is_not_hidden() -> None:
    async def work(_visit: Visit, _email: str) -> None:
        raise KeyError("a fault")

    with pytest.raises(KeyError):
        await after_answer(work, a_visit(), "ada@example.com")()

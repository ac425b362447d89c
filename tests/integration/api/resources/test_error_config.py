"""Reaction of a workflow to a failed execution: mail is sent, and the execution may wait for a person."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from pagemill.settings import Settings
from pagemill.work.mail import MAIL, MailRunner
from tests.support.flows import (
    again,
    claim,
    create_transition,
    create_workflow,
    ok,
    patch,
    start,
    succeed,
    task,
)
from tests.support.mail_server import MailServer, mail_server
from tests.support.mailed import set_mail
from tests.support.working import dispatching, until

OPERATIONS = "operations@example.com"
FAILED = "las:transition:commons-failed"
TWICE = [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 1, "IntervalSeconds": 1}]


@pytest.fixture
async def server(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[MailServer]:
    """A mail server, and a dispatcher that sends mail to it."""
    await set_mail(pool)
    async with mail_server() as server:
        mailing = msgspec.structs.replace(
            settings,
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_security="none",
            mail_sender="mill@example.com",
        )
        async with dispatching(pool, MailRunner(mailing), kinds=(MAIL,)):
            yield server


async def sent(pool: asyncpg.Pool, server: MailServer) -> list[tuple[list[str], str, str]]:
    """Wait until no mail is queued; return recipients, subject and text of what has arrived."""

    async def idle() -> bool:
        waiting = "SELECT count(*) FROM job WHERE kind = 'mail' AND state IN ('queued', 'running')"
        return await pool.fetchval(waiting) == 0

    await until(idle)
    found = []
    for envelope in server.taken:
        message = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
        body = message.get_body(("plain",))
        assert body is not None
        found.append((envelope.rcpt_tos, str(message["Subject"]), str(body.get_content())))
    return found


async def go_on(api: httpx.AsyncClient, execution: dict[str, Any], transition_id: str) -> dict[str, Any]:
    path = f"/v1/workflows/{execution['workflowId']}/executions/{execution['executionId']}"
    return await ok(await api.patch(path, json={"nextTransitionId": transition_id}))


async def test_a_failure_is_mailed_once_however_many_report_it(
    api: httpx.AsyncClient, pool: asyncpg.Pool, server: MailServer
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(
        api, {"Check": task(transition_id)}, name="Invoices", errorConfig={"email": OPERATIONS}
    )
    execution = await start(api, workflow_id)
    step = await claim(api, transition_id)
    answers = await asyncio.gather(
        *(patch(api, step, status="failed", error={"message": "no page 2"}) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    assert (await again(api, execution))["status"] == "failed"
    ((recipients, subject, text),) = await sent(pool, server)
    assert (recipients, subject) == ([OPERATIONS], "An execution of Invoices has failed")
    for told in ("It has ended.", "State: Check", "States.TaskFailed: no page 2", execution["executionId"]):
        assert told in text


async def test_attempts_that_are_repeated_are_not_mailed(
    api: httpx.AsyncClient, pool: asyncpg.Pool, server: MailServer
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(
        api, {"Check": task(transition_id, Retry=TWICE)}, errorConfig={"email": OPERATIONS}
    )
    execution = await start(api, workflow_id)
    await patch(api, await claim(api, transition_id), status="failed")
    assert (await again(api, execution))["status"] == "running"
    assert await sent(pool, server) == []


async def test_a_person_decides_how_a_failed_execution_goes_on(
    api: httpx.AsyncClient, pool: asyncpg.Pool, server: MailServer
) -> None:
    check, book = await create_transition(api), await create_transition(api)
    workflow_id = await create_workflow(
        api,
        {"Check": task(check, "Book"), "Book": task(book)},
        errorConfig={"email": OPERATIONS, "manualRetry": True},
    )
    execution = await start(api, workflow_id, {"n": 1})
    await patch(api, await claim(api, check), status="failed", error={"message": "no page 2"})
    waiting = await again(api, execution)
    assert (waiting["status"], waiting["endTime"]) == ("retry", None)
    workflow = await ok(await api.get(f"/v1/workflows/{workflow_id}"))
    assert workflow["numberOfRunningExecutions"] == 0
    ((_, _, text),) = await sent(pool, server)
    assert "It waits for you to say how it goes on." in text
    assert (await go_on(api, execution, check))["status"] == "running"
    workflow = await ok(await api.get(f"/v1/workflows/{workflow_id}"))
    assert workflow["numberOfRunningExecutions"] == 1
    assert (await succeed(api, await claim(api, check), n=2))["input"] == {"n": 1}
    # A second failure is told as well; that a person ends the execution is not.
    await patch(api, await claim(api, book), status="failed", error={"message": "no account"})
    assert (await go_on(api, execution, FAILED))["status"] == "failed"
    texts = [text for _, _, text in await sent(pool, server)]
    assert ["no page 2" in text for text in texts] == [True, False]
    assert "no account" in texts[1]

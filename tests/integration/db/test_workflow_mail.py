"""Mail that came for workflows: whose an address is, and that a mail is taken once."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from db.statements import Connection
from db.workflow_mail import (
    DELETION_BATCH_SIZE,
    KEPT_DAYS,
    MailedWorkflowRow,
    delete_old_mail,
    find_mail_outcome,
    find_mailed_workflow,
    get_email_config,
    keep_mailed_workflow,
    list_mail,
    record_mail,
)
from pagemill.ids import WorkflowId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKFLOW = WorkflowId("las:workflow:1")
ADDRESS = f"{'0a' * 16}@mill.example.com"
CONFIG = {"email": ADDRESS.replace("mill", "Mill"), "secretId": "las:secret:1"}


@pytest.fixture
def record(own: dict[str, Any]) -> dict[str, Any]:
    return {
        **own,
        "workflow_id": WORKFLOW,
        "message_key": "key",
        "message_id": "<1@example.org>",
        "origin": "ada@example.org",
        "outcome": "started",
        "executions": 2,
        "detail": None,
    }


async def add_workflow(connection: Connection, own: dict[str, Any], **values: Any) -> None:
    values = {"id": WORKFLOW, "definition": {}, "email_config": CONFIG, **values}
    await insert(connection, "workflow", **own, **values)


async def test_an_address_names_one_workflow(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    await add_workflow(connection, own)
    await add_workflow(connection, own, id="las:workflow:2", email_config=None)

    found = await find_mailed_workflow(connection, address=ADDRESS)
    assert found == MailedWorkflowRow(own["organization_id"], WORKFLOW)
    assert await find_mailed_workflow(connection, address="0" * 32) is None
    named = {"workflow_id": WORKFLOW, "address": ADDRESS}
    assert await get_email_config(connection, **own, **named) == CONFIG
    assert await get_email_config(connection, **foreign, **named) is None
    assert await get_email_config(connection, **own, **{**named, "address": "other"}) is None
    kept = await keep_mailed_workflow(connection, **own, **named)
    assert kept is not None
    assert kept.status == "development"
    assert await keep_mailed_workflow(connection, **own, **{**named, "address": "other"}) is None
    with pytest.raises(asyncpg.UniqueViolationError):
        await add_workflow(connection, own, id="las:workflow:3")


async def test_the_address_is_found_by_its_index(connection: Connection, own: dict[str, Any]) -> None:
    await add_workflow(connection, own)
    async with connection.transaction():
        for scan in ("indexscan", "bitmapscan"):
            await connection.execute(f"SET LOCAL enable_{scan} = on")
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {find_mailed_workflow.sql}", ADDRESS)
    assert "workflow_by_mail_address" in "\n".join(row[0] for row in plan)


async def test_only_started_executions_are_final(
    connection: Connection, own: dict[str, Any], record: dict[str, Any]
) -> None:
    await add_workflow(connection, own)
    named = {"workflow_id": WORKFLOW, "message_key": "key"}

    assert await find_mail_outcome(connection, **own, **named) is None
    for outcome in ("refused", "ignored", "refused", "started"):
        assert await record_mail(connection, **{**record, "outcome": outcome}) == 1
        assert await find_mail_outcome(connection, **own, **named) == outcome
    for outcome in ("refused", "started"):
        assert await record_mail(connection, **{**record, "outcome": outcome}) == 0
    assert await find_mail_outcome(connection, **own, **named) == "started"
    [row] = await list_mail(connection, workflow_id=WORKFLOW, outcome="started", limit=10)
    assert (row.origin, row.executions, row.message_id) == ("ada@example.org", 2, "<1@example.org>")
    assert await list_mail(connection, workflow_id=None, outcome="refused", limit=10) == []


async def test_records_go_after_a_month(
    connection: Connection, own: dict[str, Any], record: dict[str, Any], theirs: Tenant
) -> None:
    await add_workflow(connection, own)
    for number in range(DELETION_BATCH_SIZE + 2):
        await record_mail(connection, **{**record, "message_key": str(number)})
    await connection.execute(
        "UPDATE workflow_mail SET received_time = now() - $1::integer * interval '1 day' - interval '1 s'"
        " WHERE message_key <> '0'",
        KEPT_DAYS,
    )

    assert await delete_old_mail(connection, organization_id=theirs.organization_id) == 0
    assert await delete_old_mail(connection, **own) == DELETION_BATCH_SIZE
    assert await delete_old_mail(connection, **own) == 1
    assert await delete_old_mail(connection, **own) == 0

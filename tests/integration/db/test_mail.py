"""Mail that is queued with what it tells of, and warnings of limits that are near."""

from __future__ import annotations

from typing import Any

import pytest

from db.limit_warnings import list_organizations_near_limits, mail_limits
from db.mail import ADMIN, mail_failed_execution, mail_invitation, mail_training, set_mail_service
from db.statements import Connection
from pagemill.ids import AppClientId, CodeId, TrainingId, WorkflowExecutionId, WorkflowId
from tests.support.everything import insert
from tests.support.people import add_user
from tests.support.tenants import create_tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def mails(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return what each address gets, and take it out of the queue."""
    rows = await connection.fetch("DELETE FROM job WHERE kind = 'mail' RETURNING payload")
    return {row["payload"].pop("to"): row["payload"] for row in rows}


async def people(connection: Connection, own: dict[str, Any], foreign: dict[str, Any]) -> dict[str, str]:
    """Add users of two organizations, and return their addresses: an owner, a starter and others."""
    await set_mail_service(connection, available=True, daily_quota=500, stranger_interval=0.0)
    addresses = {}
    for name, owner, roles, status in (
        ("owner", own, [ADMIN], "active"),
        ("former owner", own, [ADMIN], "inactive"),
        ("starter", own, [], "active"),
        ("colleague", own, [], "active"),
        ("their owner", foreign, [ADMIN], "active"),
    ):
        person = await add_user(connection, owner["organization_id"], role_ids=roles, status=status)
        addresses[name] = person.email
        if name == "starter":
            addresses["starter's id"] = person.user_id
    return addresses


async def test_owners_and_the_starter_get_mail_on_a_training(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    addresses = await people(connection, own, foreign)
    await insert(connection, "model", **own, id="m", name="Invoices")
    started_by = {"created_by": addresses["starter's id"]}
    await insert(connection, "training", **own, id="t", model_id="m", **started_by)
    named = {"training_id": TrainingId("t"), "status": "succeeded"}
    assert await mail_training(connection, **own, **named) == 2
    expected = {
        "notice": "training",
        "status": "succeeded",
        "trainingId": "t",
        "modelId": "m",
        "training": "t",
        "model": "Invoices",
        "organization": "Test organization",
    }
    assert await mails(connection) == {addresses["owner"]: expected, addresses["starter"]: expected}
    await set_mail_service(connection, available=False, daily_quota=500, stranger_interval=0.0)
    assert await mail_training(connection, **own, **named) == 0


async def test_an_invitation_leads_to_the_login_of_an_own_app_client(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    await set_mail_service(connection, available=True, daily_quota=500, stranger_interval=0.0)
    for name, owner in (("mine", own), ("theirs", foreign)):
        configuration = {"defaultLoginUrl": f"https://{name}.example.com"}
        await insert(connection, "app_client", **owner, id=name, client_id=name, configuration=configuration)
    for app_client_id, url in (("mine", "https://mine.example.com"), ("theirs", None), (None, None)):
        invitation = {"address": "bob@example.com", "days": 7, "acceptance_url": "https://mill.example.com/x"}
        client = AppClientId(app_client_id) if app_client_id else None
        queued = await mail_invitation(
            connection, **own, **invitation, app_client_id=client, code_id=CodeId("las:one-time-code:1")
        )
        assert queued == 1
        (mail,) = (await mails(connection)).values()
        assert (mail["notice"], mail["days"], mail["url"]) == ("invitation", 7, url)
        assert (mail["codeId"], mail["acceptanceUrl"]) == (
            "las:one-time-code:1",
            "https://mill.example.com/x",
        )


@pytest.mark.parametrize(
    ("error_config", "address"),
    [({"email": "ada@example.com"}, "ada@example.com"), ({}, None), (None, None)],
)
async def test_a_failed_execution_is_mailed_to_where_the_workflow_says(
    connection: Connection, own: dict[str, Any], error_config: dict[str, Any] | None, address: str | None
) -> None:
    await set_mail_service(connection, available=True, daily_quota=500, stranger_interval=0.0)
    await insert(connection, "workflow", **own, id="w", error_config=error_config)
    count = await mail_failed_execution(
        connection,
        **own,
        workflow_id=WorkflowId("w"),
        execution_id=WorkflowExecutionId("e"),
        state="Check",
        error="States.Timeout",
        cause="too late",
        waits=True,
    )
    sent = await mails(connection)
    assert (count, list(sent)) == ((1, [address]) if address else (0, []))
    if address:
        members = [sent[address][name] for name in ("workflow", "state", "cause", "waits")]
        assert members == ["w", "Check", "too late", True]


@pytest.mark.parametrize(
    ("used", "told", "thresholds"),
    [
        (79, [], []),
        (80, [], [80]),
        (99, [], [80]),
        # Of several thresholds the highest is told, and all of them are marked.
        (100, [], [80, 100]),
        (100, [80], [100]),
        (101, [80, 100], []),
    ],
)
async def test_owners_are_told_once_a_month_of_a_limit_that_is_near(
    connection: Connection, foreign: dict[str, Any], used: int, told: list[int], thresholds: list[int]
) -> None:
    tenant = await create_tenant(connection, allowed={"pages": 100, "models": 0, "fields": 1})
    own = {"organization_id": tenant.organization_id}
    addresses = await people(connection, own, foreign)
    month, last_month = await connection.fetchrow(
        """
        SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM'),
            to_char(now() AT TIME ZONE 'UTC' - interval '1 month', 'YYYY-MM')
        """
    )
    for owner, meter, amount in ((own, "pages", used), (own, "fields", 9), (foreign, "pages", 100)):
        await connection.execute(
            "INSERT INTO usage_counter (organization_id, month, meter, used) VALUES ($1, $2, $3, $4)",
            owner["organization_id"],
            month,
            meter,
            amount,
        )
    for one_month, threshold in (*((month, one) for one in told), (last_month, 80)):
        await connection.execute(
            """
            INSERT INTO limit_warning (organization_id, month, meter, threshold)
            VALUES ($1, $2, 'pages', $3)
            """,
            own["organization_id"],
            one_month,
            threshold,
        )
    near = await list_organizations_near_limits(connection, after="", limit=10)
    assert near == ([own["organization_id"]] if thresholds else [])
    assert await mail_limits(connection, **own) == bool(thresholds)
    sent = await mails(connection)
    assert list(sent) == ([addresses["owner"]] if thresholds else [])
    if thresholds:
        meter = {"meter": "pages", "threshold": thresholds[-1], "used": used, "allowed": 100}
        assert (sent[addresses["owner"]]["month"], sent[addresses["owner"]]["meters"]) == (month, [meter])
    marked = await connection.fetch("SELECT month, threshold FROM limit_warning ORDER BY threshold")
    assert [tuple(row) for row in marked] == [(month, one) for one in sorted({*told, *thresholds})]
    assert await mail_limits(connection, **own) == 0

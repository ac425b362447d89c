"""Mail in, executions out: seen through the API."""

from __future__ import annotations

import asyncio
import base64

import asyncpg
import httpx
import pytest

from pagemill.client_credentials import hash_secret
from pagemill.settings import Settings
from tests.integration.mail_intake.conftest import Mailbox, create_mailbox, send, serving
from tests.support.flows import ok
from tests.support.mails import ADA, JPEG, PDF, PNG, TIFF, ZIP, forwarded, mail, nested
from tests.support.name_server import SILENT, name_server
from tests.support.people import add_principal
from tests.support.tenants import Tenant


async def rows(pool: asyncpg.Pool) -> list[tuple[str, int, str | None]]:
    found = await pool.fetch(
        "SELECT outcome, executions, detail FROM workflow_mail ORDER BY received_time, workflow_id"
    )
    return [tuple(row) for row in found]


async def allow(pool: asyncpg.Pool, tenant: Tenant, allowed: dict[str, float]) -> None:
    """Change what the plan of an organization allows."""
    await pool.execute("UPDATE plan SET allowed = $2 WHERE id = $1", tenant.plan_id, allowed)


async def test_each_document_starts_an_execution(
    api: httpx.AsyncClient, organization: Tenant, smtp_port: int, pool: asyncpg.Pool
) -> None:
    mailbox = await create_mailbox(
        api, organization, additionalWorkflowInput={"origin": "mail", "documentId": "none"}
    )
    files = {"a.pdf": PDF, "b.png": PNG, "c.jpg": JPEG, "d.tif": TIFF, "e.zip": ZIP}
    content = mail(*files.items(), sender=f"Ada <{ADA}>")

    assert await send(smtp_port, content, mailbox.address) == "250 2.0.0 Taken"
    executions = await mailbox.executions()
    assert len(executions) == 4
    assert {one["createdBy"] for one in executions} == {organization.app_client_id}
    assert {one["status"] for one in executions} == {"running"}
    found = {}
    for one in executions:
        given = one["input"]
        assert given["email"] == {"subject": "Invoices", "origin": ADA, "body": "Please pay.\n"}
        assert given["origin"] == "mail"
        document = await ok(await api.get(f"/v1/documents/{given['documentId']}"))
        assert (document["createdBy"], document["retentionInDays"]) == (organization.app_client_id, 1825)
        found[document["name"]] = (document["contentType"], base64.b64decode(document["content"]))
    assert found == {
        "a.pdf": ("application/pdf", PDF),
        "b.png": ("image/png", PNG),
        "c.jpg": ("image/jpeg", JPEG),
        "d.tif": ("image/tiff", TIFF),
    }
    assert await rows(pool) == [
        ("started", 4, "attachments that are no documents: e.zip (application/octet-stream)")
    ]


async def test_a_message_id_is_taken_once_for_each_workflow(
    api: httpx.AsyncClient, organization: Tenant, mailbox: Mailbox, smtp_port: int
) -> None:
    other = await create_mailbox(api, organization)
    content = mail(("a.pdf", PDF))

    replies = await asyncio.gather(*(send(smtp_port, content, mailbox.address) for _ in range(5)))
    assert set(replies) == {"250 2.0.0 Taken"}
    both = await send(smtp_port, content, mailbox.address.upper(), other.address, mailbox.address)
    assert both == "250 2.0.0 Taken"
    assert [len(await one.executions()) for one in (mailbox, other)] == [1, 1]
    documents = await ok(await api.get("/v1/documents"))
    assert len(documents["documents"]) == 2


async def test_without_a_message_id_the_same_bytes_are_the_same_mail(
    mailbox: Mailbox, smtp_port: int
) -> None:
    one, other = (mail(("a.pdf", PDF), subject=subject, message_id=None) for subject in "ab")
    for content in (one, one, other):
        assert await send(smtp_port, content, mailbox.address) == "250 2.0.0 Taken"
    assert len(await mailbox.executions()) == 2


async def test_only_allowed_senders_start_executions(
    api: httpx.AsyncClient, organization: Tenant, smtp_port: int, pool: asyncpg.Pool
) -> None:
    mailbox = await create_mailbox(api, organization, allowedOrigins=[r".*@example\.org", "bob@.*"])

    for number, sender in enumerate((ADA, "bob@example.net", "eve@example.net", "ada@example.org.net")):
        content = mail(("a.pdf", PDF), sender=sender, message_id=f"<{number}@x>")
        assert await send(smtp_port, content, mailbox.address) == "250 2.0.0 Taken"
    assert [one["email"]["origin"] for one in await mailbox.inputs()] == [ADA, "bob@example.net"]
    assert (await rows(pool))[2:] == [("ignored", 0, "the sender matches none of allowedOrigins")] * 2


async def test_a_mail_without_documents_is_taken_and_starts_nothing(
    mailbox: Mailbox, smtp_port: int, pool: asyncpg.Pool
) -> None:
    assert await send(smtp_port, mail(("e.zip", ZIP)), mailbox.address) == "250 2.0.0 Taken"
    assert await mailbox.executions() == []
    [(outcome, _, detail)] = await rows(pool)
    assert outcome == "ignored"
    assert detail is not None
    assert "no PDF, JPEG, PNG or TIFF is attached" in detail


async def test_who_may_be_written_to(
    api: httpx.AsyncClient, organization: Tenant, mailbox: Mailbox, smtp_port: int
) -> None:
    local, _, domain = mailbox.address.partition("@")
    for address in (
        f"{'0' * 32}@{domain}",
        f"{local}@example.net",
        f"{local}.@{domain}",
        "root@localhost.localdomain",
        f"{local[:-1]}@{domain}",
    ):
        assert (await send(smtp_port, mail(("a.pdf", PDF)), address)).startswith("550 5.1.1")
    await ok(await api.patch(mailbox.path, json={"emailConfig": None}))
    assert (await send(smtp_port, mail(("a.pdf", PDF)), mailbox.address)).startswith("550 5.1.1")


SECRETS = [
    ({"password": "x"}, "has no clientId and clientSecret"),
    ({"clientId": 1, "clientSecret": 2}, "has no clientId and clientSecret"),
    ({"clientId": "nobody", "clientSecret": "x"}, "no such app client"),
]


async def test_without_credentials_the_sender_tries_again_and_the_operator_sees_why(
    api: httpx.AsyncClient,
    organization: Tenant,
    smtp_port: int,
    pool: asyncpg.Pool,
) -> None:
    content = mail(("a.pdf", PDF))
    for secret, detail in SECRETS:
        mailbox = await create_mailbox(api, organization, secret)
        for _ in range(2):
            assert (await send(smtp_port, content, mailbox.address)).startswith("451 4.3.5 The credentials")
        (outcome, _, told) = (await rows(pool))[-1]
        assert (outcome, detail in str(told)) == ("refused", True)
    assert (await ok(await api.get("/v1/documents")))["documents"] == []

    workflow = await ok(await api.get(mailbox.path))
    right = {"LAS_CLIENT_ID": organization.client_id, "LAS_CLIENT_SECRET": organization.client_secret}
    secret_path = f"/v1/secrets/{workflow['emailConfig']['secretId']}"
    await ok(await api.patch(secret_path, json={"data": right}))
    assert await send(smtp_port, content, mailbox.address) == "250 2.0.0 Taken"
    assert (await rows(pool))[-1][:2] == ("started", 1)


async def test_credentials_of_others_and_without_permission_are_refused(
    api: httpx.AsyncClient,
    organization: Tenant,
    other_organization: Tenant,
    smtp_port: int,
    pool: asyncpg.Pool,
) -> None:
    foreign = {"clientId": other_organization.client_id, "clientSecret": other_organization.client_secret}
    wrong = {"clientId": organization.client_id, "clientSecret": other_organization.client_secret}
    reader = await add_principal(pool, organization.organization_id, "app-client", ["las:role:validator"])
    [client_id] = await pool.fetchrow("SELECT client_id FROM app_client WHERE id = $1", reader)
    await pool.execute(
        "UPDATE app_client SET secret_hash = $1 WHERE id = $2",
        *(hash_secret(organization.client_secret), reader),
    )
    weak = {"clientId": client_id, "clientSecret": organization.client_secret}
    for secret in (foreign, wrong, weak):
        mailbox = await create_mailbox(api, organization, secret)
        assert (await send(smtp_port, mail(("a.pdf", PDF)), mailbox.address)).startswith("451 4.3.5")
    assert [detail.partition(": ")[2] or detail for _, _, detail in await rows(pool) if detail] == [
        "there is no such app client with a secret",
        "wrong client secret",
        f"451 4.3.5 {reader} may not write las:document:*",
    ]


@pytest.mark.parametrize("meter", ["documents", "workflow-executions"])
async def test_at_the_limit_of_the_plan_the_sender_tries_again(
    api: httpx.AsyncClient,
    organization: Tenant,
    mailbox: Mailbox,
    smtp_port: int,
    pool: asyncpg.Pool,
    meter: str,
) -> None:
    await allow(pool, organization, {meter: 1})
    two = mail(("a.pdf", PDF), ("b.pdf", PDF))

    assert (await send(smtp_port, two, mailbox.address)).startswith("452 4.2.2 the plan allows no more")
    assert await mailbox.executions() == []
    assert (await ok(await api.get("/v1/documents")))["documents"] == []
    one = mail(("a.pdf", PDF), message_id="<2@x>")
    assert await send(smtp_port, one, mailbox.address) == "250 2.0.0 Taken"
    await allow(pool, organization, {meter: 3})
    assert await send(smtp_port, two, mailbox.address) == "250 2.0.0 Taken"
    assert len(await mailbox.executions()) == 3


async def test_bad_mail_is_refused_with_its_reason(
    mailbox: Mailbox, smtp_port: int, pool: asyncpg.Pool
) -> None:
    for content, reply in (
        (nested(3000), "554 5.6.0 The mail is nested too deeply"),
        (mail(*((f"{number}.pdf", PDF) for number in range(51))), "554 5.6.0 The mail has more than 50"),
        (b"X: y\r\n" * 5000 + mail(("a.pdf", PDF)), "554 5.6.0 The mail has too many headers"),
        (b"From: eve@example.net\r\n" + mail(("a.pdf", PDF)), "554 5.6.0 The mail has more than one From"),
    ):
        assert (await send(smtp_port, content, mailbox.address)).startswith(reply)
        outcome, _, detail = (await rows(pool))[-1]
        assert (outcome, str(detail).startswith(reply)) == ("refused", True)
    assert await mailbox.executions() == []


async def test_fifty_documents_and_an_attached_mail(mailbox: Mailbox, smtp_port: int) -> None:
    many = mail(*((f"{number}.pdf", PDF) for number in range(50)))

    assert await send(smtp_port, many, mailbox.address) == "250 2.0.0 Taken"
    inside = forwarded(mail(("a.pdf", PDF)))
    assert await send(smtp_port, inside, mailbox.address) == "250 2.0.0 Taken"
    assert len(await mailbox.executions()) == 51


async def test_what_spf_and_dkim_say_is_recorded_or_enforced(
    mailbox: Mailbox, settings: Settings, app: object
) -> None:
    records = {
        ("example.org", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"'],
        ("example.net", "TXT"): ['"v=spf1 -all"'],
        ("example.com", "TXT"): SILENT,
    }
    with name_server(records) as server:
        async with serving(settings, name_servers=[server], mail_authentication="record") as port:
            content = mail(("a.pdf", PDF), sender="eve@example.net", message_id="<r@x>")
            assert await send(port, content, mailbox.address) == "250 2.0.0 Taken"
        [given] = await mailbox.inputs()
        assert given["email"]["authentication"] == {
            "spf": {"result": "pass", "domain": "example.org"},
            "dkim": [],
            "aligned": False,
        }
        async with serving(settings, name_servers=[server], mail_authentication="enforce") as port:
            forged = mail(("a.pdf", PDF), sender="eve@example.net", message_id="<f@x>")
            assert (await send(port, forged, mailbox.address)).startswith("550 5.7.1")
            silent = mail(("a.pdf", PDF), sender="eve@example.com", message_id="<s@x>")
            reply = await send(port, silent, mailbox.address, sender="eve@example.com")
            assert reply.startswith("451 4.7.5")
            proven = mail(("a.pdf", PDF), message_id="<p@x>")
            assert await send(port, proven, mailbox.address) == "250 2.0.0 Taken"
    assert [one["email"]["authentication"]["aligned"] for one in await mailbox.inputs()] == [False, True]


async def test_it_is_taken_only_once_everything_is_committed(
    mailbox: Mailbox, smtp_port: int, pool: asyncpg.Pool
) -> None:
    """Another transaction holds what the mail needs: no reply comes before that ends."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM workflow WHERE id = $1 FOR UPDATE", mailbox.workflow_id)
        reply = asyncio.create_task(send(smtp_port, mail(("a.pdf", PDF)), mailbox.address))
        while not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
            "current_database())"
        ):
            await asyncio.sleep(0.02)
            await connection.execute("SELECT pg_stat_clear_snapshot()")
        assert not reply.done()
        await transaction.commit()
    assert await reply == "250 2.0.0 Taken"
    assert len(await mailbox.executions()) == 1

"""Mail is sent through a real server once, and retried while the server does not accept it."""

from __future__ import annotations

import datetime
import email
import email.policy
import re
import ssl
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.mail import set_mail_service
from pagemill.jobs.backoff import Retry, decide
from pagemill.jobs.job import Job, TryAgain
from pagemill.jobs.job_administration import list_jobs, retry_job
from pagemill.jobs.queue import enqueue
from pagemill.people.one_time_codes import mail_new_code, try_code
from pagemill.settings import Settings
from pagemill.stack.certificates import Certificates
from pagemill.work import mail
from pagemill.work.kinds import KINDS
from pagemill.work.mail import DELAYS, MAIL, MailRefused, MailRunner, announce_mail_service
from tests.support.mail_server import PASSWORD, USERNAME, mail_server
from tests.support.tenants import Tenant
from tests.support.working import dispatching, job_row, until, until_ended

TO = "ada@example.com"
PAYLOAD = {"notice": "invitation", "to": TO, "organization": "Acme", "days": 90, "url": None}


def settings(port: int, **members: Any) -> Settings:
    given = {"smtp_security": "none", "mail_sender": "mill@example.com", "smtp_host": "127.0.0.1"}
    return Settings(
        database_url="postgresql://unused", objects_url="file:///unused", smtp_port=port, **(given | members)
    )


def a_job(payload: dict[str, Any] = PAYLOAD, *, attempt: int = 1) -> Job:
    return Job("0123abcd", "mail", "las:organization:acme", "0123abcd", payload, attempt, 8)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context whose authority is trusted by what is tested."""
    certificates = Certificates(tmp_path)
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


async def test_a_message_arrives() -> None:
    async with mail_server() as server:
        await MailRunner(settings(server.port))(a_job())
    (envelope,) = server.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("mill@example.com", [TO])
    message = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
    assert message["Message-ID"] == "<0123abcd@example.com>"
    assert message["Subject"] == "You are invited to Acme"
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_encrypted_and_signed_in(tls: ssl.SSLContext, security: str) -> None:
    async with mail_server(tls, implicit_tls=security == "tls") as server:
        members = {
            "smtp_security": security,
            "smtp_host": "localhost",
            "smtp_username": USERNAME,
            "smtp_password": PASSWORD,
        }
        await MailRunner(settings(server.port, **members))(a_job())
        assert server.secure == [True]
        with pytest.raises(TryAgain, match="SMTPAuthenticationError"):
            await MailRunner(settings(server.port, **(members | {"smtp_password": "wrong"})))(a_job())
    assert len(server.taken) == 1


async def test_a_certificate_that_is_not_trusted_gets_no_password(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with mail_server(tls) as server:
        with pytest.raises(TryAgain):
            await MailRunner(settings(server.port, smtp_security="starttls", smtp_host="localhost"))(a_job())
    assert server.taken == []


async def test_without_starttls_nothing_is_sent() -> None:
    async with mail_server() as server:
        with pytest.raises(TryAgain):
            await MailRunner(settings(server.port, smtp_security="starttls"))(a_job())
    assert server.taken == []


@pytest.mark.parametrize("reply", ["550 no such user", "552 too large", "554 spam"])
async def test_a_permanent_refusal_is_final(reply: str) -> None:
    async with mail_server() as server:
        server.replies = [reply]
        with pytest.raises(MailRefused, match=reply[4:]):
            await MailRunner(settings(server.port))(a_job())
        server.refused = {TO: reply}
        with pytest.raises(MailRefused, match=reply[4:]):
            await MailRunner(settings(server.port))(a_job())
    assert not MailRefused.retryable


@pytest.mark.parametrize("reply", ["421 too busy", "451 later", "452 full"])
async def test_a_temporary_refusal_is_tried_again(reply: str) -> None:
    async with mail_server() as server:
        for number, seconds in enumerate((*DELAYS, DELAYS[-1]), start=1):
            server.refused = {TO: reply}
            with pytest.raises(TryAgain, match=reply[4:]) as caught:
                await MailRunner(settings(server.port))(a_job(attempt=number))
            assert seconds <= caught.value.delay <= seconds * 1.2
            if number < 8:
                assert decide(caught.value, a_job(attempt=number), chance=0.5) == Retry(
                    caught.value.delay, counts=True
                )
    assert decide(caught.value, a_job(attempt=8), chance=0.5) == "fail"


async def test_a_server_that_is_away_is_waited_for() -> None:
    async with mail_server() as server:
        pass
    with pytest.raises(TryAgain):
        await MailRunner(settings(server.port))(a_job())


@pytest.mark.parametrize(
    "payload", [PAYLOAD | {"to": "a@b.de\r\nRCPT TO:<x@y.de>"}, {"notice": "other"}, PAYLOAD | {"to": ""}]
)
async def test_an_invalid_message_is_not_sent(payload: dict[str, Any]) -> None:
    async with mail_server() as server:
        with pytest.raises(MailRefused):
            await MailRunner(settings(server.port))(a_job(payload))
    assert server.taken == []


async def test_mail_that_was_queued_before_the_server_was_given_up_fails() -> None:
    with pytest.raises(MailRefused, match="PAGEMILL_SMTP_HOST"):
        await MailRunner(settings(1, smtp_host=None))(a_job())


async def queue(pool: asyncpg.Pool, organization: Tenant) -> str:
    async with pool.acquire() as connection:
        return await enqueue(
            connection,
            MAIL,
            organization_id=organization.organization_id,
            subject_id="x",
            payload=PAYLOAD,
        )


async def test_a_message_is_retried_with_its_id_until_it_is_accepted(
    pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "DELAYS", (0.01,))
    async with mail_server() as server:
        server.replies = ["451 later", "451 later"]
        job_id = await queue(pool, organization)
        async with dispatching(pool, MailRunner(settings(server.port)), kinds=(MAIL,)):
            assert await until_ended(pool, job_id) == ["succeeded"]
    assert (await job_row(pool, job_id))["attempt"] == 3
    (envelope,) = server.taken
    assert f"<{job_id}@example.com>".encode() in (envelope.original_content or b"")


async def test_a_refused_message_is_shown_and_can_be_sent_again(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with mail_server() as server:
        server.replies = ["550 no"]
        job_id = await queue(pool, organization)
        async with dispatching(pool, MailRunner(settings(server.port)), kinds=(MAIL,)):
            assert await until_ended(pool, job_id) == ["failed"]
            async with pool.acquire() as connection:
                (report,) = await list_jobs(connection, states=["failed"], kind="mail")
                assert (report.id, report.error_class, report.retryable) == (job_id, "MailRefused", False)
                await retry_job(connection, KINDS, job_id)
            assert await until_ended(pool, job_id) == ["succeeded"]
    assert len(server.taken) == 1


async def test_the_dispatcher_announces_whether_mail_is_sent(pool: asyncpg.Pool) -> None:
    said = []
    for host in (None, "mail.example.com", None):
        await announce_mail_service(pool, settings(25, smtp_host=host))
        said.append(await pool.fetchval("SELECT available FROM mail_service"))
    assert said == [False, True, False]


async def test_the_mail_service_is_announced_when_postgres_is_back(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "AWAY_SECONDS", 0.01)
    away = iter([True, True])
    acquire = asyncpg.Pool.acquire

    def sometimes(self: asyncpg.Pool, **options: Any) -> Any:
        if next(away, False):
            raise ConnectionRefusedError
        return acquire(self, **options)

    monkeypatch.setattr(asyncpg.Pool, "acquire", sometimes)
    await announce_mail_service(pool, settings(25))

    async def written() -> bool:
        return bool(await pool.fetchval("SELECT available FROM mail_service"))

    await until(written)


async def order(pool: asyncpg.Pool, email: str = TO) -> str:
    """A code that is to be mailed; returns the id of its job."""
    async with pool.acquire() as connection:
        await set_mail_service(connection, available=True, daily_quota=500, stranger_interval=0.0)
        await mail_new_code(
            connection, "recover", email, url="https://mill.example.com/sign-in/recovery/code"
        )
    return str(await pool.fetchval("SELECT id FROM job ORDER BY created_time DESC LIMIT 1"))


async def works(pool: asyncpg.Pool, code: str) -> bool:
    async with pool.acquire() as connection:
        return await try_code(connection, "recover", TO, code) is not None


async def test_a_code_is_made_when_it_is_sent_and_the_last_one_works(pool: asyncpg.Pool) -> None:
    async with mail_server() as server:
        job_id = await order(pool)
        assert await pool.fetchval("SELECT code_hash FROM one_time_code") == ""
        runner = MailRunner(settings(server.port), pool)
        job = a_job((await job_row(pool, job_id))["payload"])
        await runner(job)
        await runner(job)
    first, second = (
        re.search(rb"(?:[0-9A-Z]{4}-){2}[0-9A-Z]{4}", envelope.original_content or b"")
        for envelope in server.taken
    )
    assert first is not None
    assert second is not None
    assert [await works(pool, one[0].decode()) for one in (first, second)] == [False, True]


@pytest.mark.parametrize("change", ["used_time = now()", "expires_time = now()"])
async def test_a_code_that_nobody_waits_for_is_not_sent(pool: asyncpg.Pool, change: str) -> None:
    async with mail_server() as server:
        job_id = await order(pool)
        await pool.execute(f"UPDATE one_time_code SET {change}")
        async with dispatching(pool, MailRunner(settings(server.port), pool), kinds=(MAIL,)):
            assert await until_ended(pool, job_id) == ["succeeded"]
    assert server.taken == []


async def test_mail_of_a_person_waits_for_no_organization(pool: asyncpg.Pool, organization: Tenant) -> None:
    """Its jobs take turns with those of organizations."""
    async with mail_server() as server:
        job_ids = [await queue(pool, organization), await order(pool), await queue(pool, organization)]
        async with dispatching(pool, MailRunner(settings(server.port), pool), kinds=(MAIL,)):
            assert await until_ended(pool, *job_ids) == ["succeeded"] * 3
    assert len(server.taken) == 3

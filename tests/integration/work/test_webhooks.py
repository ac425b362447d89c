"""Events arrive at a real receiver, signed and once; failed deliveries are retried."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from click.testing import CliRunner
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from db.webhook_deliveries import MAXIMUM_ATTEMPTS
from pagemill.cli import main
from pagemill.concurrency import cancel_and_wait
from pagemill.errors import NotFound
from pagemill.jobs.backoff import decide
from pagemill.jobs.job import Job, TryAgain
from pagemill.jobs.job_administration import retry_job
from pagemill.notices.events import tell
from pagemill.notices.host_names import HostNames
from pagemill.notices.webhook_administration import replay
from pagemill.secret_box import new_secret_key, read_secret_keys
from pagemill.tracing.context import TraceContext
from pagemill.tracing.spans import begin_trace
from pagemill.work import webhooks
from pagemill.work.kinds import KINDS
from pagemill.work.webhooks import DELAYS, WEBHOOK, DeliveryRefused, WebhookRunner
from tests.support.collector import collecting, recording
from tests.support.hooks import Receiver, add_webhook, receiving
from tests.support.name_server import SILENT, name_server
from tests.support.seeds import claim_job
from tests.support.tenants import Tenant
from tests.support.working import dispatching, job_row, until, until_ended

BOX = read_secret_keys(new_secret_key("test"))


@pytest.fixture
def runner(pool: asyncpg.Pool) -> WebhookRunner:
    return WebhookRunner(pool, BOX, private_targets=True)


async def told(pool: asyncpg.Pool, organization: Tenant) -> str:
    """An event is told; the id of the job that was queued last."""
    async with pool.acquire() as connection, connection.transaction():
        await tell(
            connection,
            organization.organization_id,
            "prediction",
            "succeeded",
            predictionId="las:prediction:1",
        )
    return str(
        await pool.fetchval("SELECT id FROM job WHERE kind = 'webhook' ORDER BY created_time DESC LIMIT 1")
    )


async def attempts(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT * FROM webhook_attempt ORDER BY created_time, id")
    return [dict(row) for row in rows]


async def delivery_status(pool: asyncpg.Pool) -> str:
    return str(await pool.fetchval("SELECT status FROM webhook_delivery"))


async def attempt(pool: asyncpg.Pool, runner: WebhookRunner, number: int) -> tuple[Job, TryAgain]:
    """The job's next attempt, which fails."""
    await pool.execute(
        "UPDATE job SET state = 'queued', run_after = now(), lease_owner = NULL WHERE kind = 'webhook'"
    )
    job = await claim_job(pool, WEBHOOK)
    assert job.attempt == number
    with pytest.raises(TryAgain) as caught:
        await runner(job)
    return job, caught.value


async def test_a_traced_event_names_its_trace_and_nothing_of_other_vendors(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    asked = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True, "vendor=private")
    with collecting() as collector, recording(collector):
        async with receiving() as receiver:
            await add_webhook(pool, organization.organization_id, BOX, receiver.url)
            with begin_trace("POST /v1/predictions", asked):
                job_id = await told(pool, organization)
            untraced = await told(pool, organization)
            async with dispatching(pool, runner, kinds=(WEBHOOK,)):
                assert await until_ended(pool, job_id, untraced) == ["succeeded"] * 2
    sending = collector.one("POST")
    assert (sending.trace_id, sending.kind) == (asked.trace_id, "client")
    assert sending.parent_id == collector.one("run webhook").span_id
    assert sending.attributes == {"http.request.method": "POST", "http.response.status_code": 200}
    parents = [headers.get("traceparent") for headers, _ in receiver.received]
    assert sorted(parents, key=str) == [f"00-{asked.trace_id}-{sending.span_id}-01", None]
    assert not any("tracestate" in headers for headers, _ in receiver.received)


async def test_an_event_arrives_signed_and_once(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    async with receiving() as receiver:
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        job_id = await told(pool, organization)
        async with dispatching(pool, runner, kinds=(WEBHOOK,)):
            assert await until_ended(pool, job_id) == ["succeeded"]
        ((headers, body),) = receiver.received
        (event,) = receiver.verified()
    assert event["data"] == {"status": "succeeded", "predictionId": "las:prediction:1"}
    assert headers["webhook-id"] == (await job_row(pool, job_id))["subject_id"]
    assert headers["Content-Type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(body + b" ", headers)
    (tried,) = await attempts(pool)
    assert (tried["status_code"], tried["error"], tried["next_attempt_time"]) == (200, None, None)
    assert await delivery_status(pool) == "succeeded"


async def test_a_delivery_is_retried_with_its_id_until_it_is_accepted(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "DELAYS", (0.01, 0.01))
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=500), web.Response(status=404)]
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        job_id = await told(pool, organization)
        async with dispatching(pool, runner, kinds=(WEBHOOK,)):
            assert await until_ended(pool, job_id) == ["succeeded"]
        assert len(receiver.verified()) == 3
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
        assert len({body for _, body in receiver.received}) == 1
    rows = await attempts(pool)
    assert [row["status_code"] for row in rows] == [500, 404, 200]
    assert [row["error"] for row in rows] == ["answered 500", "answered 404", None]
    assert [row["next_attempt_time"] is None for row in rows] == [False, False, True]


async def test_the_schedule_is_that_of_standard_webhooks(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    assert len(DELAYS) == MAXIMUM_ATTEMPTS - 1
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=503) for _ in range(MAXIMUM_ATTEMPTS)]
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        job_id = await told(pool, organization)
        for number, seconds in enumerate(DELAYS, start=1):
            job, error = await attempt(pool, runner, number)
            assert seconds <= error.delay <= 1.1 * seconds
            assert decide(error, job, chance=0.5) != "fail"
            next_time = (await attempts(pool))[-1]["next_attempt_time"]
            in_seconds = (next_time - datetime.datetime.now(datetime.UTC)).total_seconds()
            assert abs(in_seconds - error.delay) < 5
        job, error = await attempt(pool, runner, MAXIMUM_ATTEMPTS)
    assert decide(error, job, chance=0.5) == "fail"
    assert (await attempts(pool))[-1]["next_attempt_time"] is None
    assert job.id == job_id


async def test_a_failed_delivery_is_shown_and_can_be_replayed(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner, database_url: str
) -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=500)]
        webhook = await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        job_id = await told(pool, organization)
        await pool.execute("UPDATE job SET maximum_attempts = 1 WHERE id = $1", job_id)
        async with dispatching(pool, runner, kinds=(WEBHOOK,)):
            assert await until_ended(pool, job_id) == ["failed"]
            assert await delivery_status(pool) == "failed"
            delivery_id = (await job_row(pool, job_id))["subject_id"]

            def command(*arguments: str) -> str:
                environment = {"PAGEMILL_DATABASE_URL": database_url}
                result = CliRunner().invoke(main, ["webhooks", *arguments], env=environment)
                assert result.exit_code == 0, result.output
                return result.output

            listed = json.loads(await asyncio.to_thread(command, "list", "--json"))
            assert [(one["id"], one["failed"], one["pending"]) for one in listed] == [(webhook.id, 1, 0)]
            tried = json.loads(await asyncio.to_thread(command, "attempts", webhook.id, "--json"))
            assert [(one["deliveryId"], one["statusCode"]) for one in tried] == [(delivery_id, 500)]
            assert "answered 500" in await asyncio.to_thread(command, "attempts", delivery_id)
            assert webhook.id in await asyncio.to_thread(command, "list")
            assert await asyncio.to_thread(command, "replay", webhook.id) == f"{delivery_id}\n"

            async def arrived() -> bool:
                return await delivery_status(pool) == "succeeded"

            await until(arrived)
            await asyncio.to_thread(command, "replay", delivery_id)
            await until(lambda: pool.fetchval("SELECT count(*) = 3 FROM webhook_attempt"))
            assert len(receiver.verified()) == 3
            assert {headers["webhook-id"] for headers, _ in receiver.received} == {delivery_id}


async def test_replay_of_an_unknown_or_pending_delivery_is_refused(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    webhook = await add_webhook(pool, organization.organization_id, BOX, "http://localhost:1")
    job_id = await told(pool, organization)
    async with pool.acquire() as connection:
        for name in ((await job_row(pool, job_id))["subject_id"], webhook.id, "las:webhook-delivery:none"):
            with pytest.raises(NotFound):
                await replay(connection, name)


async def test_the_job_of_a_failed_delivery_can_be_tried_again(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=500)]
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        job_id = await told(pool, organization)
        await pool.execute("UPDATE job SET maximum_attempts = 1 WHERE id = $1", job_id)
        async with dispatching(pool, runner, kinds=(WEBHOOK,)):
            assert await until_ended(pool, job_id) == ["failed"]
            async with pool.acquire() as connection:
                await retry_job(connection, KINDS, job_id)
            assert await until_ended(pool, job_id) == ["succeeded"]
    assert await delivery_status(pool) == "succeeded"


async def test_gone_disables_the_webhook(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=410)]
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        job_id = await told(pool, organization)
        async with dispatching(pool, runner, kinds=(WEBHOOK,)):
            assert await until_ended(pool, job_id) == ["failed"]
        assert len(receiver.received) == 1
    assert await pool.fetchval("SELECT status FROM webhook") == "disabled"
    assert [(row["status_code"], row["next_attempt_time"]) for row in await attempts(pool)] == [(410, None)]
    assert await delivery_status(pool) == "failed"
    assert await told(pool, organization) == job_id


async def test_a_disabled_webhook_is_sent_nothing_and_a_deleted_one_neither(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    async with receiving() as receiver:
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        await told(pool, organization)
        job = await claim_job(pool, WEBHOOK)
        await pool.execute("UPDATE webhook SET status = 'disabled'")
        with pytest.raises(DeliveryRefused, match="disabled"):
            await runner(job)
        await pool.execute("DELETE FROM webhook")
        with pytest.raises(NotFound):
            await runner(job)
        assert receiver.received == []


async def test_a_delivery_of_a_dead_worker_is_not_sent_again(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    async with receiving() as receiver:
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        await told(pool, organization)
        job = await claim_job(pool, WEBHOOK)
        await runner(job)
        await runner(job)
        assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(status=302, headers={"Location": "/elsewhere"}), "redirects are not followed"),
        (web.Response(status=307, headers={"Location": "/elsewhere"}), "redirects are not followed"),
    ],
)
async def test_redirects_are_not_followed(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner, answer: web.Response, error: str
) -> None:
    async with receiving() as receiver:
        receiver.answers = [answer]
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        await told(pool, organization)
        _, failed = await attempt(pool, runner, 1)
        assert error in failed.message
        assert len(receiver.received) == 1


async def test_of_a_large_answer_little_is_read_and_nothing_kept(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    async with receiving() as receiver:
        bomb = {"Content-Encoding": "gzip"}
        receiver.answers = [web.Response(body=b"secret" * 2_000_000, headers=bomb)]
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        await told(pool, organization)
        await runner(await claim_job(pool, WEBHOOK))
    assert "secret" not in str(await attempts(pool))


async def serve_raw(answer: bytes | None) -> asyncio.Server:
    """Answers with these bytes, or not at all."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(connected, "localhost", 0)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, "no answer within"),
        (b"", "broken off"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", "no HTTP"),
    ],
)
async def test_answers_that_are_none(
    pool: asyncpg.Pool,
    organization: Tenant,
    runner: WebhookRunner,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes | None,
    error: str,
) -> None:
    monkeypatch.setattr(webhooks, "DELIVERY_SECONDS", 0.3)
    server = await serve_raw(answer)
    port = server.sockets[0].getsockname()[1]
    await add_webhook(pool, organization.organization_id, BOX, f"http://localhost:{port}/")
    await told(pool, organization)
    _, failed = await attempt(pool, runner, 1)
    assert error in failed.message
    assert (await attempts(pool))[0]["error"] == failed.message
    server.close()
    await server.wait_closed()


async def test_a_host_that_is_not_there(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner
) -> None:
    await add_webhook(pool, organization.organization_id, BOX, "http://localhost:1/")
    await told(pool, organization)
    _, failed = await attempt(pool, runner, 1)
    assert failed.message == "no connection"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f.1", "0.0.0.0"],
)
async def test_private_addresses_are_never_connected_to(
    pool: asyncpg.Pool, organization: Tenant, host: str
) -> None:
    async with receiving() as receiver:
        url = receiver.url.replace("localhost", host)
        await add_webhook(pool, organization.organization_id, BOX, url)
        await told(pool, organization)
        _, failed = await attempt(pool, WebhookRunner(pool, BOX, private_targets=False), 1)
        assert receiver.received == []
    assert failed.message in (
        "the address is not a public one",
        "the host's name cannot be resolved",
        "the URL is not valid",
    )
    if host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
        assert failed.message == "the address is not a public one"


async def test_a_name_is_judged_by_the_address_that_is_connected_to(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    """A name may lead to a public address when somebody looks at it, and to a private one afterwards."""
    records = {("rebinding.example.com", "A"): ["10.0.0.1", "127.0.0.1", "169.254.169.254"]}
    async with receiving() as receiver:
        with name_server(records) as address:
            url = receiver.url.replace("localhost", "rebinding.example.com")
            await add_webhook(pool, organization.organization_id, BOX, url)
            await told(pool, organization)
            runner = WebhookRunner(
                pool, BOX, private_targets=False, host_names=HostNames(private=False, name_server=address)
            )
            _, failed = await attempt(pool, runner, 1)
        assert receiver.received == []
    assert failed.message == "the address is not a public one"


async def test_a_silent_name_server_holds_up_nobody_else(pool: asyncpg.Pool, organization: Tenant) -> None:
    """More look-ups hang than the process has threads for them; another webhook is called meanwhile."""
    records = {("silent.example.com", kind): SILENT for kind in ("A", "AAAA")}
    async with receiving() as receiver:
        with name_server(records | {("hooks.example.com", "A"): ["127.0.0.1"]}) as address:
            names = HostNames(private=True, name_server=address, seconds=120)
            hanging = [asyncio.create_task(names.resolve("silent.example.com")) for _ in range(64)]
            url = receiver.url.replace("localhost", "hooks.example.com")
            await add_webhook(pool, organization.organization_id, BOX, url)
            await told(pool, organization)
            runner = WebhookRunner(pool, BOX, private_targets=True, host_names=names)
            await runner(await claim_job(pool, WEBHOOK))
            assert len(receiver.received) == 1
            assert not any(task.done() for task in hanging)
            await cancel_and_wait(hanging)


async def test_proxies_of_the_environment_are_not_used(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://localhost:1")
    async with receiving() as receiver:
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        await told(pool, organization)
        await runner(await claim_job(pool, WEBHOOK))
        assert len(receiver.received) == 1


async def test_without_keys_deliveries_wait_for_them(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with receiving() as receiver:
        await add_webhook(pool, organization.organization_id, BOX, receiver.url)
        await told(pool, organization)
        _, failed = await attempt(pool, WebhookRunner(pool, None, private_targets=True), 1)
        assert "PAGEMILL_SECRET_KEYS" in failed.message
        assert receiver.received == []


async def test_the_secret_is_in_no_log(
    pool: asyncpg.Pool, organization: Tenant, runner: WebhookRunner, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        webhook = await add_webhook(pool, organization.organization_id, BOX, "http://localhost:1/")
        await told(pool, organization)
        await attempt(pool, runner, 1)
    assert webhook.secret.removeprefix("whsec_") not in caplog.text


async def test_old_deliveries_are_forgotten_when_new_ones_arrive(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, runner: WebhookRunner
) -> None:
    async with receiving() as receiver:
        for tenant in (organization, other_organization):
            await add_webhook(pool, tenant.organization_id, BOX, receiver.url)
            for status in ("succeeded", "failed", "pending"):
                await told(pool, tenant)
                await pool.execute(
                    """
                    UPDATE webhook_delivery SET status = $1, created_time = now() - interval '31 days'
                    WHERE created_time > now() - interval '1 day'
                    """,
                    status,
                )
        await pool.execute("DELETE FROM job")
        await told(pool, organization)
        await runner(await claim_job(pool, WEBHOOK))
    left = await pool.fetch("SELECT organization_id, status FROM webhook_delivery")
    own = sorted(row["status"] for row in left if row["organization_id"] == organization.organization_id)
    assert (own, len(left)) == (["pending", "succeeded"], 5)


def test_a_receiver_needs_no_more_than_the_library() -> None:
    receiver = Receiver("")
    now = datetime.datetime.now(datetime.UTC)
    signature = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").sign("id", now, "{}")
    headers = {
        "webhook-id": "id",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    receiver.received.append((headers, b"{}"))
    assert receiver.verified() == [{}]

"""Deliveries to webhooks, as https://www.standardwebhooks.com describes them."""

from __future__ import annotations

import datetime
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import asyncpg
import msgspec
from standardwebhooks.webhooks import Webhook

from db import webhooks as statements
from db.jobs import HOLD
from db.pool import acquire
from pagemill import __version__
from pagemill.concurrency import finish_despite_cancellation
from pagemill.errors import NotFound, PagemillError
from pagemill.ids import WebhookAttemptId, new_id
from pagemill.jobs.job import Job, JobCancelled, TryAgain
from pagemill.jobs.outcomes import Done
from pagemill.notices.destinations import DestinationRefused, connecting_socket
from pagemill.secret_box import Sealed, SecretBox

SECONDS = 15.0
ANSWER_BYTES = 16 * 1024
"""Of an answer no more is read, and nothing is kept."""
DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""Between the attempts: the schedule that Standard Webhooks proposes."""
SPREAD = 0.1
GONE = 410
SECRET = "secret"  # noqa: S105 - the member of the sealed data, not a secret
HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"Pagemill/{__version__}"}


class DeliveryRefused(PagemillError):
    """The delivery has failed for good."""


class Answer(msgspec.Struct, frozen=True):
    """What became of an attempt; ``error`` is None when the webhook has taken it."""

    status_code: int | None
    error: str | None


class WebhookRunner:
    """Tries one delivery and keeps how that went.

    An event may arrive twice when this process dies before it has written down the answer; its ``webhook-id``
    is the same then, and in every attempt.
    """

    def __init__(self, pool: asyncpg.Pool, box: SecretBox | None, *, private_targets: bool) -> None:
        self._pool, self._box, self._private_targets = pool, box, private_targets

    async def __call__(self, job: Job) -> Done:
        """Raises TryAgain, and DeliveryRefused when the webhook is disabled or wants no more."""
        async with acquire(self._pool) as connection:
            work = await statements.DELIVERY_WORK.fetch_one(connection, job.organization_id, job.subject_id)
        if work is None:
            raise NotFound("The webhook does not exist any more")
        if work["status"] == "succeeded":
            return Done()
        if work["webhook_status"] != "enabled":
            raise DeliveryRefused("The webhook is disabled")
        answer = await self._post(work["url"], work["body"].encode(), self._signed(job, work))
        delay = await finish_despite_cancellation(self._keep(job, work, answer))
        if answer.error is None:
            return Done()
        if answer.status_code == GONE:
            raise DeliveryRefused("The webhook wants no more: it is disabled now")
        raise TryAgain(answer.error, delay=delay)

    def _signed(self, job: Job, work: Mapping[str, Any]) -> dict[str, str]:
        """The headers. Raises TryAgain while the keys are not there to sign with."""
        if self._box is None:
            raise TryAgain("PAGEMILL_SECRET_KEYS is not set: there is nothing to sign with", delay=DELAYS[1])
        sealed = Sealed(work["key_id"], work["nonce"], work["ciphertext"])
        secret = self._box.open(job.organization_id, work["webhook_id"], sealed)[SECRET]
        now = datetime.datetime.now(datetime.UTC)
        return {
            **HEADERS,
            "webhook-id": job.subject_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(job.subject_id, now, work["body"]),
        }

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            async with (
                self._session() as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                await response.content.read(ANSWER_BYTES)
                return _judged(response.status)
        except TimeoutError:
            return Answer(None, f"no answer within {SECONDS:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(None, _told(error))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Without proxies, cookies, kept connections or decompression: the answer's status is what counts."""
        connector = aiohttp.TCPConnector(
            force_close=True, socket_factory=None if self._private_targets else connecting_socket
        )
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            auto_decompress=False,
            trust_env=False,
        ) as session:
            yield session

    async def _keep(self, job: Job, work: Mapping[str, Any], answer: Answer) -> float:
        """Write the attempt down; the seconds until the next one. Raises JobCancelled."""
        organization_id, webhook_id = job.organization_id, work["webhook_id"]
        async with acquire(self._pool) as connection, connection.transaction():
            if await HOLD.fetch_value(connection, organization_id, job.id, job.attempt) is None:
                raise JobCancelled("The delivery was cancelled or taken over")
            if await statements.HOLD_WEBHOOK.fetch_value(connection, organization_id, webhook_id) is None:
                raise NotFound("The webhook does not exist any more")
            tried = await statements.COUNT_ATTEMPTS.fetch_value(
                connection, organization_id, job.subject_id, job.id
            )
            delay = DELAYS[min(tried, len(DELAYS) - 1)] * random.uniform(1.0, 1.0 + SPREAD)
            ends = answer.error is None or answer.status_code == GONE or job.attempt >= job.maximum_attempts
            await statements.INSERT_ATTEMPT.execute(
                connection,
                organization_id,
                new_id(WebhookAttemptId),
                webhook_id,
                job.subject_id,
                job.id,
                answer.status_code,
                answer.error,
                None if ends else delay,
            )
            if answer.error is None:
                await statements.END_DELIVERY.execute(
                    connection, organization_id, job.subject_id, "succeeded"
                )
                await statements.FORGET_DELIVERIES.execute(connection, organization_id)
            elif answer.status_code == GONE:
                await statements.DISABLE_WEBHOOK.execute(connection, organization_id, webhook_id, work["url"])
        return delay


def _judged(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer(status, None)
    if 300 <= status < 400:
        return Answer(status, f"answered {status}: redirects are not followed")
    return Answer(status, f"answered {status}")


def _told(error: Exception) -> str:
    """What the webhook's owner can do something about; nothing of where the request got to."""
    causes = [error, getattr(error, "os_error", None), error.__cause__]
    if any(isinstance(cause, DestinationRefused) for cause in causes):
        return "the address is not a public one"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host's name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no secure connection: the certificate or the protocol is not accepted"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    if isinstance(error, aiohttp.InvalidURL):
        return "the URL is not valid"
    return "the connection was broken off, or the answer is no HTTP"

"""Jobs that deliver an event to a webhook, as https://www.standardwebhooks.com describes it."""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping
from typing import Final

import aiohttp
import msgspec
from standardwebhooks.webhooks import Webhook

from db import webhook_deliveries as statements
from db.pool import Pool, acquire
from db.statements import Connection
from db.webhook_deliveries import DeliveryRow
from pagemill import __version__
from pagemill.concurrency import finish_despite_cancellation
from pagemill.errors import NotFound, PagemillError
from pagemill.ids import OrganizationId, SubjectId, WebhookAttemptId, WebhookDeliveryId, new_id
from pagemill.jobs.job import Job, KindName, TryAgain
from pagemill.jobs.kind import JobKind
from pagemill.jobs.leases import hold
from pagemill.notices.destinations import DestinationRefused, calling_session
from pagemill.notices.host_names import HostNames
from pagemill.secret_box import Sealed, SecretBox
from pagemill.tracing.context import PARENT
from pagemill.tracing.spans import active_context, span
from pagemill.work.resources import WorkResources

DELIVERY_SECONDS = 15.0
RESPONSE_BYTES = 16 * 1024
"""The most that is read of a response; nothing of it is kept."""
DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""Seconds between the attempts: the schedule that Standard Webhooks proposes."""
SPREAD = 0.1
GONE = 410
SECRET = "secret"  # noqa: S105 - the member of the sealed data, not a secret
HEADERS: Final = {"Content-Type": "application/json", "User-Agent": f"Pagemill/{__version__}"}


class DeliveryRefused(PagemillError):
    """The delivery has failed for good."""


class DeliveryAttempt(msgspec.Struct, frozen=True):
    """Outcome of one attempt; ``error`` is None when the webhook has accepted the event."""

    status_code: int | None
    error: str | None


class WebhookRunner:
    """Runner of webhook jobs: it tries one delivery and keeps the attempt.

    An event may arrive twice when this process dies before it has written the attempt; its ``webhook-id`` is
    the same then, and in every attempt.
    """

    def __init__(
        self,
        pool: Pool,
        box: SecretBox | None,
        *,
        private_targets: bool,
        host_names: HostNames | None = None,
    ) -> None:
        self._pool, self._box, self._private_targets = pool, box, private_targets
        self._host_names = host_names or HostNames(private=private_targets)

    async def __call__(self, job: Job) -> None:
        """Deliver. Raises TryAgain, NotFound, and DeliveryRefused when the webhook is disabled."""
        async with acquire(self._pool) as connection:
            delivery = await statements.get_delivery(
                connection,
                organization_id=job.organization_id,
                delivery_id=WebhookDeliveryId(job.subject_id),
            )
        if delivery is None:
            raise NotFound("The webhook does not exist any more")
        if delivery.status == "succeeded":
            return
        if delivery.webhook_status != "enabled":
            raise DeliveryRefused("The webhook is disabled")
        attempt = await self._post(delivery.url, delivery.body.encode(), self._signed(job, delivery))
        delay = await finish_despite_cancellation(self._keep(job, delivery, attempt))
        if attempt.error is None:
            return
        if attempt.status_code == GONE:
            raise DeliveryRefused("The webhook wants no more: it is disabled now")
        raise TryAgain(attempt.error, delay=delay)

    def _signed(self, job: Job, delivery: DeliveryRow) -> dict[str, str]:
        """Return the headers with the signature. Raises TryAgain while there are no keys to sign with."""
        if self._box is None:
            raise TryAgain("PAGEMILL_SECRET_KEYS is not set: there is nothing to sign with", delay=DELAYS[1])
        sealed = Sealed(delivery.key_id, delivery.nonce, delivery.ciphertext)
        secret = self._box.open(job.organization_id, delivery.webhook_id, sealed)[SECRET]
        now = datetime.datetime.now(datetime.UTC)
        return {
            **HEADERS,
            "webhook-id": job.subject_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(job.subject_id, now, delivery.body),
        }

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> DeliveryAttempt:
        # The span has no URL, which can hold a secret of its owner's.
        with span("POST", {"http.request.method": "POST"}, kind="client") as sending:
            try:
                async with (
                    calling_session(
                        self._host_names, private=self._private_targets, seconds=DELIVERY_SECONDS
                    ) as session,
                    session.post(
                        url, data=body, headers={**headers, **_trace_header()}, allow_redirects=False
                    ) as response,
                ):
                    await response.content.read(RESPONSE_BYTES)
                    sending.set({"http.response.status_code": response.status})
                    return _attempt_of(response.status)
            except TimeoutError:
                sending.fail("TimeoutError")
                return DeliveryAttempt(None, f"no answer within {DELIVERY_SECONDS:g} s")
            except (aiohttp.ClientError, OSError, ValueError) as error:
                sending.fail(type(error).__name__)
                return DeliveryAttempt(None, _public_reason(error))

    async def _keep(self, job: Job, delivery: DeliveryRow, attempt: DeliveryAttempt) -> float:
        """Write the attempt and return the seconds until the next one. Raises JobCancelled, NotFound."""
        organization_id, webhook_id = job.organization_id, delivery.webhook_id
        delivery_id = WebhookDeliveryId(job.subject_id)
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            kept = await statements.keep_webhook(
                connection, organization_id=organization_id, webhook_id=webhook_id
            )
            if kept is None:
                raise NotFound("The webhook does not exist any more")
            tried = await statements.count_attempts(
                connection, organization_id=organization_id, delivery_id=delivery_id, job_id=job.id
            )
            delay = DELAYS[min(tried, len(DELAYS) - 1)] * random.uniform(1.0, 1.0 + SPREAD)
            ends = attempt.error is None or attempt.status_code == GONE or job.attempt >= job.maximum_attempts
            await statements.insert_attempt(
                connection,
                organization_id=organization_id,
                attempt_id=new_id(WebhookAttemptId),
                webhook_id=webhook_id,
                delivery_id=delivery_id,
                job_id=job.id,
                status_code=attempt.status_code,
                error=attempt.error,
                delay=None if ends else delay,
            )
            if attempt.error is None:
                await statements.end_delivery(
                    connection,
                    organization_id=organization_id,
                    delivery_id=delivery_id,
                    status="succeeded",
                )
                await statements.delete_old_deliveries(connection, organization_id=organization_id)
            elif attempt.status_code == GONE:
                await statements.disable_webhook(
                    connection, organization_id=organization_id, webhook_id=webhook_id, url=delivery.url
                )
        return delay


def _trace_header() -> dict[str, str]:
    """Return the header of the trace; what its client's vendors have added stays here."""
    context = active_context()
    return {} if context is None else {PARENT: context.parent}


def _attempt_of(status: int) -> DeliveryAttempt:
    if 200 <= status < 300:
        return DeliveryAttempt(status, None)
    if 300 <= status < 400:
        return DeliveryAttempt(status, f"answered {status}: redirects are not followed")
    return DeliveryAttempt(status, f"answered {status}")


def _public_reason(error: Exception) -> str:
    """Return the reason in words that help the webhook's owner and tell nothing of the network."""
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


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, _message: str
) -> None:
    await _cancel(connection, organization_id, subject_id)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    await statements.end_delivery(
        connection,
        organization_id=organization_id,
        delivery_id=WebhookDeliveryId(subject_id),
        status="failed",
    )


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    reopened = await statements.reopen_delivery(
        connection, organization_id=organization_id, delivery_id=WebhookDeliveryId(subject_id)
    )
    return reopened > 0


def _runner(resources: WorkResources) -> WebhookRunner:
    return WebhookRunner(
        resources.pool, resources.secret_box, private_targets=resources.settings.webhook_private_targets
    )


WEBHOOK: JobKind[WorkResources, None] = JobKind(
    name=KindName(statements.KIND),
    description="Deliver an event to a webhook",
    runner=_runner,
    concurrency=lambda settings: settings.webhook_concurrency,
    priority=statements.PRIORITY,
    maximum_attempts=statements.MAXIMUM_ATTEMPTS,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
)

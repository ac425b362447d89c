"""Webhooks for tests, and a server that receives their requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from db.webhooks import EVENT_TYPES, EventType, WebhookStatus, insert_webhook
from pagemill.ids import OrganizationId, WebhookId, new_id
from pagemill.secret_box import SecretBox

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True, slots=True)
class SeededWebhook:
    id: WebhookId
    secret: str


async def add_webhook(
    pool: asyncpg.Pool,
    organization_id: OrganizationId,
    box: SecretBox,
    url: str,
    *,
    event_types: Sequence[EventType] = EVENT_TYPES,
    status: WebhookStatus = "enabled",
) -> SeededWebhook:
    """Add a webhook as the API does."""
    webhook_id = new_id(WebhookId)
    sealed = box.seal(organization_id, webhook_id, {"secret": SECRET})
    async with pool.acquire() as connection:
        await insert_webhook(
            connection,
            organization_id=organization_id,
            webhook_id=webhook_id,
            name=None,
            description=None,
            url=url,
            event_types=list(event_types),
            status=status,
            key_id=sealed.key_id,
            nonce=sealed.nonce,
            ciphertext=sealed.ciphertext,
            created_by=None,
        )
    return SeededWebhook(webhook_id, SECRET)


@dataclass(slots=True)
class Receiver:
    """Requests received; each is answered with the next of ``answers``, and then with 200."""

    url: str
    answers: list[web.Response] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def verified(self, secret: str = SECRET) -> list[Any]:
        """Verify the signatures of the requests and return their bodies."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.received]

    async def receive(self, request: web.Request) -> web.StreamResponse:
        self.received.append((dict(request.headers), await request.read()))
        return self.answers.pop(0) if self.answers else web.Response(text="thanks")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a real server on a port of this machine."""
    receiver = Receiver("")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.receive)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    receiver.url = f"http://localhost:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()

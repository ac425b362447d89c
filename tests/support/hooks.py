"""Webhooks of tests, and a server that they lead to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiohttp import web
from standardwebhooks.webhooks import Webhook

from db.webhooks import INSERT_WEBHOOK
from pagemill.ids import WebhookId, new_id
from pagemill.notices.events import EVENT_TYPES
from pagemill.secret_box import SecretBox

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True, slots=True)
class SeededWebhook:
    id: str
    secret: str


async def add_webhook(
    pool: asyncpg.Pool,
    organization_id: str,
    box: SecretBox,
    url: str,
    *,
    event_types: Sequence[str] = EVENT_TYPES,
    status: str = "enabled",
) -> SeededWebhook:
    """A webhook as the API makes it."""
    webhook_id = new_id(WebhookId)
    sealed = box.seal(organization_id, webhook_id, {"secret": SECRET})
    async with pool.acquire() as connection:
        await INSERT_WEBHOOK.execute(
            connection,
            organization_id,
            webhook_id,
            None,
            None,
            url,
            list(event_types),
            status,
            sealed.key_id,
            sealed.nonce,
            sealed.ciphertext,
            None,
        )
    return SeededWebhook(webhook_id, SECRET)


@dataclass(slots=True)
class Receiver:
    """Answers with the next of ``answers``, and then with 200."""

    url: str
    answers: list[web.Response] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def verified(self, secret: str = SECRET) -> list[Any]:
        """The bodies, once their signatures are verified as any receiver does."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.received]

    async def receive(self, request: web.Request) -> web.StreamResponse:
        self.received.append((dict(request.headers), await request.read()))
        return self.answers.pop(0) if self.answers else web.Response(text="thanks")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A real server on a port of this machine."""
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

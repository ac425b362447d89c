"""Webhooks: ``/webhooks``. Who is told of events, by requests that are signed with a secret of their own."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

import asyncpg
from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import webhooks as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    change,
    require_members,
    timestamp,
)
from pagemill.api.resources.app_clients import checked_url
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import WebhookId, new_id
from pagemill.notices.destinations import is_public, literal
from pagemill.notices.events import EVENT_TYPES, EventType

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
SECRET_BYTES = 32
LONGEST_URL = 2048

Url: TypeAlias = Annotated[str, Meta(pattern=r"^https?://", max_length=LONGEST_URL)]
EventTypes: TypeAlias = Annotated[list[EventType], Meta(min_length=1, max_length=len(EVENT_TYPES))]
Status: TypeAlias = Literal["enabled", "disabled"]
WebhookPath = Annotated[str, Parameter(description="las:webhook:<32 hexadecimal digits>")]


class PostWebhook(RequestStruct):
    url: Url
    event_types: EventTypes
    name: Text | None = None
    description: Text | None = None
    status: Status = "enabled"


class PatchWebhook(RequestStruct):
    """null clears name and description. A webhook that answered 410 is disabled until it is enabled again."""

    url: Url | UnsetType = UNSET
    event_types: EventTypes | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET


class Webhook(Audited, kw_only=True):
    """``secret`` is told once, when the webhook is made."""

    webhook_id: str
    url: str
    event_types: list[EventType]
    name: str | None
    description: str | None
    status: Status
    secret: str | UnsetType = UNSET


class Webhooks(ResponseStruct):
    webhooks: list[Webhook]
    next_token: str | None


class WebhookAttempt(ResponseStruct):
    """One try to deliver an event, with what was answered or went wrong. Events keep their ``deliveryId``."""

    attempt_id: str
    delivery_id: str
    event_type: EventType
    created_time: str | None
    status_code: int | None
    error: str | None
    next_attempt_time: str | None


class WebhookAttempts(ResponseStruct):
    attempts: list[WebhookAttempt]
    next_token: str | None


def to_webhook(row: asyncpg.Record, *, secret: str | UnsetType = UNSET) -> Webhook:
    return Webhook(
        webhook_id=row["id"],
        url=row["url"],
        event_types=row["event_types"],
        name=row["name"],
        description=row["description"],
        status=row["status"],
        secret=secret,
        **audit(row),
    )


def to_attempt(row: asyncpg.Record) -> WebhookAttempt:
    return WebhookAttempt(
        attempt_id=row["id"],
        delivery_id=row["delivery_id"],
        event_type=row["event_type"],
        created_time=timestamp(row["created_time"]),
        status_code=row["status_code"],
        error=row["error"],
        next_attempt_time=timestamp(row["next_attempt_time"]),
    )


def webhook_not_found(webhook_id: str) -> NotFound:
    return NotFound(f"Webhook {webhook_id} not found")


def checked_destination(url: str, *, private_targets: bool) -> str:
    """The URL as sent. Raises BadRequest for one that no request will be sent to.

    What a name leads to is looked at when the connection is made.
    """
    parts = urlsplit(checked_url("url", url))
    host = parts.hostname or ""
    if parts.password is not None or parts.fragment:
        raise BadRequest("url: must have neither credentials nor a fragment")
    if private_targets:
        return url
    address = literal(host)
    if parts.scheme != "https":
        raise BadRequest("url: must begin with https://")
    if host == "localhost" or (address is not None and not is_public(address)):
        raise BadRequest("url: must not lead to this machine or into a private network")
    return url


class WebhookController(Controller):
    path = "/webhooks"
    tags = ("Webhooks",)

    @post(status_code=200, transaction="request")
    async def create_webhook(
        self, data: PostWebhook, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Webhook:
        """The secret in the answer verifies what is sent; it is not told again."""
        url = checked_destination(data.url, private_targets=app_state.settings.webhook_private_targets)
        webhook_id = new_id(WebhookId)
        secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        sealed = app_state.secret_box.seal(caller.organization_id, webhook_id, {"secret": secret})
        async with connection.transaction():
            await statements.LOCK_OWNER.fetch_value(connection, caller.organization_id)
            row = await statements.INSERT_WEBHOOK.fetch_one(
                connection,
                caller.organization_id,
                webhook_id,
                data.name,
                data.description,
                url,
                list(dict.fromkeys(data.event_types)),
                data.status,
                sealed.key_id,
                sealed.nonce,
                sealed.ciphertext,
                caller.principal_id,
            )
        if row is None:
            raise BadRequest(f"An organization has {statements.MOST_WEBHOOKS} webhooks at most")
        return to_webhook(row, secret=secret)

    @get()
    async def list_webhooks(
        self, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> Webhooks:
        rows = await statements.LIST_WEBHOOKS.fetch(
            connection, caller.organization_id, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return Webhooks(webhooks=[to_webhook(row) for row in shown], next_token=token)

    @get("/{webhook_id:str}")
    async def get_webhook(
        self, webhook_id: WebhookPath, caller: Caller, connection: RequestConnection
    ) -> Webhook:
        row = await statements.GET_WEBHOOK.fetch_one(connection, caller.organization_id, webhook_id)
        if row is None:
            raise webhook_not_found(webhook_id)
        return to_webhook(row)

    @get("/{webhook_id:str}/attempts")
    async def list_attempts(
        self, webhook_id: WebhookPath, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> WebhookAttempts:
        """The newest first."""
        if await statements.GET_WEBHOOK.fetch_one(connection, caller.organization_id, webhook_id) is None:
            raise webhook_not_found(webhook_id)
        rows = await statements.LIST_ATTEMPTS.fetch(
            connection, caller.organization_id, webhook_id, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return WebhookAttempts(attempts=[to_attempt(row) for row in shown], next_token=token)

    @patch("/{webhook_id:str}")
    async def update_webhook(
        self,
        webhook_id: WebhookPath,
        data: PatchWebhook,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Webhook:
        """What waits to be delivered goes to the new URL, or fails while the webhook is disabled."""
        require_members(data)
        url = None
        if data.url is not UNSET:
            url = checked_destination(data.url, private_targets=app_state.settings.webhook_private_targets)
        row = await statements.UPDATE_WEBHOOK.fetch_one(
            connection,
            caller.organization_id,
            webhook_id,
            *change(data.name),
            *change(data.description),
            url,
            None if data.event_types is UNSET else list(dict.fromkeys(data.event_types)),
            None if data.status is UNSET else data.status,
            caller.principal_id,
        )
        if row is None:
            raise webhook_not_found(webhook_id)
        return to_webhook(row)

    @delete("/{webhook_id:str}", status_code=200)
    async def delete_webhook(
        self, webhook_id: WebhookPath, caller: Caller, connection: RequestConnection
    ) -> Webhook:
        """What waits to be delivered, and the attempts, go with it."""
        row = await statements.DELETE_WEBHOOK.fetch_one(connection, caller.organization_id, webhook_id)
        if row is None:
            raise webhook_not_found(webhook_id)
        return to_webhook(row)

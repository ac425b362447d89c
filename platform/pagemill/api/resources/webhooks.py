"""REST resource ``/webhooks``: URLs that are told of events by signed requests."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import webhooks as statements
from db.statements import Connection
from db.webhooks import EVENT_TYPES, EventType, WebhookStatus
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
    require_members,
    timestamp,
)
from pagemill.api.resources.app_clients import checked_url
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import WebhookAttemptId, WebhookDeliveryId, WebhookId, new_id
from pagemill.notices.destinations import is_public, literal

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of signing secrets
SECRET_BYTES = 32
LONGEST_URL = 2048

Url: TypeAlias = Annotated[str, Meta(pattern=r"^https?://", max_length=LONGEST_URL)]
EventTypes: TypeAlias = Annotated[list[EventType], Meta(min_length=1, max_length=len(EVENT_TYPES))]
WebhookPath = Annotated[WebhookId, Parameter(description="las:webhook:<32 hexadecimal digits>")]


class PostWebhook(RequestStruct):
    """A new webhook."""

    url: Url
    event_types: EventTypes
    name: Text | None = None
    description: Text | None = None
    status: WebhookStatus = "enabled"


class PatchWebhook(RequestStruct):
    """Changes of a webhook; null clears name and description."""

    url: Url | UnsetType = UNSET
    event_types: EventTypes | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    status: WebhookStatus | UnsetType = UNSET


class Webhook(Audited, kw_only=True):
    """A webhook; only the answer to its creation has ``secret``."""

    webhook_id: WebhookId
    url: str
    event_types: list[EventType]
    name: str | None
    description: str | None
    status: WebhookStatus
    secret: str | UnsetType = UNSET


class Webhooks(ResponseStruct):
    """A page of webhooks."""

    webhooks: list[Webhook]
    next_token: str | None


class WebhookAttempt(ResponseStruct):
    """An attempt to deliver an event, with the answer or the error; all attempts have one ``delivery_id``."""

    attempt_id: WebhookAttemptId
    delivery_id: WebhookDeliveryId
    event_type: EventType
    created_time: str | None
    status_code: int | None
    error: str | None
    next_attempt_time: str | None


class WebhookAttempts(ResponseStruct):
    """A page of attempts."""

    attempts: list[WebhookAttempt]
    next_token: str | None


def to_webhook(row: statements.WebhookRow, *, secret: str | UnsetType = UNSET) -> Webhook:
    """Return a webhook as the API shows it."""
    return Webhook(
        webhook_id=row.id,
        url=row.url,
        event_types=row.event_types,
        name=row.name,
        description=row.description,
        status=row.status,
        secret=secret,
        **audit(row),
    )


def to_attempt(row: statements.WebhookAttemptRow) -> WebhookAttempt:
    """Return an attempt as the API shows it."""
    return WebhookAttempt(
        attempt_id=row.id,
        delivery_id=row.delivery_id,
        event_type=row.event_type,
        created_time=timestamp(row.created_time),
        status_code=row.status_code,
        error=row.error,
        next_attempt_time=timestamp(row.next_attempt_time),
    )


def webhook_not_found(webhook_id: WebhookId) -> NotFound:
    """Return the error for a webhook that the organization does not have."""
    return NotFound(f"Webhook {webhook_id} not found")


def checked_destination(url: str, *, private_targets: bool) -> str:
    """Return the URL as sent. Raises BadRequest for a URL that no request will be sent to.

    The addresses that its host name resolves to are checked when the connection is made.
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
    """Operations on webhooks."""

    path = "/webhooks"
    tags = ("Webhooks",)

    @post(status_code=200, transaction="request")
    async def create_webhook(
        self, data: PostWebhook, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Webhook:
        """Create a webhook, a URL that is told of events.

        Each event of `eventTypes` is sent as a `POST` request with the ids of the resource and its new
        status, never with the content of documents. Requests are signed as the Standard Webhooks
        specification says, with the `secret` in this answer, which cannot be read again. A request that is
        not answered with a status from 200 to 299 is sent again, up to 8 times in about 28 hours.

        The URL has to begin with `https://` and must not lead into a private network. An organization has
        at most 20 webhooks (400).
        """
        url = checked_destination(data.url, private_targets=app_state.settings.webhook_private_targets)
        webhook_id = new_id(WebhookId)
        secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        sealed = app_state.secret_box.seal(caller.organization_id, webhook_id, {"secret": secret})
        async with connection.transaction():
            await statements.lock_owner(connection, organization_id=caller.organization_id)
            row = await statements.insert_webhook(
                connection,
                organization_id=caller.organization_id,
                webhook_id=webhook_id,
                name=data.name,
                description=data.description,
                url=url,
                event_types=list(dict.fromkeys(data.event_types)),
                status=data.status,
                key_id=sealed.key_id,
                nonce=sealed.nonce,
                ciphertext=sealed.ciphertext,
                created_by=caller.principal_id,
            )
        if row is None:
            raise BadRequest(f"An organization can have at most {statements.MOST_WEBHOOKS} webhooks")
        return to_webhook(row, secret=secret)

    @get()
    async def list_webhooks(
        self, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> Webhooks:
        """List the webhooks of the organization, oldest first.

        Their secrets are not shown.
        """
        rows = await statements.list_webhooks(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return Webhooks(webhooks=[to_webhook(row) for row in shown], next_token=token)

    @get("/{webhook_id:str}")
    async def get_webhook(
        self, webhook_id: WebhookPath, caller: Caller, connection: RequestConnection
    ) -> Webhook:
        """Get a webhook without its secret.

        It becomes `disabled` when its URL answers with the status 410.
        """
        return to_webhook(await _find(connection, caller, webhook_id))

    @get("/{webhook_id:str}/attempts")
    async def list_attempts(
        self, webhook_id: WebhookPath, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> WebhookAttempts:
        """List the attempts to send events to a webhook, newest first.

        Each attempt has the status of the answer or an error. `nextAttemptTime` is null when the request is
        not repeated. Attempts are kept for 30 days.
        """
        await _find(connection, caller, webhook_id)
        rows = await statements.list_webhook_attempts(
            connection,
            organization_id=caller.organization_id,
            webhook_id=webhook_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page, action=None)
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
        """Update a webhook, or disable and enable it.

        Members that are not sent keep their value. Events that wait to be delivered go to the new URL; while
        the webhook is `disabled` they fail, and new events are not recorded.
        """
        require_members(data)
        url = None
        if data.url is not UNSET:
            url = checked_destination(data.url, private_targets=app_state.settings.webhook_private_targets)
        row = await statements.update_webhook(
            connection,
            organization_id=caller.organization_id,
            webhook_id=webhook_id,
            name=data.name,
            description=data.description,
            url=url,
            event_types=None if data.event_types is UNSET else list(dict.fromkeys(data.event_types)),
            status=data.status,
            updated_by=caller.principal_id,
        )
        if row is None:
            raise webhook_not_found(webhook_id)
        return to_webhook(row)

    @delete("/{webhook_id:str}", status_code=200)
    async def delete_webhook(
        self, webhook_id: WebhookPath, caller: Caller, connection: RequestConnection
    ) -> Webhook:
        """Delete a webhook.

        Events that wait to be delivered to it, and its attempts, are deleted as well.
        """
        row = await statements.delete_webhook(
            connection, organization_id=caller.organization_id, webhook_id=webhook_id
        )
        if row is None:
            raise webhook_not_found(webhook_id)
        return to_webhook(row)


async def _find(connection: Connection, caller: Caller, webhook_id: WebhookId) -> statements.WebhookRow:
    """Return a webhook. Raises NotFound."""
    row = await statements.get_webhook(
        connection, organization_id=caller.organization_id, webhook_id=webhook_id
    )
    if row is None:
        raise webhook_not_found(webhook_id)
    return row

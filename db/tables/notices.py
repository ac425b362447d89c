"""Tables of mail and webhooks."""

from __future__ import annotations

from piccolo.columns import JSONB, Boolean, Bytea, DoublePrecision, Integer, OnDelete, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from db.tables.foreign_key import foreign_key
from db.tables.organizations import Organization


class MailService(Table, tablename="mail_service"):
    """A single row: whether there is a mail server, without which no mail is queued, and what bounds mail."""

    id = Integer(primary_key=True)
    available = Boolean(default=False)
    daily_quota = Integer(default=500, help_text="of an organization")
    stranger_interval = DoublePrecision(default=3600.0, help_text="seconds between two to nobody of it")
    updated_time = Timestamptz(default=TimestamptzNow())


class Webhook(Table, tablename="webhook"):
    """An address for an organization's events. Its signing secret is encrypted as in ``secret``."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    url = Text()
    event_types = JSONB()
    status = Text(default="enabled", help_text="enabled, disabled")
    key_id = Text()
    nonce = Bytea()
    ciphertext = Bytea()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class WebhookDelivery(Table, tablename="webhook_delivery"):
    """An event for one webhook; ``body`` is signed and sent. It is the subject of its jobs."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    webhook_id = foreign_key(Webhook, on_delete=OnDelete.cascade)
    event_type = Text()
    body = Text()
    status = Text(default="pending", help_text="pending, succeeded, failed")
    created_time = Timestamptz(default=TimestamptzNow())


class WebhookAttempt(Table, tablename="webhook_attempt"):
    """An attempt to deliver an event; ``next_attempt_time`` is null after the last one."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    webhook_id = foreign_key(Webhook, on_delete=OnDelete.cascade)
    delivery_id = foreign_key(WebhookDelivery, on_delete=OnDelete.cascade)
    job_id = Text()
    status_code = Integer(null=True, default=None)
    error = Text(null=True, default=None)
    next_attempt_time = Timestamptz(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())

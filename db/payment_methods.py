"""Statements on payment methods. A card number is never stored, only what the card is called."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from msgspec import UnsetType

from db.statements import Connection, Row, columns, tenant
from pagemill.ids import OrganizationId, PaymentMethodId, PrincipalId


class PaymentMethodRow(Row):
    """A way in which an organization pays."""

    id: PaymentMethodId
    name: str | None
    description: str | None
    details: dict[str, Any] | None
    """The card's brand, last digits and expiry; null until a card is given."""
    setup_intent_secret_hash: str | None
    stripe_setup_intent_id: str | None
    """Null when the operator collects the payments."""
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


@tenant(f"""
    INSERT INTO payment_method (
        organization_id, id, name, description, setup_intent_secret_hash, stripe_setup_intent_id, created_by,
        created_time
    )
    VALUES (
        :organization_id, :payment_method_id, :name, :description, :setup_intent_secret_hash,
        :stripe_setup_intent_id, :created_by, now()
    )
    RETURNING {columns(PaymentMethodRow)}
""")
async def insert_payment_method(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    payment_method_id: PaymentMethodId,
    name: str | None,
    description: str | None,
    setup_intent_secret_hash: str,
    stripe_setup_intent_id: str | None,
    created_by: PrincipalId,
) -> PaymentMethodRow:
    """Insert a payment method and return it."""


@tenant(f"""
    SELECT {columns(PaymentMethodRow)} FROM payment_method
    WHERE organization_id = :organization_id AND id = :payment_method_id
""")
async def get_payment_method(
    connection: Connection, *, organization_id: OrganizationId, payment_method_id: PaymentMethodId
) -> PaymentMethodRow | None:
    """Return a payment method."""


@tenant(f"""
    SELECT {columns(PaymentMethodRow)} FROM payment_method
    WHERE organization_id = :organization_id
        AND (created_time, id) >
            (coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, ''))
    ORDER BY created_time, id LIMIT :limit
""")
async def list_payment_methods(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[PaymentMethodRow]:
    """List the payment methods of an organization, the oldest first."""


@tenant(f"""
    UPDATE payment_method SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        details = coalesce(:details::jsonb, details),
        stripe_payment_method_id = coalesce(:stripe_payment_method_id, stripe_payment_method_id),
        updated_time = now(), updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :payment_method_id
    RETURNING {columns(PaymentMethodRow)}
""")
async def update_payment_method(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    payment_method_id: PaymentMethodId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    details: Mapping[str, Any] | None,
    stripe_payment_method_id: str | None,
    updated_by: PrincipalId,
) -> PaymentMethodRow | None:
    """Change the members that were sent and return the row; details that are None stay as they are."""


@tenant(f"""
    SELECT {columns(PaymentMethodRow)} FROM payment_method
    WHERE organization_id = :organization_id AND id = :payment_method_id FOR UPDATE
""")
async def lock_payment_method(
    connection: Connection, *, organization_id: OrganizationId, payment_method_id: PaymentMethodId
) -> PaymentMethodRow | None:
    """Lock and return a payment method."""


@tenant("""
    SELECT true AS is_kept FROM payment_method
    WHERE organization_id = :organization_id AND id = :payment_method_id FOR KEY SHARE
""")
async def keep_payment_method(
    connection: Connection, *, organization_id: OrganizationId, payment_method_id: PaymentMethodId
) -> bool | None:
    """Keep a payment method from being deleted until the transaction ends; None when there is none."""


@tenant("""
    SELECT true AS is_used FROM organization
    WHERE id = :organization_id AND payment_method_id = :payment_method_id
""")
async def pays_with(
    connection: Connection, *, organization_id: OrganizationId, payment_method_id: PaymentMethodId
) -> bool | None:
    """Return true when the organization pays with this payment method, else None."""


@tenant("DELETE FROM payment_method WHERE organization_id = :organization_id AND id = :payment_method_id")
async def delete_payment_method(
    connection: Connection, *, organization_id: OrganizationId, payment_method_id: PaymentMethodId
) -> None:
    """Delete a payment method."""

"""Payment methods: ``/paymentMethods``.

A new one carries a secret with which the browser gives a card to Stripe; a PATCH with the same secret then
completes it. Nothing is read from or written to the database while Stripe is asked.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any

import asyncpg
from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import payment_methods as statements
from db.pool import CONNECTION_ERRORS
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    TEXT_LENGTH,
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    change,
    require_members,
)
from pagemill.api.http.state import AppState
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import PaymentMethodId, new_id
from pagemill.payments import MANUAL, ConfirmedCard, NewSetupIntent

SetupIntentSecret = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH)]
PaymentMethodPath = Annotated[str, Parameter(description="las:payment-method:<32 hexadecimal digits>")]


class PostPaymentMethod(RequestStruct):
    name: Text | None = None
    description: Text | None = None


class PatchPaymentMethod(RequestStruct):
    """null clears name and description; the secret says that a card was given for it."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    stripe_setup_intent_secret: SetupIntentSecret | UnsetType = UNSET


class PaymentMethod(Audited, kw_only=True):
    """The secret is shown once, when the payment method is new; without Stripe, all values say "manual"."""

    payment_method_id: str
    name: str | None
    description: str | None
    details: dict[str, Any] | None
    stripe_publishable_key: str | None
    stripe_setup_intent_secret: str | None = None


class PaymentMethods(ResponseStruct):
    payment_methods: list[PaymentMethod]
    next_token: str | None


def to_payment_method(row: asyncpg.Record, state: AppState, secret: str | None = None) -> PaymentMethod:
    by_hand = row["stripe_setup_intent_id"] is None
    return PaymentMethod(
        payment_method_id=row["id"],
        name=row["name"],
        description=row["description"],
        details=row["details"],
        stripe_publishable_key=MANUAL if by_hand else state.setup_intents.publishable_key,
        stripe_setup_intent_secret=secret,
        **audit(row),
    )


def payment_method_not_found(payment_method_id: str) -> NotFound:
    return NotFound(f"PaymentMethod {payment_method_id} not found")


class PaymentMethodController(Controller):
    path = "/paymentMethods"
    tags = ("Payment methods",)

    @post(status_code=200)
    async def create_payment_method(
        self, data: PostPaymentMethod, caller: Caller, app_state: AppState
    ) -> PaymentMethod:
        payment_method_id = new_id(PaymentMethodId)
        intent = await app_state.setup_intents.create(caller.organization_id, payment_method_id)
        try:
            row = await _insert(app_state, caller, payment_method_id, data, intent)
        except CONNECTION_ERRORS:
            # Perhaps it is stored: an intent too many does less harm than one that is missing.
            raise
        except Exception:
            if intent.intent_id is not None:
                await app_state.setup_intents.abandon(intent.intent_id)
            raise
        return to_payment_method(row, app_state, intent.client_secret)

    @get()
    async def list_payment_methods(
        self, caller: Caller, connection: RequestConnection, app_state: AppState, page: PageRequest
    ) -> PaymentMethods:
        rows = await statements.LIST_PAYMENT_METHODS.fetch(
            connection, caller.organization_id, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return PaymentMethods(
            payment_methods=[to_payment_method(row, app_state) for row in shown], next_token=token
        )

    @get("/{payment_method_id:str}")
    async def get_payment_method(
        self, payment_method_id: PaymentMethodPath, caller: Caller, app_state: AppState
    ) -> PaymentMethod:
        return to_payment_method(await _find(app_state, caller, payment_method_id), app_state)

    @patch("/{payment_method_id:str}")
    async def update_payment_method(
        self,
        payment_method_id: PaymentMethodPath,
        data: PatchPaymentMethod,
        caller: Caller,
        app_state: AppState,
    ) -> PaymentMethod:
        require_members(data)
        card = None
        if data.stripe_setup_intent_secret is not UNSET:
            row = await _find(app_state, caller, payment_method_id)
            card = await _confirmed_card(app_state, row, data.stripe_setup_intent_secret)
        async with app_state.connection() as connection:
            changed = await statements.UPDATE_PAYMENT_METHOD.fetch_one(
                connection,
                caller.organization_id,
                payment_method_id,
                *change(data.name),
                *change(data.description),
                card.details if card else None,
                card.payment_method_id if card else None,
                caller.principal_id,
            )
        if changed is None:
            raise payment_method_not_found(payment_method_id)
        return to_payment_method(changed, app_state)

    @delete("/{payment_method_id:str}", status_code=200)
    async def delete_payment_method(
        self, payment_method_id: PaymentMethodPath, caller: Caller, app_state: AppState
    ) -> PaymentMethod:
        """The one that the organization pays with stays."""
        key = (caller.organization_id, payment_method_id)
        async with app_state.connection() as connection, connection.transaction():
            row = await statements.LOCK_PAYMENT_METHOD.fetch_one(connection, *key)
            if row is None:
                raise payment_method_not_found(payment_method_id)
            if await statements.PAYS_WITH.fetch_value(connection, *key):
                raise BadRequest(f"PaymentMethod {payment_method_id} is used by {caller.organization_id}")
            await statements.DELETE_PAYMENT_METHOD.execute(connection, *key)
        if row["stripe_setup_intent_id"] is not None and row["details"] is None:
            await app_state.setup_intents.abandon(row["stripe_setup_intent_id"])
        return to_payment_method(row, app_state)


async def _insert(
    app_state: AppState,
    caller: Caller,
    payment_method_id: str,
    data: PostPaymentMethod,
    intent: NewSetupIntent,
) -> asyncpg.Record:
    async with app_state.connection() as connection:
        row = await statements.INSERT_PAYMENT_METHOD.fetch_one(
            connection,
            caller.organization_id,
            payment_method_id,
            data.name,
            data.description,
            _hash(intent.client_secret),
            intent.intent_id,
            caller.principal_id,
        )
    assert row is not None
    return row


async def _find(app_state: AppState, caller: Caller, payment_method_id: str) -> asyncpg.Record:
    """The row; the connection is given back. Raises NotFound."""
    async with app_state.connection() as connection:
        row = await statements.GET_PAYMENT_METHOD.fetch_one(
            connection, caller.organization_id, payment_method_id
        )
    if row is None:
        raise payment_method_not_found(payment_method_id)
    return row


async def _confirmed_card(app_state: AppState, row: asyncpg.Record, secret: str) -> ConfirmedCard:
    """The card that was given for this payment method's secret. Raises BadRequest or Unavailable."""
    if not hmac.compare_digest(_hash(secret), row["setup_intent_secret_hash"] or ""):
        raise BadRequest("stripeSetupIntentSecret: is not the one of this payment method")
    if row["stripe_setup_intent_id"] is None:
        return ConfirmedCard(None, {"type": MANUAL})
    return await app_state.setup_intents.confirmed(row["stripe_setup_intent_id"], row["id"])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

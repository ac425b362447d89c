"""Payment methods: ``/paymentMethods``.

A new payment method has a secret with which the browser gives a card to Stripe; a PATCH with the same secret
completes it. No database connection is held while Stripe is called.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType

from db import payment_methods as statements
from db.payment_methods import PaymentMethodRow
from db.pool import CONNECTION_ERRORS
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.auditing import AuditedRequest, RequestAudit
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    TEXT_LENGTH,
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    require_members,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import PaymentMethodId, new_id
from pagemill.payments import MANUAL, ConfirmedCard, NewSetupIntent

SetupIntentSecret = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH)]
PaymentMethodPath = Annotated[
    PaymentMethodId, Parameter(description="las:payment-method:<32 hexadecimal digits>")
]


class PostPaymentMethod(RequestStruct):
    """A new payment method."""

    name: Text | None = None
    description: Text | None = None


class PatchPaymentMethod(RequestStruct):
    """Changes of a payment method; null clears name and description.

    The secret completes the payment method after the card was given to Stripe.
    """

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    stripe_setup_intent_secret: SetupIntentSecret | UnsetType = UNSET


class PaymentMethod(Audited, kw_only=True):
    """A way in which an organization pays. Without Stripe, all Stripe members say "manual".

    The secret is shown once, when the payment method is created.
    """

    payment_method_id: PaymentMethodId
    name: str | None
    description: str | None
    details: dict[str, Any] | None
    stripe_publishable_key: str | None
    stripe_setup_intent_secret: str | None = None


class PaymentMethods(ResponseStruct):
    """A page of payment methods."""

    payment_methods: list[PaymentMethod]
    next_token: str | None


def to_payment_method(row: PaymentMethodRow, state: AppState, secret: str | None = None) -> PaymentMethod:
    """Return a payment method as the API shows it."""
    is_manual = row.stripe_setup_intent_id is None
    return PaymentMethod(
        payment_method_id=row.id,
        name=row.name,
        description=row.description,
        details=row.details,
        stripe_publishable_key=MANUAL if is_manual else state.setup_intents.publishable_key,
        stripe_setup_intent_secret=secret,
        **audit(row),
    )


def payment_method_not_found(payment_method_id: PaymentMethodId) -> NotFound:
    """Return the error for an id that the organization does not have."""
    return NotFound(f"PaymentMethod {payment_method_id} not found")


class PaymentMethodController(Controller):
    """Operations on payment methods."""

    path = "/paymentMethods"
    tags = ("Payment methods",)

    @post(status_code=200, transaction="own")
    async def create_payment_method(
        self, data: PostPaymentMethod, caller: Caller, app_state: AppState, audited: RequestAudit
    ) -> PaymentMethod:
        """Create a payment method.

        The answer has a `stripeSetupIntentSecret`, which is shown only here, and a `stripePublishableKey`.
        Give them to Stripe's library in the browser to set up a card, then send the secret with `PATCH
        /v1/paymentMethods/{paymentMethodId}` to complete the payment method. The card's number never passes
        through this API. On an installation without Stripe, all Stripe members say `manual`: the operator
        collects the payments. Status 503 means that Stripe does not answer.
        """
        payment_method_id = new_id(PaymentMethodId)
        intent = await app_state.setup_intents.create(caller.organization_id, payment_method_id)
        try:
            row = await _insert(app_state, caller, payment_method_id, data, intent, audited)
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
        """List the payment methods of the organization.

        Payment methods without a card have no `details` yet.
        """
        rows = await statements.list_payment_methods(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return PaymentMethods(
            payment_methods=[to_payment_method(row, app_state) for row in shown], next_token=token
        )

    @get("/{payment_method_id:str}", own_connection=True)
    async def get_payment_method(
        self, payment_method_id: PaymentMethodPath, caller: Caller, app_state: AppState
    ) -> PaymentMethod:
        """Get a payment method.

        `details` has the brand, last four digits and expiry of the card, or null until a card was given.
        """
        return to_payment_method(await _find(app_state, caller, payment_method_id), app_state)

    @patch("/{payment_method_id:str}")
    async def update_payment_method(
        self,
        payment_method_id: PaymentMethodPath,
        data: PatchPaymentMethod,
        caller: Caller,
        app_state: AppState,
        audited: RequestAudit,
    ) -> PaymentMethod:
        """Complete or rename a payment method.

        Send the `stripeSetupIntentSecret` of the new payment method after Stripe has set up the card;
        `details` are filled then. A secret of another payment method, or one for which no card was set up,
        gets status 400; status 503 means that Stripe does not answer.
        """
        require_members(data)
        card = None
        if data.stripe_setup_intent_secret is not UNSET:
            row = await _find(app_state, caller, payment_method_id)
            card = await _confirmed_card(app_state, row, data.stripe_setup_intent_secret)
        async with app_state.connection() as connection, connection.transaction():
            changed = await statements.update_payment_method(
                connection,
                organization_id=caller.organization_id,
                payment_method_id=payment_method_id,
                name=data.name,
                description=data.description,
                details=card.details if card else None,
                stripe_payment_method_id=card.payment_method_id if card else None,
                updated_by=caller.principal_id,
            )
            if changed is None:
                raise payment_method_not_found(payment_method_id)
            await audited.record(connection)
        return to_payment_method(changed, app_state)

    @delete("/{payment_method_id:str}", status_code=200)
    async def delete_payment_method(
        self,
        payment_method_id: PaymentMethodPath,
        caller: Caller,
        app_state: AppState,
        audited: RequestAudit,
    ) -> PaymentMethod:
        """Delete a payment method.

        The payment method that the organization pays with (its `paymentMethodId`) cannot be deleted and gets
        status 400: change the organization first.
        """
        organization_id = caller.organization_id
        async with app_state.connection() as connection, connection.transaction():
            row = await statements.lock_payment_method(
                connection, organization_id=organization_id, payment_method_id=payment_method_id
            )
            if row is None:
                raise payment_method_not_found(payment_method_id)
            if await statements.pays_with(
                connection, organization_id=organization_id, payment_method_id=payment_method_id
            ):
                raise BadRequest(f"PaymentMethod {payment_method_id} is used by {organization_id}")
            await statements.delete_payment_method(
                connection, organization_id=organization_id, payment_method_id=payment_method_id
            )
            await audited.record(connection)
        if row.stripe_setup_intent_id is not None and row.details is None:
            await app_state.setup_intents.abandon(row.stripe_setup_intent_id)
        return to_payment_method(row, app_state)


async def _insert(
    app_state: AppState,
    caller: Caller,
    payment_method_id: PaymentMethodId,
    data: PostPaymentMethod,
    intent: NewSetupIntent,
    audited: AuditedRequest,
) -> PaymentMethodRow:
    async with app_state.connection() as connection, connection.transaction():
        row = await statements.insert_payment_method(
            connection,
            organization_id=caller.organization_id,
            payment_method_id=payment_method_id,
            name=data.name,
            description=data.description,
            setup_intent_secret_hash=_hash(intent.client_secret),
            stripe_setup_intent_id=intent.intent_id,
            created_by=caller.principal_id,
        )
        await audited.record(connection, payment_method_id)
    return row


async def _find(app_state: AppState, caller: Caller, payment_method_id: PaymentMethodId) -> PaymentMethodRow:
    """Return the row and release the connection. Raises NotFound."""
    async with app_state.connection() as connection:
        row = await statements.get_payment_method(
            connection, organization_id=caller.organization_id, payment_method_id=payment_method_id
        )
    if row is None:
        raise payment_method_not_found(payment_method_id)
    return row


async def _confirmed_card(app_state: AppState, row: PaymentMethodRow, secret: str) -> ConfirmedCard:
    """Return the card that was set up with this secret. Raises BadRequest or Unavailable."""
    if not hmac.compare_digest(_hash(secret), row.setup_intent_secret_hash or ""):
        raise BadRequest("stripeSetupIntentSecret: is not the one of this payment method")
    if row.stripe_setup_intent_id is None:
        return ConfirmedCard(None, {"type": MANUAL})
    return await app_state.setup_intents.confirmed(row.stripe_setup_intent_id, row.id)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

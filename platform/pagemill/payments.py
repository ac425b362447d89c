"""Set-up of cards: by Stripe's SetupIntents, or by nobody when Stripe is not configured.

The browser gives the card to Stripe alone, and proves that with the client secret of the SetupIntent.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pagemill.errors import BadRequest, PagemillError, Unavailable
from pagemill.ids import slug_of
from pagemill.settings import Settings, SettingsError

logger = logging.getLogger("pagemill.payments")

MANUAL = "manual"
TIMEOUT_SECONDS = 10.0
RETRIES = 1
AWAY = "Stripe is not available"


@dataclass(frozen=True, slots=True)
class NewSetupIntent:
    """Set-up of a card that has begun; ``intent_id`` is None without Stripe."""

    intent_id: str | None
    client_secret: str


@dataclass(frozen=True, slots=True)
class ConfirmedCard:
    """Card that was set up, with the details that may be stored and shown."""

    payment_method_id: str | None
    details: dict[str, Any]


class SetupIntents(Protocol):
    """Service that sets up cards. No database connection is held during its calls."""

    publishable_key: str

    async def create(self, organization_id: str, payment_method_id: str) -> NewSetupIntent:
        """Begin to set up a card. Raises Unavailable, or BadRequest when it is refused."""
        ...

    async def confirmed(self, intent_id: str, payment_method_id: str) -> ConfirmedCard:
        """Return the card that was set up. Raises Unavailable, or BadRequest when there is none."""
        ...

    async def abandon(self, intent_id: str) -> None:
        """Cancel a set-up. A failure is only logged."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class ManualSetupIntents:
    """Service without Stripe: the operator collects the payments, and all values say ``manual``."""

    publishable_key = MANUAL

    async def create(self, organization_id: str, payment_method_id: str) -> NewSetupIntent:
        """Return a set-up that needs no card."""
        return NewSetupIntent(None, f"{MANUAL}_{slug_of(payment_method_id)}")

    async def confirmed(self, intent_id: str, payment_method_id: str) -> ConfirmedCard:
        """Raise BadRequest: the card was set up by a Stripe that is not configured any more."""
        raise BadRequest("stripeSetupIntentSecret: Stripe, which made it, is not configured any more")

    async def abandon(self, intent_id: str) -> None:
        """Do nothing."""
        return

    async def close(self) -> None:
        """Do nothing."""
        return


class StripeSetupIntents:
    """Service with Stripe's SetupIntents, for cards that are charged later."""

    def __init__(self, secret_key: str, publishable_key: str, api_base: str) -> None:
        # It takes a fifth of a second to import, and most installations do without.
        import stripe

        self.publishable_key = publishable_key
        self._stripe = stripe
        self._http = stripe.HTTPXClient(timeout=TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=self._http,
            max_network_retries=RETRIES,
        )

    async def create(self, organization_id: str, payment_method_id: str) -> NewSetupIntent:
        """Begin to set up a card. The id makes a repeated call create nothing new."""
        with self._failures():
            intent = await self._client.v1.setup_intents.create_async(
                {
                    "usage": "off_session",
                    "payment_method_types": ["card"],
                    "metadata": {"paymentMethodId": payment_method_id, "organizationId": organization_id},
                },
                {"idempotency_key": payment_method_id},
            )
        return NewSetupIntent(intent["id"], intent["client_secret"])

    async def confirmed(self, intent_id: str, payment_method_id: str) -> ConfirmedCard:
        """Return the card of a SetupIntent that has succeeded."""
        with self._failures():
            intent = await self._client.v1.setup_intents.retrieve_async(
                intent_id, {"expand": ["payment_method"]}
            )
        # Read as plain JSON: which members Stripe leaves out differs between its versions.
        found = intent.to_dict()
        if (found.get("metadata") or {}).get("paymentMethodId") != payment_method_id:
            raise BadRequest("stripeSetupIntentSecret: belongs to another payment method")
        if found["status"] != "succeeded":
            raise BadRequest(f"stripeSetupIntentSecret: no card was set up, its status is {found['status']}")
        method = found["payment_method"]
        card = method.get("card") or {}
        shown = {
            "type": method["type"],
            "brand": card.get("brand"),
            "last4": card.get("last4"),
            "expMonth": card.get("exp_month"),
            "expYear": card.get("exp_year"),
        }
        return ConfirmedCard(
            method["id"], {name: value for name, value in shown.items() if value is not None}
        )

    async def abandon(self, intent_id: str) -> None:
        """Cancel a SetupIntent. A failure is only logged."""
        try:
            with self._failures():
                await self._client.v1.setup_intents.cancel_async(intent_id)
        except PagemillError as error:
            logger.warning("%s was not cancelled: %s", intent_id, error.message)

    async def close(self) -> None:
        """Close the connections to Stripe."""
        await self._http.close_async()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise Stripe's errors as ours, without its words on keys: it quotes them in part."""
        stripe = self._stripe
        try:
            yield
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            logger.error("Stripe does not accept PAGEMILL_STRIPE_SECRET_KEY (%s)", error.code)
            raise Unavailable(AWAY, detail="the key is not accepted") from None
        except (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError) as error:
            raise BadRequest(f"Stripe refused: {error.user_message}") from None
        except stripe.StripeError as error:
            raise Unavailable(AWAY, detail=f"{type(error).__name__} {error.http_status or ''}") from None


def check_stripe(settings: Settings) -> None:
    """Check that both keys are given, or neither. Raises SettingsError."""
    if bool(settings.stripe_secret_key) != bool(settings.stripe_publishable_key):
        raise SettingsError(
            "PAGEMILL_STRIPE_SECRET_KEY and PAGEMILL_STRIPE_PUBLISHABLE_KEY: both, or neither"
        )
    if not settings.stripe_api_base.startswith(("https://", "http://")):
        raise SettingsError("PAGEMILL_STRIPE_API_BASE: must begin with https:// (or http://)")


def open_setup_intents(settings: Settings) -> SetupIntents:
    """Return the service that the settings ask for: Stripe's when its keys are given."""
    if settings.stripe_secret_key and settings.stripe_publishable_key:
        return StripeSetupIntents(
            settings.stripe_secret_key, settings.stripe_publishable_key, settings.stripe_api_base
        )
    return ManualSetupIntents()

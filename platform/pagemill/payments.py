"""How a card becomes a payment method: Stripe's SetupIntents, or nobody's when Stripe is not configured.

The browser gives the card to Stripe alone. It proves that it has done so by the intent's client secret.
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
    """``intent_id`` is None when no Stripe is behind it."""

    intent_id: str | None
    client_secret: str


@dataclass(frozen=True, slots=True)
class ConfirmedCard:
    """What may be known and shown of a card."""

    payment_method_id: str | None
    details: dict[str, Any]


class SetupIntents(Protocol):
    """Whoever takes cards. No database connection is held while it is asked."""

    publishable_key: str

    async def create(self, organization_id: str, payment_method_id: str) -> NewSetupIntent:
        """Begin to take a card. Raises Unavailable, or BadRequest when it is refused."""
        ...

    async def confirmed(self, intent_id: str, payment_method_id: str) -> ConfirmedCard:
        """The card that was given. Raises Unavailable, or BadRequest when none was."""
        ...

    async def abandon(self, intent_id: str) -> None:
        """No card will be taken any more. Best effort: what fails is logged."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ManualSetupIntents:
    """The operator settles payments outside of Pagemill: all values say so."""

    publishable_key = MANUAL

    async def create(self, organization_id: str, payment_method_id: str) -> NewSetupIntent:
        return NewSetupIntent(None, f"{MANUAL}_{slug_of(payment_method_id)}")

    async def confirmed(self, intent_id: str, payment_method_id: str) -> ConfirmedCard:
        raise BadRequest("stripeSetupIntentSecret: Stripe, which made it, is not configured any more")

    async def abandon(self, intent_id: str) -> None:
        return

    async def close(self) -> None:
        return


class StripeSetupIntents:
    """Stripe's SetupIntents for cards that are charged later."""

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
        try:
            with self._failures():
                await self._client.v1.setup_intents.cancel_async(intent_id)
        except PagemillError as error:
            logger.warning("%s was not cancelled: %s", intent_id, error.message)

    async def close(self) -> None:
        await self._http.close_async()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Stripe's errors as ours. What it says of keys stays here: it quotes them in part."""
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
    """Raises SettingsError unless both keys are given, or neither."""
    if bool(settings.stripe_secret_key) != bool(settings.stripe_publishable_key):
        raise SettingsError(
            "PAGEMILL_STRIPE_SECRET_KEY and PAGEMILL_STRIPE_PUBLISHABLE_KEY: both, or neither"
        )
    if not settings.stripe_api_base.startswith(("https://", "http://")):
        raise SettingsError("PAGEMILL_STRIPE_API_BASE: must begin with https:// (or http://)")


def open_setup_intents(settings: Settings) -> SetupIntents:
    """Stripe's when its keys are given."""
    if settings.stripe_secret_key and settings.stripe_publishable_key:
        return StripeSetupIntents(
            settings.stripe_secret_key, settings.stripe_publishable_key, settings.stripe_api_base
        )
    return ManualSetupIntents()

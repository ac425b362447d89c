"""Payment methods with Stripe: its calls, its answers, and secrets that stay secret."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from pagemill.settings import Settings
from tests.integration.api.conftest import client_of
from tests.support.stripe_double import (
    PUBLISHABLE_KEY,
    SECRET_KEY,
    StripeDouble,
    StripeRequest,
    refusal,
    stripe_double,
)
from tests.support.tenants import Tenant

PATH = "/v1/paymentMethods"


@pytest.fixture
def stripe() -> Iterator[StripeDouble]:
    with stripe_double() as double:
        yield double


@pytest.fixture
def settings(settings: Settings, stripe: StripeDouble) -> Settings:
    """With Stripe, and one connection for requests beside the listener's: one held too long is noticed."""
    return msgspec.structs.replace(
        settings,
        stripe_secret_key=SECRET_KEY,
        stripe_publishable_key=PUBLISHABLE_KEY,
        stripe_api_base=stripe.url,
        database_pool_size=2,
    )


async def create(api: httpx.AsyncClient) -> dict[str, Any]:
    response = await api.post(PATH, json={"name": "Card"})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_a_card_is_set_up(
    api: httpx.AsyncClient, stripe: StripeDouble, pool: asyncpg.Pool, organization: Tenant
) -> None:
    method = await create(api)
    method_id = method["paymentMethodId"]
    (intent_id,) = stripe.intents
    assert stripe.requests == [
        StripeRequest(
            "POST",
            "/v1/setup_intents",
            {
                "usage": "off_session",
                "payment_method_types[0]": "card",
                "metadata[paymentMethodId]": method_id,
                "metadata[organizationId]": organization.organization_id,
            },
            method_id,
        )
    ]
    secret = stripe.intents[intent_id]["client_secret"]
    assert (method["stripePublishableKey"], method["stripeSetupIntentSecret"]) == (PUBLISHABLE_KEY, secret)
    assert method["details"] is None

    early = await api.patch(f"{PATH}/{method_id}", json={"stripeSetupIntentSecret": secret, "name": "Now"})
    assert early.status_code == 400
    assert "requires_payment_method" in early.json()["message"]
    payment_method = stripe.succeed(intent_id)
    completed = (await api.patch(f"{PATH}/{method_id}", json={"stripeSetupIntentSecret": secret})).json()
    assert completed["details"] == {
        "type": "card",
        "brand": "visa",
        "last4": "4242",
        "expMonth": 8,
        "expYear": 2030,
    }
    assert (completed["name"], completed["stripeSetupIntentSecret"]) == ("Card", None)
    assert stripe.requests[-1] == StripeRequest(
        "GET", f"/v1/setup_intents/{intent_id}", {"expand[0]": "payment_method"}, None
    )
    row = await pool.fetchrow("SELECT * FROM payment_method WHERE id = $1", method_id)
    assert (row["stripe_setup_intent_id"], row["stripe_payment_method_id"]) == (intent_id, payment_method)
    assert row["setup_intent_secret_hash"] == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(dict(row))


async def test_an_intent_of_another_payment_method_completes_nothing(
    api: httpx.AsyncClient, stripe: StripeDouble
) -> None:
    first, second = await create(api), await create(api)
    for intent_id in stripe.intents:
        stripe.succeed(intent_id)
    path = f"{PATH}/{first['paymentMethodId']}"
    asked = len(stripe.requests)
    refused = await api.patch(path, json={"stripeSetupIntentSecret": second["stripeSetupIntentSecret"]})
    assert refused.status_code == 400
    assert len(stripe.requests) == asked, "what is refused here is no question for Stripe"

    for intent in stripe.intents.values():
        intent["metadata"] = {"paymentMethodId": second["paymentMethodId"]}
    refused = await api.patch(path, json={"stripeSetupIntentSecret": first["stripeSetupIntentSecret"]})
    assert (refused.status_code, "another" in refused.json()["message"]) == (400, True)
    assert (await api.get(path)).json()["details"] is None


async def test_stripe_is_not_called_about_foreign_payment_methods(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, stripe: StripeDouble
) -> None:
    method = await create(api)
    asked = len(stripe.requests)
    body = {"stripeSetupIntentSecret": method["stripeSetupIntentSecret"]}
    assert (await other_api.patch(f"{PATH}/{method['paymentMethodId']}", json=body)).status_code == 404
    assert (await other_api.delete(f"{PATH}/{method['paymentMethodId']}")).status_code == 404
    assert len(stripe.requests) == asked


async def test_no_connection_is_held_while_stripe_is_called(
    api: httpx.AsyncClient, stripe: StripeDouble
) -> None:
    method = await create(api)
    stripe.succeed(next(iter(stripe.intents)))
    path = f"{PATH}/{method['paymentMethodId']}"
    body = {"stripeSetupIntentSecret": method["stripeSetupIntentSecret"]}
    for request in (api.post(PATH, json={}), api.patch(path, json=body)):
        stripe.answers.clear()
        stripe.asked.clear()
        waiting = asyncio.create_task(request)
        assert await asyncio.to_thread(stripe.asked.wait, 10)
        assert (await api.get(path)).status_code == 200
        assert not waiting.done()
        stripe.answers.set()
        assert (await waiting).status_code == 200


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([refusal(402, "card_error", "Your card was declined.", code="card_declined")], 400),
        ([refusal(400, "invalid_request_error", "Received unknown parameter: x")], 400),
        ([refusal(403, "invalid_request_error", "This key may not do it: sk_test_double")], 503),
        ([refusal(429, "rate_limit_error", "Too many requests")], 503),
        ([refusal(500, "api_error", "sorry")] * 2, 503),
    ],
)
async def test_what_stripe_refuses(
    api: httpx.AsyncClient,
    stripe: StripeDouble,
    answers: list[tuple[int, dict[str, Any]]],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stripe.refusals += answers
    response = await api.post(PATH, json={})
    assert response.status_code == status
    said = answers[0][1]["error"]["message"]
    assert (said in response.json()["message"]) is (status == 400)
    assert ("Retry-After" in response.headers) is (status == 503)
    assert SECRET_KEY not in caplog.text + response.text
    assert (await api.get(PATH)).json()["paymentMethods"] == []
    assert stripe.refusals == []


async def test_a_repeated_call_makes_no_second_intent(api: httpx.AsyncClient, stripe: StripeDouble) -> None:
    stripe.refusals.append(refusal(500, "api_error", "sorry"))
    method = await create(api)
    assert [request.idempotency_key for request in stripe.requests] == [method["paymentMethodId"]] * 2
    assert len(stripe.intents) == 1


async def test_deleting_cancels_an_incomplete_intent(api: httpx.AsyncClient, stripe: StripeDouble) -> None:
    open_method = await create(api)
    completed = await create(api)
    intents = list(stripe.intents)
    stripe.succeed(intents[1])
    path = f"{PATH}/{completed['paymentMethodId']}"
    await api.patch(path, json={"stripeSetupIntentSecret": completed["stripeSetupIntentSecret"]})
    for method in (open_method, completed):
        assert (await api.delete(f"{PATH}/{method['paymentMethodId']}")).status_code == 200
    assert [stripe.intents[one]["status"] for one in intents] == ["canceled", "succeeded"]

    last = await create(api)
    stripe.refusals.append(refusal(400, "invalid_request_error", "It is canceled already"))
    assert (await api.delete(f"{PATH}/{last['paymentMethodId']}")).status_code == 200
    assert (await api.get(PATH)).json()["paymentMethods"] == []


async def test_an_intent_that_cannot_be_stored_is_cancelled(
    api: httpx.AsyncClient, stripe: StripeDouble, pool: asyncpg.Pool
) -> None:
    await pool.execute("ALTER TABLE payment_method ADD CHECK (name <> 'Card')")
    assert (await api.post(PATH, json={"name": "Card"})).status_code == 500
    assert [intent["status"] for intent in stripe.intents.values()] == ["canceled"]


async def test_no_key_and_no_secret_is_logged(
    api: httpx.AsyncClient, stripe: StripeDouble, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "pagemill"), caplog.at_level(logging.INFO):
        method = await create(api)
        stripe.succeed(next(iter(stripe.intents)))
        body = {"stripeSetupIntentSecret": method["stripeSetupIntentSecret"]}
        await api.patch(f"{PATH}/{method['paymentMethodId']}", json=body)
    assert caplog.records
    assert SECRET_KEY not in caplog.text
    assert method["stripeSetupIntentSecret"] not in caplog.text


class TestWithoutTheDouble:
    """Stripe does not answer, or does not know the key."""

    @pytest.fixture
    def settings(self, settings: Settings, request: pytest.FixtureRequest) -> Settings:
        return msgspec.structs.replace(settings, **request.param)

    @pytest.mark.parametrize(
        "settings",
        [{"stripe_api_base": "http://127.0.0.1:1"}, {"stripe_secret_key": "sk_test_unknown"}],
        indirect=True,
        ids=["away", "wrong key"],
    )
    async def test_it_is_not_available(
        self, api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, settings: Settings
    ) -> None:
        response = await api.post(PATH, json={})
        assert (response.status_code, response.json()) == (503, {"message": "Stripe is not available"})
        assert "sk_test" not in caplog.text + response.text
        assert (await api.get(PATH)).json()["paymentMethods"] == []


async def test_what_stripe_began_needs_stripe(
    api: httpx.AsyncClient, settings: Settings, organization: Tenant
) -> None:
    from pagemill.api.app import create_app

    method = await create(api)
    by_hand = msgspec.structs.replace(settings, stripe_secret_key=None, stripe_publishable_key=None)
    app = create_app(by_hand)
    async with app.lifespan(), client_of(app, by_hand, organization) as client:
        path = f"{PATH}/{method['paymentMethodId']}"
        body = {"stripeSetupIntentSecret": method["stripeSetupIntentSecret"]}
        refused = await client.patch(path, json=body)
        assert (refused.status_code, "not configured" in refused.json()["message"]) == (400, True)
        assert (await client.delete(path)).status_code == 200

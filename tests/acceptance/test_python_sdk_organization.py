"""The organization, its plan, how it pays and where it deploys, through the Python SDK."""

from __future__ import annotations

import las
import pytest
from las.client import BadRequest, NotFound

from tests.support.clients import listed, pages

UNKNOWN_METHOD = "las:payment-method:" + "0" * 32
STRANGER = "las:organization:somebody-else"


def test_the_organization_is_read_and_changed(client: las.Client) -> None:
    organization = client.get_organization("me")
    organization_id = organization["organizationId"]

    assert client.get_organization(organization_id) == organization
    named = client.update_organization(organization_id, name="Ours", description="a test")
    assert (named["name"], named["description"]) == ("Ours", "a test")
    cleared = client.update_organization("me", description=None)
    assert (cleared["name"], cleared["description"]) == ("Ours", None)
    with pytest.raises(NotFound, match=STRANGER):
        client.get_organization(STRANGER)
    with pytest.raises(BadRequest, match="planId"):
        client.update_organization(organization_id, planId="las:plan:no-such-plan")
    client.update_organization("me", name=organization["name"])


def test_plans_are_listed_read_and_chosen(client: las.Client) -> None:
    plan_id = client.get_organization("me")["planId"]
    plans = listed(client.list_plans, "plans", 1)

    assert plan_id in {plan["planId"] for plan in plans}
    plan = client.get_plan(plan_id)
    slug = plan_id.rsplit(":", 1)[0]
    assert client.get_plan(slug)["planId"] == client.get_plan(f"{slug}:@latest")["planId"] == plan_id
    assert client.update_organization("me", planId=slug)["planId"].startswith(slug)
    assert client.update_organization("me", planId=plan_id)["planId"] == plan_id
    assert client.list_plans(owner=[STRANGER, "me"])["plans"] == [
        item for item in plans if item["organizationId"] == client.get_organization("me")["organizationId"]
    ]
    assert plan["latest"] >= 1
    for unknown in ("las:plan:no-such-plan", f"{STRANGER}/{plan_id}"):
        with pytest.raises(NotFound, match=f"Plan {unknown} not found"):
            client.get_plan(unknown)


def test_a_payment_method_is_created_used_and_deleted(client: las.Client) -> None:
    created = client.create_payment_method(name="Card", description="the blue one")
    method_id = created["paymentMethodId"]

    assert isinstance(created["stripePublishableKey"], str)
    assert isinstance(created["stripeSetupIntentSecret"], str)
    assert created["details"] is None
    assert client.get_payment_method(method_id)["name"] == "Card"
    renamed = client.update_payment_method(method_id, name=None)
    assert (renamed["name"], renamed["description"]) == (None, "the blue one")
    confirmed = client.update_payment_method(
        method_id, stripe_setup_intent_secret=created["stripeSetupIntentSecret"]
    )
    assert isinstance(confirmed["details"], dict)
    found = [item for page in pages(client.list_payment_methods, "paymentMethods", 1) for item in page]
    assert method_id in {item["paymentMethodId"] for item in found}

    assert client.update_organization("me", payment_method_id=method_id)["paymentMethodId"] == method_id
    with pytest.raises(BadRequest):
        client.delete_payment_method(method_id)
    assert client.update_organization("me", paymentMethodId=None)["paymentMethodId"] is None
    assert client.delete_payment_method(method_id)["paymentMethodId"] == method_id
    with pytest.raises(NotFound, match=method_id):
        client.get_payment_method(method_id)
    with pytest.raises(BadRequest, match="paymentMethodId"):
        client.update_organization("me", payment_method_id=UNKNOWN_METHOD)


def test_deployment_environments_are_listed_and_read(client: las.Client) -> None:
    found = listed(client.list_deployment_environments, "deploymentEnvironments", 1)

    assert found
    for environment in found:
        assert client.get_deployment_environment(environment["deploymentEnvironmentId"]) == environment
    assert any(environment["status"] == "available" for environment in found)
    assert client.list_deployment_environments(owner=STRANGER)["deploymentEnvironments"] == []
    with pytest.raises(NotFound, match="nowhere"):
        client.get_deployment_environment("las:deployment-environment:nowhere")

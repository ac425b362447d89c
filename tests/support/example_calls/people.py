"""Calls about tokens, organizations, app clients, users and roles."""

from __future__ import annotations

from tests.support.example_calls.recorder import Recorder
from tests.support.people import Person
from tests.support.tenants import Tenant


async def get_tokens(recorder: Recorder, organization: Tenant) -> None:
    """Get a token in each of the two ways."""
    form = {
        "grant_type": "client_credentials",
        "client_id": organization.client_id,
        "client_secret": organization.client_secret,
    }
    for operation_id in ("createToken", "createToken1"):
        path = recorder.operations[operation_id].path
        response = await recorder.anonymous.post(path, data=form)
        assert response.status_code == 200, response.text
        recorder.keep(operation_id, form, response.json())


async def manage_app_clients(recorder: Recorder) -> str:
    """Return the id of a public app client."""
    created = await recorder.call(
        "createAppClient",
        {
            "name": "Invoice import",
            "description": "Uploads the invoices of the mailbox",
            "callbackUrls": ["https://invoices.example.com/callback"],
            "loginUrls": ["https://invoices.example.com/login"],
            "defaultLoginUrl": "https://invoices.example.com/login",
            "logoutUrls": ["https://invoices.example.com/logout"],
            "roleIds": ["las:role:member"],
        },
    )
    app_client_id = created["appClientId"]
    await recorder.call("listAppClients")
    await recorder.call("listAuditEvents")
    await recorder.call("getAppClient", appClientId=app_client_id)
    await recorder.call(
        "updateAppClient",
        {"description": "Uploads invoices from mail and scanners"},
        appClientId=app_client_id,
    )
    await recorder.call("createAppClientSecret", {"overlapSeconds": 3600}, appClientId=app_client_id)
    body = {
        "name": "Validation",
        "generateSecret": False,
        "defaultLoginUrl": "https://check.example.com/login",
    }
    public = await recorder.prepare("POST", "/appClients", body)
    await recorder.call("deleteAppClient", appClientId=app_client_id)
    return str(public["appClientId"])


async def manage_users(recorder: Recorder, person: Person, app_client_id: str) -> None:
    created = await recorder.call(
        "createUser",
        {
            "email": "grace.hopper@example.com",
            "appClientId": app_client_id,
            "roleIds": ["las:role:validator"],
            "metadata": {"department": "Accounting"},
        },
    )
    await recorder.call("listUsers")
    await recorder.call("getUser", userId=person.user_id)
    await recorder.call("updateUser", {"roleIds": ["las:role:member"]}, userId=created["userId"])
    await recorder.call("deleteUser", userId=created["userId"])


async def manage_profiles(recorder: Recorder) -> None:
    picture = "https://people.example.com/ada.png"
    await recorder.call(
        "updateProfile",
        {"givenName": "Ada", "familyName": "Lovelace", "locale": "en-GB", "picture": picture},
        by=recorder.user,
        profileId="me",
    )
    await recorder.call("getProfile", by=recorder.user, profileId="me")


async def read_roles(recorder: Recorder) -> None:
    await recorder.call("listRoles", query={"maxResults": "2"})
    await recorder.call("getRole", roleId="las:role:validator")


async def manage_organizations(recorder: Recorder, plan_id: str) -> None:
    """Read and change the organization: at the end, so that its counters show the other calls."""
    methods = await manage_payment_methods(recorder)
    await recorder.call("listPlans")
    await recorder.call("getPlan", planId=plan_id)
    await recorder.call(
        "updateOrganization",
        {"name": "Nordic Coffee", "description": "Invoices of all shops", "paymentMethodId": methods},
        organizationId="me",
    )
    await recorder.call("getOrganization", organizationId="me")
    await recorder.call("listOrganizations")
    await recorder.call("createOrganization", {"name": "Nordic Tea"}, by=recorder.user)


async def manage_payment_methods(recorder: Recorder) -> str:
    """Return the id of a payment method that can be used."""
    created = await recorder.call("createPaymentMethod", {"name": "Company card", "description": None})
    payment_method_id = created["paymentMethodId"]
    await recorder.call(
        "updatePaymentMethod",
        {"stripeSetupIntentSecret": created["stripeSetupIntentSecret"]},
        paymentMethodId=payment_method_id,
    )
    await recorder.call("getPaymentMethod", paymentMethodId=payment_method_id)
    await recorder.call("listPaymentMethods")
    other = await recorder.prepare("POST", "/paymentMethods", {"name": "Old card"})
    await recorder.call("deletePaymentMethod", paymentMethodId=other["paymentMethodId"])
    return str(payment_method_id)


async def read_deployment_environments(recorder: Recorder, deployment_environment_id: str) -> None:
    await recorder.call("listDeploymentEnvironments")
    await recorder.call("getDeploymentEnvironment", deploymentEnvironmentId=deployment_environment_id)

"""App clients, users and roles through the Python SDK."""

from __future__ import annotations

import uuid

import las
import pytest
import requests
from las.client import BadRequest, InvalidCredentialsException, NotFound
from las.credentials import Credentials

from examples.local_stack import LocalStack
from tests.support.clients import RecordingClient, pages
from tests.support.mailbox import code_in
from tests.support.newcomers import FrontDoor, new_address

CALLBACK = ["https://app.example.com/callback"]
UNKNOWN_APP_CLIENT = "las:app-client:nobody"
UNKNOWN_USER = "las:user:" + "0" * 32


def signed_in(stack: LocalStack, app_client: dict[str, str]) -> RecordingClient:
    environment = stack.environment
    return RecordingClient(
        Credentials(
            app_client["clientId"],
            app_client["clientSecret"],
            environment["LAS_AUTH_ENDPOINT"],
            environment["LAS_API_ENDPOINT"],
        )
    )


def test_an_app_client_is_created_used_changed_and_deleted(client: las.Client, stack: LocalStack) -> None:
    before = client.get_organization("me")["numberOfAppClientsCreated"]
    created = client.create_app_client(name="Robot", description="reads mail")
    app_client_id = created["appClientId"]
    robot = signed_in(stack, created)

    assert created["hasSecret"] is True
    assert created["clientId"] != app_client_id
    asset = robot.create_asset(b"{}!")
    assert asset["createdBy"] == app_client_id
    client.delete_asset(asset["assetId"])
    shown = client.get_app_client(app_client_id)
    assert "clientSecret" not in shown
    assert {**shown, "clientSecret": created["clientSecret"]} == created
    changed = client.update_app_client(
        app_client_id, name=None, loginUrls=CALLBACK, defaultLoginUrl=CALLBACK[0]
    )
    assert (changed["name"], changed["description"]) == (None, "reads mail")
    assert (changed["loginUrls"], changed["defaultLoginUrl"]) == (CALLBACK, CALLBACK[0])
    assert client.get_organization("me")["numberOfAppClientsCreated"] == before + 1

    with pytest.raises(BadRequest):
        robot.delete_app_client(app_client_id)
    assert "clientSecret" not in client.delete_app_client(app_client_id)
    with pytest.raises(InvalidCredentialsException):
        robot.list_assets()
    with pytest.raises(requests.HTTPError) as refusal:
        signed_in(stack, created).list_assets()
    assert refusal.value.response.status_code == 400
    with pytest.raises(NotFound, match=app_client_id):
        client.get_app_client(app_client_id)
    assert client.get_organization("me")["numberOfAppClientsCreated"] == before


def test_a_public_app_client_has_no_secret(client: las.Client) -> None:
    created = client.create_app_client(
        generate_secret=False,
        callback_urls=CALLBACK,
        logout_urls=["http://localhost:3000/bye"],
        login_urls=CALLBACK,
        default_login_url=CALLBACK[0],
    )

    assert created["hasSecret"] is False
    assert "clientSecret" not in created
    assert created["callbackUrls"] == CALLBACK
    assert created["logoutUrls"] == ["http://localhost:3000/bye"]
    found = [item for page in pages(client.list_app_clients, "appClients", 1) for item in page]
    assert created["appClientId"] in {item["appClientId"] for item in found}
    assert all("clientSecret" not in item for item in found)
    with pytest.raises(BadRequest, match="callbackUrls"):
        client.update_app_client(created["appClientId"], callbackUrls=[])
    with pytest.raises(BadRequest, match="loginUrls"):
        client.update_app_client(created["appClientId"], loginUrls=["ftp://example.com"])
    client.delete_app_client(created["appClientId"])
    with pytest.raises(NotFound, match=UNKNOWN_APP_CLIENT):
        client.delete_app_client(UNKNOWN_APP_CLIENT)


def test_a_role_limits_what_an_app_client_may_do(client: las.Client, stack: LocalStack) -> None:
    created = client.create_app_client(role_ids=["las:role:validator"])
    validator = signed_in(stack, created)

    assert created["roleIds"] == ["las:role:validator"]
    validator.list_assets()
    with pytest.raises(InvalidCredentialsException):
        validator.create_asset(b"{}!")
    with pytest.raises(InvalidCredentialsException):
        validator.create_app_client(role_ids=["las:role:admin"])
    everything = client.update_app_client(created["appClientId"], role_ids=None)
    assert not everything["roleIds"]
    client.delete_asset(validator.create_asset(b"{}!")["assetId"])
    client.delete_app_client(created["appClientId"])


def test_roles_are_listed_and_read(client: las.Client) -> None:
    found = [role for page in pages(client.list_roles, "roles", 2) for role in page]

    assert {role["roleId"] for role in found} >= {"las:role:admin", "las:role:member", "las:role:validator"}
    assert client.get_role("las:role:admin") in found
    with pytest.raises(NotFound, match="las:role:nobody"):
        client.get_role("las:role:nobody")
    with pytest.raises(BadRequest, match="roleIds"):
        client.create_app_client(role_ids=["las:role:nobody"])


def test_an_invited_user_is_active_with_a_profile_after_signing_in(
    client: las.Client, front_door: FrontDoor
) -> None:
    email = new_address()
    invited = client.create_user(email, app_client_id=front_door.app.app_client_id)

    assert (invited["status"], invited["profileId"]) == ("invite_pending", None)
    with front_door.visitor() as browser:
        browser.accept_invitation(email, code_in(front_door.message_to(email)))
    active = client.get_user(invited["userId"])
    assert active["status"] == "active"
    assert active["profileId"]
    with pytest.raises(BadRequest, match="email"):
        client.create_user(email, app_client_id=front_door.app.app_client_id)
    client.delete_user(invited["userId"])


def test_a_user_is_invited_changed_and_deleted(client: las.Client) -> None:
    before = client.get_organization("me")["numberOfUsersCreated"]
    app_client_id = client.list_app_clients()["appClients"][0]["appClientId"]
    email = f"{uuid.uuid4().hex}@example.com"
    created = client.create_user(
        email, app_client_id=app_client_id, metadata={"team": 1}, role_ids=["las:role:member"]
    )
    user_id = created["userId"]

    assert created["status"] == "invite_pending"
    assert (created["metadata"], created["roleIds"]) == ({"team": 1}, ["las:role:member"])
    assert not {"email", "name", "avatar"} & created.keys()
    assert client.get_user(user_id) == created
    assert user_id in {user["userId"] for page in pages(client.list_users, "users", 1) for user in page}
    changed = client.update_user(user_id, metadata={"team": 2}, role_ids=["las:role:validator"])
    assert (changed["metadata"], changed["roleIds"]) == ({"team": 2}, ["las:role:validator"])
    assert client.get_organization("me")["numberOfUsersCreated"] == before + 1

    with pytest.raises(BadRequest, match="appClientId"):
        client.create_user(f"other-{email}", app_client_id=UNKNOWN_APP_CLIENT)
    with pytest.raises(BadRequest, match="email"):
        client.create_user("no address", app_client_id=app_client_id)
    assert client.delete_user(user_id)["userId"] == user_id
    for unknown in (user_id, UNKNOWN_USER):
        with pytest.raises(NotFound, match=unknown):
            client.get_user(unknown)
    assert client.get_organization("me")["numberOfUsersCreated"] == before

"""``las app-clients``, ``users`` and ``roles``."""

from __future__ import annotations

import uuid

import pytest
from las.client import NotFound

from tests.support.command_line import CommandLine

URL = "https://app.example.com"


def test_app_clients(cli: CommandLine) -> None:
    public = cli(
        *("app-clients", "create", "--name", "Web", "--callback-urls", URL, f"{URL}/2", "--logout-urls", URL),
        *("--login-urls", URL, "--default-login-url", URL),
    )
    confidential = cli("app-clients", "create", "--generate-secret", "--role-ids", "las:role:member")
    app_client_id = public["appClientId"]

    assert public["hasSecret"] is False
    assert public["callbackUrls"] == [URL, f"{URL}/2"]
    assert confidential["clientSecret"]
    assert confidential["roleIds"] == ["las:role:member"]
    changed = cli(
        "app-clients", "update", app_client_id, "--name", "null", "--role-ids", "las:role:validator"
    )
    assert (changed["name"], changed["roleIds"]) == (None, ["las:role:validator"])
    assert cli("app-clients", "get", app_client_id) == changed
    listed = cli("app-clients", "list", "-m", 1000)["appClients"]
    assert app_client_id in {client["appClientId"] for client in listed}
    for each in (app_client_id, confidential["appClientId"]):
        assert cli("app-clients", "delete", each)["appClientId"] == each
    with pytest.raises(NotFound, match=app_client_id):
        cli("app-clients", "get", app_client_id)


def test_users_and_roles(cli: CommandLine) -> None:
    [app_client, *_] = cli("app-clients", "list")["appClients"]
    [role, *_] = cli("roles", "list", "-m", 1000)["roles"]
    created = cli("users", "create", f"{uuid.uuid4().hex}@example.com", app_client["appClientId"])
    user_id = created["userId"]

    assert cli("roles", "get", role["roleId"]) == role
    changed = cli("users", "update", user_id, "--role-ids", role["roleId"])
    assert changed["roleIds"] == [role["roleId"]]
    assert cli("users", "get", user_id) == changed
    listed = cli("users", "list", "--max-results", 1000)["users"]
    assert user_id in {user["userId"] for user in listed}
    assert cli("users", "delete", user_id)["userId"] == user_id
    with pytest.raises(NotFound, match=user_id):
        cli("users", "get", user_id)

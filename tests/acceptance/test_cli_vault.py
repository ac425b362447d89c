"""``las assets``, ``secrets``, ``payment-methods``, ``plans``, and what else belongs to the organization."""

from __future__ import annotations

import base64

import pytest
from las.client import BadRequest, NotFound

from tests.support.command_line import CommandLine

CONTENT = b"<form>what is typed in</form>"


def test_assets(cli: CommandLine) -> None:
    path = cli.file("form.html", CONTENT)
    created = cli("assets", "create", path, "--name", "Form", "--description", "d")
    asset_id = created["assetId"]

    truncated = cli("assets", "get", asset_id)
    assert truncated["content"] == base64.b64encode(CONTENT).decode()[:10] + "... [TRUNCATED]"
    whole = cli("assets", "get", asset_id, "--output-content", "-d", cli.directory / "copy.html")
    assert base64.b64decode(whole["content"]) == CONTENT
    assert (cli.directory / "copy.html").read_bytes() == CONTENT
    other = cli.file("other.html", CONTENT * 2)
    changed = cli("assets", "update", asset_id, "--asset-path", other, "--name", "null")
    assert (changed["name"], changed["description"]) == (None, "d")
    cli("assets", "get", asset_id, "-d", cli.directory / "copy.html")
    assert (cli.directory / "copy.html").read_bytes() == CONTENT * 2
    listed = cli("assets", "list", "--max-results", 1000)
    assert asset_id in {asset["assetId"] for asset in listed["assets"]}
    assert cli("assets", "delete", asset_id)["assetId"] == asset_id
    with pytest.raises(NotFound, match=asset_id):
        cli("assets", "get", asset_id)


def test_secrets(cli: CommandLine) -> None:
    created = cli("secrets", "create", "--secret-data", "username=ada", "password=a=b", "--name", "Registry")
    secret_id = created["secretId"]
    from_file = cli("secrets", "create", "--secret-path", cli.file("secret.json", {"a": {"b": 1}}))

    assert (created["name"], created["description"]) == ("Registry", None)
    changed = cli("secrets", "update", secret_id, "--secret-data", "password=c", "--name", "null")
    assert changed["name"] is None
    assert cli("secrets", "update", secret_id, "--description", "d")["description"] == "d"
    listed = cli("secrets", "list", "-m", 1000)["secrets"]
    assert {secret_id, from_file["secretId"]} <= {secret["secretId"] for secret in listed}
    assert all("data" not in secret for secret in listed)
    for each in (secret_id, from_file["secretId"]):
        assert cli("secrets", "delete", each)["secretId"] == each
    with pytest.raises(NotFound, match=secret_id):
        cli("secrets", "delete", secret_id)


def test_payment_methods(cli: CommandLine) -> None:
    created = cli("payment-methods", "create", "--name", "Card", "--description", "blue")
    bare = cli("payment-methods", "create")
    method_id = created["paymentMethodId"]

    assert (bare["name"], bare["description"]) == (None, None)
    assert cli("payment-methods", "get", method_id)["name"] == "Card"
    secret = created["stripeSetupIntentSecret"]
    changed = cli(
        "payment-methods", "update", method_id, "--stripe-setup-intent-secret", secret, "--name", "null"
    )
    assert changed["name"] is None
    assert changed["details"] is not None
    listed = cli("payment-methods", "list", "--max-results", 1000)["paymentMethods"]
    assert method_id in {method["paymentMethodId"] for method in listed}
    organization = cli("organizations", "update", "me", "--payment-method-id", method_id)
    assert organization["paymentMethodId"] == method_id
    with pytest.raises(BadRequest):
        cli("payment-methods", "delete", method_id)
    other = cli("organizations", "update", "me", "--payment-method-id", bare["paymentMethodId"])
    assert other["paymentMethodId"] == bare["paymentMethodId"]
    assert cli("payment-methods", "delete", method_id)["paymentMethodId"] == method_id


def test_the_organization(cli: CommandLine) -> None:
    before = cli("organizations", "get", "me")
    changed = cli("organizations", "update", "me", "--name", "Theirs", "--description", "null")

    assert (changed["name"], changed["description"]) == ("Theirs", None)
    assert cli("organizations", "get", before["organizationId"])["name"] == "Theirs"
    cli("organizations", "update", "me", "--name", before["name"])


def test_plans(cli: CommandLine) -> None:
    plan_id = cli("organizations", "get", "me")["planId"]

    listed = cli("plans", "list", "-m", 1000)["plans"]
    assert plan_id in {plan["planId"] for plan in listed}
    assert cli("plans", "get", plan_id)["planId"] == plan_id
    assert cli("plans", "list", "--owner", "las:organization:nobody")["plans"] == []


def test_deployment_environments(cli: CommandLine) -> None:
    [first, *_] = cli("deployment-environments", "list", "-m", 1000)["deploymentEnvironments"]

    assert cli("deployment-environments", "get", first["deploymentEnvironmentId"]) == first
    answer = cli("deployment-environments", "list", "--owner", "las:organization:nobody")
    assert answer["deploymentEnvironments"] == []

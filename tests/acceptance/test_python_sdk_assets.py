"""Assets and secrets through the Python SDK."""

from __future__ import annotations

import base64
import hashlib

import las
import pytest
from las.client import BadRequest, NotFound

from tests.support.clients import listed, pages

UNKNOWN_ASSET = "las:asset:" + "0" * 32
UNKNOWN_SECRET = "las:secret:" + "0" * 32
CONTENT = b'{"fields": ["total"]}'
OTHER_CONTENT = b"<form>!</form>"


def test_an_asset_is_created_read_changed_and_deleted(client: las.Client) -> None:
    before = client.get_organization("me")["numberOfAssetsCreated"]
    created = client.create_asset(CONTENT, name="Form", description="of invoices")
    asset_id = created["assetId"]

    assert (created["name"], created["description"]) == ("Form", "of invoices")
    assert created["contentMD5"] == hashlib.md5(CONTENT).hexdigest()
    assert created["createdBy"] is not None
    assert (created["updatedTime"], created["updatedBy"]) == (None, None)
    assert base64.b64decode(client.get_asset(asset_id)["content"]) == CONTENT
    assert client.get_organization("me")["numberOfAssetsCreated"] == before + 1

    renamed = client.update_asset(asset_id, name=None)
    assert (renamed["name"], renamed["description"]) == (None, "of invoices")
    assert renamed["updatedBy"] == created["createdBy"]
    replaced = client.update_asset(asset_id, content=OTHER_CONTENT, description=None)
    assert (replaced["description"], replaced["contentMD5"]) == (None, hashlib.md5(OTHER_CONTENT).hexdigest())
    assert base64.b64decode(client.get_asset(asset_id)["content"]) == OTHER_CONTENT

    assert client.delete_asset(asset_id)["assetId"] == asset_id
    for refused in (client.get_asset, client.delete_asset):
        with pytest.raises(NotFound, match=asset_id):
            refused(asset_id)
    assert client.get_organization("me")["numberOfAssetsCreated"] == before


def test_assets_are_listed_without_content_page_by_page(client: las.Client) -> None:
    created = [client.create_asset(CONTENT, name=f"Form {number}")["assetId"] for number in range(5)]

    found = [asset for page in pages(client.list_assets, "assets", 2) for asset in page]

    assert [asset["assetId"] for asset in found if asset["assetId"] in created] == created
    assert all("content" not in asset for asset in found)
    for asset_id in created:
        client.delete_asset(asset_id)
    assert not {asset["assetId"] for asset in listed(client.list_assets, "assets")} & set(created)


def test_an_unknown_asset_is_not_found(client: las.Client) -> None:
    with pytest.raises(NotFound, match=UNKNOWN_ASSET):
        client.update_asset(UNKNOWN_ASSET, name="x")
    with pytest.raises(BadRequest, match="content"):
        client.create_asset(b"", name="nothing")


def test_a_secret_is_created_changed_and_deleted_and_never_shown(client: las.Client) -> None:
    before = client.get_organization("me")["numberOfSecretsCreated"]
    created = client.create_secret({"username": "ada", "password": "lovelace"}, name="Registry")
    secret_id = created["secretId"]

    assert (created["name"], created["description"]) == ("Registry", None)
    assert client.get_organization("me")["numberOfSecretsCreated"] == before + 1
    changed = client.update_secret(secret_id, data={"password": "byron"}, description="changed")
    cleared = client.update_secret(secret_id, name=None, description=None)
    assert changed["description"] == "changed"
    assert (cleared["name"], cleared["description"]) == (None, None)

    seen = [secret for page in pages(client.list_secrets, "secrets", 2) for secret in page]
    assert secret_id in {secret["secretId"] for secret in seen}
    deleted = client.delete_secret(secret_id)
    for answer in (created, changed, cleared, deleted, *seen):
        assert "data" not in answer
        assert not {"lovelace", "byron"} & {str(value) for value in answer.values()}
    with pytest.raises(NotFound, match=secret_id):
        client.delete_secret(secret_id)
    with pytest.raises(NotFound, match=UNKNOWN_SECRET):
        client.update_secret(UNKNOWN_SECRET, name="x")
    assert client.get_organization("me")["numberOfSecretsCreated"] == before

"""Assets, secrets and payment methods, what names them, and the exchange of keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import UNSET

from db.assets import (
    AssetRow,
    delete_asset,
    find_transition_with_asset,
    get_asset,
    insert_asset,
    keep_assets,
    update_asset,
)
from db.key_rotation import (
    list_secrets_to_reseal,
    list_webhooks_to_reseal,
    reseal_secrets,
    reseal_webhooks,
)
from db.payment_methods import (
    delete_payment_method,
    get_payment_method,
    insert_payment_method,
    keep_payment_method,
    pays_with,
)
from db.secrets import (
    SealedSecretRow,
    SecretRow,
    delete_secret,
    find_user_of_secret,
    insert_secret,
    keep_secrets,
    list_sealed_secrets,
)
from db.statements import Connection
from pagemill.ids import AssetId, PaymentMethodId, PrincipalId, SecretId
from tests.support.everything import insert

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASSET, SECRET, ADA = AssetId("las:asset:1"), SecretId("las:secret:1"), PrincipalId("ada")


async def test_an_asset_is_added_and_its_content_replaced(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    row = await insert_asset(
        connection,
        **own,
        asset_id=ASSET,
        name="Form",
        description=None,
        content_key="key",
        content_md5="md5",
        created_by=ADA,
    )
    assert row == AssetRow(ASSET, "Form", None, "key", "md5", now, ADA, None, None)
    named = {**own, "asset_id": ASSET}
    rest: dict[str, Any] = {"name": UNSET, "description": UNSET, "updated_by": ADA}
    row = await update_asset(connection, **named, content_key="new", content_md5="new md5", **rest)
    assert row == AssetRow(ASSET, "Form", None, "new", "new md5", now, ADA, now, ADA)
    assert await get_asset(connection, **named) == row
    assert (await delete_asset(connection, **named), await delete_asset(connection, **named)) == (1, 0)


async def test_an_asset_of_another_organization_cannot_be_updated(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    await insert(connection, "asset", **own, id=ASSET)
    rest: dict[str, Any] = {"description": None, "content_key": None, "content_md5": None, "updated_by": ADA}
    with pytest.raises(LookupError, match="update_asset found nothing"):
        await update_asset(connection, **foreign, asset_id=ASSET, name="theirs", **rest)


async def test_only_those_that_exist_are_kept(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    for table in ("asset", "secret"):
        for owner, name in ((own, "b"), (own, "a"), (foreign, "theirs")):
            await insert(connection, table, **owner, id=name)
    names = ["b", "theirs", "a", "unknown", "a"]
    assert await keep_assets(connection, **own, asset_ids=[AssetId(name) for name in names]) == ["a", "b"]
    assert await keep_secrets(connection, **own, secret_ids=[SecretId(name) for name in names]) == ["a", "b"]


@pytest.mark.parametrize(
    ("parameters", "is_found"),
    [
        ({"assets": {"form": ASSET}}, True),
        ({"assets": {"other": "las:asset:2", "form": ASSET}}, True),
        ({"assets": {ASSET: "las:asset:2"}}, False),
        ({"assets": {"form": f"{ASSET}2"}}, False),
        ({"asset": ASSET}, False),
        ({}, False),
    ],
)
async def test_a_transition_that_names_an_asset_is_found(
    connection: Connection, own: dict[str, Any], parameters: dict[str, Any], is_found: bool
) -> None:
    await insert(connection, "transition", **own, id="t", transition_type="docker", parameters=parameters)
    found = await find_transition_with_asset(connection, **own, asset_id=ASSET)
    assert found == ("t" if is_found else None)


@pytest.mark.parametrize(
    ("table", "column", "value", "is_found"),
    [
        ("transition", "parameters", {"secretId": SECRET}, True),
        ("transition", "parameters", {"environmentSecrets": ["las:secret:2", SECRET]}, True),
        ("transition", "parameters", {"environment": {"A": SECRET}}, False),
        ("workflow", "completed_config", {"secretId": SECRET}, True),
        ("workflow", "completed_config", {"environmentSecrets": [SECRET]}, True),
        ("workflow", "email_config", {"secretId": SECRET}, True),
        ("workflow", "email_config", {"environmentSecrets": [SECRET]}, True),
        ("workflow", "error_config", {"secretId": SECRET}, False),
    ],
)
async def test_a_transition_or_workflow_that_names_a_secret_is_found(
    connection: Connection,
    own: dict[str, Any],
    foreign: dict[str, Any],
    table: str,
    column: str,
    value: dict[str, Any],
    is_found: bool,
) -> None:
    kind = {"transition_type": "docker"} if table == "transition" else {}
    await insert(connection, table, **own, id="user", **kind, **{column: value})
    found = await find_user_of_secret(connection, **own, secret_id=SECRET)
    assert found == ("user" if is_found else None)
    assert await find_user_of_secret(connection, **foreign, secret_id=SECRET) is None


async def test_of_several_that_name_a_secret_the_oldest_is_found(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    for table, name, age in (("transition", "a", 1), ("workflow", "z", 2)):
        kind = {"transition_type": "docker"} if table == "transition" else {}
        column = "parameters" if table == "transition" else "email_config"
        values = {column: {"secretId": SECRET}, "created_time": now - timedelta(days=age)}
        await insert(connection, table, **own, id=name, **kind, **values)
    assert await find_user_of_secret(connection, **own, secret_id=SECRET) == "z"


async def test_of_several_that_name_an_asset_the_oldest_is_found(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    parameters = {"assets": {"form": ASSET}}
    for name, age in (("a", 1), ("z", 2), ("y", 2)):
        values = {"parameters": parameters, "created_time": now - timedelta(days=age)}
        await insert(connection, "transition", **own, id=name, transition_type="docker", **values)
    assert await find_transition_with_asset(connection, **own, asset_id=ASSET) == "y"


async def test_a_secret_is_returned_without_its_data(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    row = await insert_secret(
        connection,
        **own,
        secret_id=SECRET,
        name="Registry",
        description=None,
        key_id="k1",
        nonce=b"nonce",
        ciphertext=b"sealed",
        created_by=None,
    )
    assert row == SecretRow(SECRET, "Registry", None, now, None, None, None)
    wanted = [SecretId("las:secret:unknown"), SECRET]
    sealed = await list_sealed_secrets(connection, **own, secret_ids=wanted)
    assert sealed == [SealedSecretRow(SECRET, "k1", b"nonce", b"sealed")]
    named = {**own, "secret_id": SECRET}
    assert (await delete_secret(connection, **named), await delete_secret(connection, **named)) == (1, 0)


@pytest.mark.parametrize(
    ("table", "list_to_reseal"),
    [("secret", list_secrets_to_reseal), ("webhook", list_webhooks_to_reseal)],
)
async def test_rows_with_other_keys_are_listed_by_id_over_all_organizations(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any], table: str, list_to_reseal: Any
) -> None:
    for owner, name, key_id in ((own, "c", "old"), (foreign, "a", "older"), (own, "b", "new")):
        await insert(connection, table, **owner, id=name, key_id=key_id, nonce=b"n", ciphertext=b"sealed")
    rows = await list_to_reseal(connection, key_id="new", after_id="", limit=10)
    assert [(row.id, row.organization_id, row.key_id) for row in rows] == [
        ("a", foreign["organization_id"], "older"),
        ("c", own["organization_id"], "old"),
    ]
    assert (rows[0].nonce, rows[0].ciphertext) == (b"n", b"sealed")
    assert await list_to_reseal(connection, key_id="new", after_id="a", limit=10) == rows[1:]
    assert await list_to_reseal(connection, key_id="new", after_id="", limit=1) == rows[:1]


@pytest.mark.parametrize(("table", "reseal"), [("secret", reseal_secrets), ("webhook", reseal_webhooks)])
async def test_a_row_that_was_changed_meanwhile_keeps_its_data(
    connection: Connection, own: dict[str, Any], table: str, reseal: Any
) -> None:
    for name in ("changed", "unchanged", "not rotated"):
        await insert(
            connection, table, **own, id=name, key_id="old", nonce=name.encode(), ciphertext=b"sealed"
        )
    count = await reseal(
        connection,
        key_id="new",
        ids=["unchanged", "changed", "deleted"],
        former_nonces=[b"unchanged", b"before its change", b"deleted"],
        nonces=[b"1", b"2", b"3"],
        ciphertexts=[b"new 1", b"new 2", b"new 3"],
    )
    assert count == 1
    rows = await connection.fetch(f"SELECT id, key_id, nonce, ciphertext FROM {table} ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("changed", "old", b"changed", b"sealed"),
        ("not rotated", "old", b"not rotated", b"sealed"),
        ("unchanged", "new", b"1", b"new 1"),
    ]


async def test_a_payment_method_is_in_use_while_its_organization_pays_with_it(
    connection: Connection, own: dict[str, Any], foreign: dict[str, Any]
) -> None:
    named = {**own, "payment_method_id": PaymentMethodId("las:payment-method:1")}
    row = await insert_payment_method(
        connection,
        **named,
        name=None,
        description=None,
        setup_intent_secret_hash="hash",
        stripe_setup_intent_id=None,
        created_by=ADA,
    )
    assert (row.details, row.setup_intent_secret_hash, row.created_by) == (None, "hash", ADA)
    assert await get_payment_method(connection, **named) == row
    assert await pays_with(connection, **named) is None
    for owner in (own, foreign):
        await connection.execute(
            "UPDATE organization SET payment_method_id = $2 WHERE id = $1",
            owner["organization_id"],
            named["payment_method_id"],
        )
    assert await pays_with(connection, **named) is True
    others = {**foreign, "payment_method_id": named["payment_method_id"]}
    assert await keep_payment_method(connection, **others) is None
    assert await keep_payment_method(connection, **named) is True
    await delete_payment_method(connection, **others)
    assert await get_payment_method(connection, **named) == row
    await delete_payment_method(connection, **named)
    assert await get_payment_method(connection, **named) is None

"""The key is exchanged while secrets are in use: each stays readable, none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result
from msgspec import UNSET

from db import key_rotation
from db.key_rotation import SealedRow
from db.secrets import insert_secret, update_secret
from db.signing_keys import list_signing_keys
from db.statements import Connection
from pagemill.cli import main
from pagemill.housekeeping import secret_rotation
from pagemill.housekeeping.secret_rotation import KeyRotation, rotate_secrets
from pagemill.housekeeping.signing_keys import open_private_key, rotate_signing_key
from pagemill.ids import OrganizationId, SecretId, new_id
from pagemill.secret_box import Sealed, SecretBox, new_secret_key, read_secret_keys
from pagemill.stack.directory import DataDirectory
from tests.support.hooks import add_webhook
from tests.support.tenants import Tenant

OLD, NEW = new_secret_key("old"), new_secret_key("new")
BEFORE, BOTH, AFTER = (read_secret_keys(text) for text in (OLD, f"{NEW},{OLD}", NEW))


async def add(pool: asyncpg.Pool, owner: OrganizationId, box: SecretBox, data: dict[str, Any]) -> SecretId:
    secret_id = new_id(SecretId)
    sealed = box.seal(owner, secret_id, data)
    async with pool.acquire() as connection:
        await insert_secret(
            connection,
            organization_id=owner,
            secret_id=secret_id,
            name="name",
            description=None,
            key_id=sealed.key_id,
            nonce=sealed.nonce,
            ciphertext=sealed.ciphertext,
            created_by=None,
        )
    return secret_id


async def change(
    pool: asyncpg.Pool, owner: OrganizationId, secret_id: SecretId, box: SecretBox, data: dict[str, Any]
) -> None:
    sealed = box.seal(owner, secret_id, data)
    async with pool.acquire() as connection:
        await update_secret(
            connection,
            organization_id=owner,
            secret_id=secret_id,
            name=UNSET,
            description=UNSET,
            key_id=sealed.key_id,
            nonce=sealed.nonce,
            ciphertext=sealed.ciphertext,
            updated_by=None,
        )


async def contents(pool: asyncpg.Pool, box: SecretBox) -> dict[str, dict[str, Any]]:
    return {
        row["id"]: box.open(
            row["organization_id"], row["id"], Sealed(row["key_id"], row["nonce"], row["ciphertext"])
        )
        for row in await pool.fetch("SELECT * FROM secret")
    }


async def rotate(pool: asyncpg.Pool, box: SecretBox = BOTH) -> KeyRotation:
    async with pool.acquire() as connection:
        return await rotate_secrets(connection, box)


async def test_secrets_of_all_organizations_get_the_new_key(
    pool: asyncpg.Pool,
    organization: Tenant,
    other_organization: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secret_rotation, "BATCH", 3)
    owners = (organization.organization_id, other_organization.organization_id)
    for number in range(10):
        await add(pool, owners[number % 2], BEFORE, {"number": number})
    await add(pool, owners[0], AFTER, {"number": 10})
    written = await contents(pool, BOTH)
    times = await pool.fetch("SELECT id, created_time, updated_time, name FROM secret ORDER BY id")
    assert await rotate(pool) == KeyRotation(10, [])
    assert await contents(pool, AFTER) == written
    assert await rotate(pool) == KeyRotation(0, [])
    assert await pool.fetch("SELECT id, created_time, updated_time, name FROM secret ORDER BY id") == times


async def test_secrets_of_webhooks_get_the_new_key_too(pool: asyncpg.Pool, organization: Tenant) -> None:
    await add(pool, organization.organization_id, BEFORE, {"number": 1})
    webhook = await add_webhook(pool, organization.organization_id, BEFORE, "https://example.com")
    assert await rotate(pool) == KeyRotation(2, [])
    row = await pool.fetchrow("SELECT * FROM webhook")
    opened = AFTER.open(
        organization.organization_id, webhook.id, Sealed(row["key_id"], row["nonce"], row["ciphertext"])
    )
    assert opened == {"secret": webhook.secret}


async def test_the_keys_that_sign_tokens_get_the_new_key_too(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        kid = await rotate_signing_key(connection, BEFORE, None, token_lifetime=3600)
        assert await rotate(pool) == KeyRotation(1, [])
        [row] = await list_signing_keys(connection)
    assert row.kid == kid
    opened = open_private_key(row, AFTER)
    assert opened is not None
    assert opened.as_dict(private=False) == row.public_key
    assert open_private_key(row, BEFORE) is None


async def test_a_secret_that_is_changed_or_deleted_meanwhile_is_not_overwritten(
    pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = organization.organization_id
    by_new, by_old, gone, still = [await add(pool, owner, BEFORE, {"is": "former"}) for _ in range(4)]
    original = key_rotation.list_secrets_to_reseal
    meanwhile = iter((True,))

    async def then_changed(connection: Connection, **arguments: Any) -> list[SealedRow]:
        rows = await original(connection, **arguments)
        if next(meanwhile, False):
            await change(pool, owner, by_new, BOTH, {"is": "changed"})
            await change(pool, owner, by_old, BEFORE, {"is": "changed too"})
            await pool.execute("DELETE FROM secret WHERE id = $1", gone)
        return rows

    monkeypatch.setattr(key_rotation, "list_secrets_to_reseal", then_changed)
    assert await rotate(pool) == KeyRotation(2, [])
    assert await contents(pool, AFTER) == {
        by_new: {"is": "changed"},
        by_old: {"is": "changed too"},
        still: {"is": "former"},
    }


async def test_several_at_once(
    pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_rotation, "BATCH", 5)
    owner = organization.organization_id
    ids = [await add(pool, owner, BEFORE, {"version": 0}) for _ in range(30)]
    results = await asyncio.gather(
        *(rotate(pool) for _ in range(3)),
        *(change(pool, owner, one, BOTH, {"version": 1}) for one in ids[::3]),
    )
    assert sum(result.rotated for result in results if result) <= 30
    assert await contents(pool, AFTER) == {
        one: {"version": int(number % 3 == 0)} for number, one in enumerate(ids)
    }


async def test_an_unreadable_secret_stays_and_is_reported(pool: asyncpg.Pool, organization: Tenant) -> None:
    owner = organization.organization_id
    lost = await add(pool, owner, read_secret_keys(new_secret_key("lost")), {})
    moved = await add(pool, owner, BEFORE, {})
    original, moved = moved, new_id(SecretId)
    await pool.execute("UPDATE secret SET id = $2 WHERE id = $1", original, moved)
    fine = await add(pool, owner, BEFORE, {"is": "fine"})
    result = await rotate(pool)
    assert (result.rotated, len(result.unreadable)) == (1, 2)
    assert any(lost in reason and "lost is not in" in reason for reason in result.unreadable)
    assert any(moved in reason for reason in result.unreadable)
    keys = {row["id"]: row["key_id"] for row in await pool.fetch("SELECT id, key_id FROM secret")}
    assert keys == {lost: "lost", moved: "old", fine: "new"}


async def run(*command: str, **environment: str) -> Result:
    names = {"PAGEMILL_DATABASE_URL": "", "PAGEMILL_SECRET_KEYS": ""} | environment
    return await asyncio.to_thread(CliRunner().invoke, main, ["secrets", *command], env=names)


async def test_the_command(
    pool: asyncpg.Pool, organization: Tenant, database_url: str, tmp_path: Path
) -> None:
    owner = organization.organization_id
    await add(pool, owner, BEFORE, {"is": "kept"})
    command = ("rotate", "--data-dir", str(tmp_path))
    environment = {"PAGEMILL_DATABASE_URL": database_url, "PAGEMILL_SECRET_KEYS": f"{NEW},{OLD}"}
    done = await run(*command, **environment)
    assert (done.exit_code, done.output) == (0, "1 secrets were encrypted with the key new\n")
    lost = await add(pool, owner, read_secret_keys(new_secret_key("lost")), {})
    failed = await run(*command, **environment)
    assert (failed.exit_code, lost in failed.stderr) == (1, True)
    assert failed.stdout == "0 secrets were encrypted with the key new\n"
    for entry in (OLD, NEW):
        assert entry.partition(":")[2] not in done.output + failed.output


async def test_the_command_uses_the_keys_of_the_data_directory(
    pool: asyncpg.Pool, organization: Tenant, database_url: str, tmp_path: Path
) -> None:
    await add(pool, organization.organization_id, BEFORE, {"is": "kept"})
    (tmp_path / "secret-keys").write_text(f"{NEW},\n{OLD}\n")
    done = await run("rotate", "--data-dir", str(tmp_path), PAGEMILL_DATABASE_URL=database_url)
    assert done.exit_code == 0, done.output
    assert list((await contents(pool, AFTER)).values()) == [{"is": "kept"}]


async def test_the_command_makes_no_keys(database_url: str, tmp_path: Path) -> None:
    refused = await run("rotate", "--data-dir", str(tmp_path), PAGEMILL_DATABASE_URL=database_url)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("pagemill: there are no keys: set PAGEMILL_SECRET_KEYS")
    assert DataDirectory(tmp_path).kept_secret_keys() is None


async def test_new_keys_can_be_used(tmp_path: Path) -> None:
    named, dated = (await run("new-key", "backup-2")).stdout, (await run("new-key")).stdout
    assert named.startswith("backup-2:")
    box = read_secret_keys(f"{dated.strip()},{named}")
    assert box.open("a", "b", box.seal("a", "b", {"c": 1})) == {"c": 1}
    refused = await run("new-key", "with space")
    assert (refused.exit_code, "key id" in refused.stderr) == (1, True)


async def test_the_help_lists_the_steps() -> None:
    taught = (await run("--help")).output
    assert taught.index("new-key") < taught.index("pagemill secrets rotate")

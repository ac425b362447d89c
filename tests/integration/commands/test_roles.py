"""Commands ``pagemill roles`` and ``pagemill audit``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from pagemill.api.auth.seeded_roles import ADMIN, ROLES
from pagemill.cli import main
from pagemill.stack.bootstrap import seed_roles
from tests.support.people import add_app_client, add_user
from tests.support.tenants import Tenant

ROLE = "las:role:reviewer"
YAML = """
roles:
  - roleId: las:role:reviewer
    name: Reviewer
    permissions:
      - {resourceId: "las:document:*", action: read, effect: allow}
      - {resourceId: "las:transition-execution:*", action: "*", effect: allow}
"""
PERMISSIONS = [
    {"resourceId": "las:document:*", "action": "read", "effect": "allow"},
    {"resourceId": "las:transition-execution:*", "action": "*", "effect": "allow"},
]


async def run(database_url: str, *command: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke, main, command, env={"PAGEMILL_DATABASE_URL": database_url, "COLUMNS": "200"}
    )


async def define(database_url: str, directory: Path, text: str | bytes, *options: str) -> Result:
    file = directory / "roles.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return await run(database_url, "roles", "define", str(file), *options)


async def permissions_of(pool: asyncpg.Pool, role_id: str = ROLE) -> object:
    return await pool.fetchval("SELECT permissions FROM role WHERE id = $1", role_id)


async def test_define_show_change_and_remove(pool: asyncpg.Pool, database_url: str, tmp_path: Path) -> None:
    dry = await define(database_url, tmp_path, YAML, "--dry-run")
    assert (dry.exit_code, dry.output) == (0, f"{ROLE}  new (dry run)\n")
    assert await permissions_of(pool) is None
    assert (await define(database_url, tmp_path, YAML)).output == f"{ROLE}  new\n"
    assert await permissions_of(pool) == PERMISSIONS
    assert (await define(database_url, tmp_path, YAML)).output == f"{ROLE}  unchanged\n"
    shown = (await run(database_url, "roles", "show", ROLE)).output
    assert (await define(database_url, tmp_path, shown)).output == f"{ROLE}  unchanged\n"
    as_json = json.dumps({"roles": [{"roleId": ROLE, "name": "Other", "permissions": PERMISSIONS[:1]}]})
    assert (await define(database_url, tmp_path, as_json)).output == f"{ROLE}  changed\n"
    assert await permissions_of(pool) == PERMISSIONS[:1]
    removed = await run(database_url, "roles", "remove", ROLE)
    assert (removed.exit_code, removed.output) == (0, f"{ROLE} removed\n")
    assert await permissions_of(pool) is None
    gone = await run(database_url, "roles", "remove", ROLE)
    assert (gone.exit_code, gone.output) == (1, f"pagemill: there is no role {ROLE}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roles: [", "while parsing"),
        (b"\xff\xfe\xff", "unacceptable character"),
        ("", "Expected `object`"),
        ("roles: []", "length >= 1"),
        (YAML.replace("read", "fly"), "'fly'"),
        (YAML.replace("reviewer", "a/b"), "roleId"),
        (YAML.replace("las:document", "document"), "resourceId"),
        (YAML.replace("name: Reviewer", "title: x"), "title"),
        (YAML + YAML.replace("roles:", "").strip("\n"), "defined twice"),
        (YAML.replace("las:role:reviewer", ADMIN), "cannot be changed"),
        ("x" * 1_000_001, "larger"),
    ],
)
async def test_bad_files_are_refused_as_a_whole(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path, text: str | bytes, said: str
) -> None:
    result = await define(database_url, tmp_path, text)
    assert (result.exit_code, result.output.count("\n")) == (1, 1), result.output
    assert result.output.startswith("pagemill: ")
    assert said in result.output
    assert await pool.fetchval("SELECT count(*) FROM role WHERE id = $1", ROLE) == 0


async def test_a_role_that_somebody_has_stays(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path, organization: Tenant
) -> None:
    await define(database_url, tmp_path, YAML)
    async with pool.acquire() as connection:
        await add_app_client(connection, organization.organization_id, role_ids=[ROLE])  # type: ignore[list-item]
        await add_user(connection, organization.organization_id, role_ids=[ROLE])  # type: ignore[list-item]
    listed = json.loads((await run(database_url, "roles", "list", "--json")).output)
    assert {role["id"]: role["holders"] for role in listed}[ROLE] == 2
    assert "Reviewer" in (await run(database_url, "roles", "list")).output
    result = await run(database_url, "roles", "remove", ROLE)
    assert (result.exit_code, "of 2 users or app clients" in result.output) == (1, True)
    assert await permissions_of(pool) == PERMISSIONS


async def test_seeded_roles_cannot_be_removed(pool: asyncpg.Pool, database_url: str) -> None:
    async with pool.acquire() as connection:
        await seed_roles(connection)
    for role_id in ROLES:
        assert (await run(database_url, "roles", "remove", role_id)).exit_code == 1
    assert await pool.fetchval("SELECT count(*) FROM role") == len(ROLES)


async def test_what_the_operator_does_is_recorded(
    pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    await define(database_url, tmp_path, YAML)
    await define(database_url, tmp_path, YAML)
    await run(database_url, "roles", "remove", ROLE)
    shown = json.loads((await run(database_url, "audit", "--json")).output)
    assert [(event["action"], event["principal_id"], event["resource_id"]) for event in shown] == [
        ("removeRole", "operator", ROLE),
        ("defineRole", "operator", ROLE),
    ]
    assert shown[1]["details"] == {"permissions": PERMISSIONS}
    lines = (await run(database_url, "audit", "--action", "defineRole")).output.splitlines()
    assert len(lines) == 1
    assert f"operator  defineRole  {ROLE}  succeeded" in lines[0]
    assert (await run(database_url, "audit", "--organization", "las:organization:none")).output == ""
    assert (await run(database_url, "audit", "--until", "2020-01-01")).output == ""
    assert (
        len((await run(database_url, "audit", "--since", "2020-01-01", "--limit", "1")).output.splitlines())
        == 1
    )

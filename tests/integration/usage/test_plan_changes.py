"""Plans that operators define, and the commands for them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from db.plans import list_all_plans
from pagemill.cli import main
from pagemill.errors import LimitExceeded
from pagemill.usage.counting import count
from pagemill.usage.plan_changes import apply_plans
from pagemill.usage.plan_file import PlanFileError, parse_plans
from tests.support.tenants import Tenant

PLAN = """
[[plans]]
planId = "las:plan:pro"
version = 1
name = "Pro"
allowed = { datasets = 1 }
license = { price = 99 }
pagePredictions = { included = 10, price = 0.5 }
"""


async def use_plan(pool: asyncpg.Pool, organization: Tenant, plan_id: str) -> None:
    await pool.execute(
        "UPDATE organization SET plan_id = $2 WHERE id = $1", organization.organization_id, plan_id
    )


async def test_a_plan_is_new_once(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for expected in ("new", "unchanged"):
            changes = await apply_plans(connection, parse_plans(PLAN), amend=False, dry_run=False)
            assert changes == {"las:plan:pro:1": expected}


async def test_a_dry_run_changes_nothing(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        changes = await apply_plans(connection, parse_plans(PLAN), amend=False, dry_run=True)
        assert changes == {"las:plan:pro:1": "new"}
        assert [plan.id for plan in await list_all_plans(connection)] == []


async def test_a_version_is_not_changed_by_accident(pool: asyncpg.Pool) -> None:
    changed = PLAN.replace("0.5", "0.6").replace('"Pro"', '"Prof"')
    both = changed + PLAN.replace("version = 1", "version = 2")
    async with pool.acquire() as connection:
        await apply_plans(connection, parse_plans(PLAN), amend=False, dry_run=False)
        with pytest.raises(PlanFileError, match="differs in definition, name"):
            await apply_plans(connection, parse_plans(both), amend=False, dry_run=False)
        assert len(await list_all_plans(connection)) == 1
        changes = await apply_plans(connection, parse_plans(both), amend=True, dry_run=False)
        assert changes == {"las:plan:pro:1": "amended", "las:plan:pro:2": "new"}


async def test_the_owner_of_a_version_never_changes(pool: asyncpg.Pool) -> None:
    owned = PLAN.replace("version = 1", 'version = 1\norganizationId = "las:organization:x"')
    async with pool.acquire() as connection:
        await apply_plans(connection, parse_plans(PLAN), amend=False, dry_run=False)
        with pytest.raises(PlanFileError, match="organization_id"):
            await apply_plans(connection, parse_plans(owned), amend=True, dry_run=False)


async def test_an_amended_limit_holds_at_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        await apply_plans(connection, parse_plans(PLAN), amend=False, dry_run=False)
        await use_plan(pool, organization, "las:plan:pro:1")
        await count(connection, organization.organization_id, "datasets")
        with pytest.raises(LimitExceeded):
            await count(connection, organization.organization_id, "datasets")
        more = parse_plans(PLAN.replace("datasets = 1", "datasets = 2"))
        await apply_plans(connection, more, amend=True, dry_run=False)
        await count(connection, organization.organization_id, "datasets")


async def run(database_url: str, *arguments: str) -> Result:
    """The command line, which has an event loop of its own."""
    return await asyncio.to_thread(
        CliRunner().invoke, main, list(arguments), env={"PAGEMILL_DATABASE_URL": database_url}
    )


async def test_the_commands(
    pool: asyncpg.Pool, organization: Tenant, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(PLAN)
    applied = await run(database_url, "plans", "apply", str(file))
    assert applied.output == "las:plan:pro:1  new\n"
    await use_plan(pool, organization, "las:plan:pro:1")
    assert "las:plan:pro:1" in (await run(database_url, "plans", "list")).output
    shown = await run(database_url, "plans", "statement", organization.organization_id)
    assert "99.00" in shown.output
    as_json = await run(database_url, "plans", "statement", organization.organization_id, "--json")
    assert json.loads(as_json.output)["total"] == "99.00"


async def test_a_wrong_file_is_one_line(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(PLAN.replace("datasets", "dataset"))
    result = await run(database_url, "plans", "apply", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("pagemill: las:plan:pro:1: allowed: dataset: known are")
    assert result.stderr.count("\n") == 1

"""Command ``pagemill deployment-environments``."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from click.testing import CliRunner, Result

from db.deployment_environments import list_all_deployment_environments
from pagemill.cli import main
from tests.support.seeds import seed_model, seed_training
from tests.support.tenants import Tenant

EU = "las:deployment-environment:eu"


async def run(database_url: str, *command: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["deployment-environments", *command],
        env={"PAGEMILL_DATABASE_URL": database_url, "COLUMNS": "200"},
    )


async def stored(pool: asyncpg.Pool) -> dict[str, tuple[object, ...]]:
    async with pool.acquire() as connection:
        rows = await list_all_deployment_environments(connection)
    names = ("organization_id", "name", "description", "model_deployment_units", "status")
    return {row.id: tuple(getattr(row, name) for name in names) for row in rows}


async def test_options_that_are_not_given_keep_their_value(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    done = await run(database_url, "define", EU, "--name", "Europe")
    assert (done.exit_code, done.output) == (0, f"{EU}  1 units, available\n")
    owner = organization.organization_id
    await run(database_url, "define", f"{EU}:2", "--owner", owner, "--description", "Second", "--units", "0")
    assert await stored(pool) == {
        EU: (None, "Europe", None, 1, "available"),
        f"{EU}:2": (owner, None, "Second", 0, "available"),
    }
    await run(database_url, "define", EU, "--units", "4", "--status", "unavailable")
    assert (await stored(pool))[EU] == (None, "Europe", None, 4, "unavailable")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("eu",), "an id is las:deployment-environment:NAME"),
        ((f"{EU}:@latest",), "an id is"),
        ((f"{EU}:01",), "an id is"),
        ((EU, "--owner", "las:organization:unknown"), "does not exist"),
    ],
)
async def test_bad_arguments_are_refused(
    pool: asyncpg.Pool, database_url: str, arguments: tuple[str, ...], said: str
) -> None:
    refused = await run(database_url, "define", *arguments)
    assert refused.exit_code == 1
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert await stored(pool) == {}


async def test_the_owner_cannot_be_changed(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    await run(database_url, "define", EU)
    refused = await run(database_url, "define", EU, "--owner", organization.organization_id, "--units", "9")
    assert (refused.exit_code, "another owner" in refused.stderr) == (1, True)
    assert (await stored(pool))[EU] == (None, None, None, 1, "available")


async def test_the_list_shows_the_number_of_trainings(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    await run(database_url, "define", EU, "--name", "Europe")
    model_id = await seed_model(pool, organization.organization_id)
    for _ in range(3):
        training_id = await seed_training(pool, organization.organization_id, model_id)
        await pool.execute(
            "UPDATE training SET deployment_environment_id = $1 WHERE id = $2", EU, training_id
        )
    shown = (await run(database_url, "list")).output
    assert [line.split() for line in shown.splitlines()][1:] == [[EU, "Europe", "1", "available", "3"]]

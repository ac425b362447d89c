"""Command ``pagemill trainings``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result

from pagemill.cli import main
from pagemill.jobs import outcomes
from pagemill.secret_box import new_secret_key, read_secret_keys
from pagemill.work.trainings import TRAINING
from tests.support.hooks import add_webhook
from tests.support.seeds import claim_job, jobs_of, seed_model, seed_training
from tests.support.tenants import Tenant
from tests.support.working import until

UNKNOWN = "las:model-training:unknown"


async def run(database_url: str, *command: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["trainings", *command],
        env={"PAGEMILL_DATABASE_URL": database_url, "COLUMNS": "240"},
    )


async def seed(pool: asyncpg.Pool, organization: Tenant, status: str) -> str:
    model_id = await seed_model(pool, organization.organization_id)
    return await seed_training(pool, organization.organization_id, model_id, status=status)


async def status_of(pool: asyncpg.Pool, training_id: str) -> str:
    return str(await pool.fetchval("SELECT status FROM training WHERE id = $1", training_id))


async def events(pool: asyncpg.Pool) -> list[str]:
    rows = await pool.fetch("SELECT event_type FROM webhook_delivery ORDER BY created_time, id")
    return [row["event_type"] for row in rows]


async def test_an_approved_training_is_queued_once(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    box = read_secret_keys(new_secret_key("test"))
    await add_webhook(pool, organization.organization_id, box, "https://example.com/hook")
    training_id = await seed(pool, organization, "waiting-for-approval")
    approved = await run(database_url, "approve", training_id)
    assert (approved.exit_code, await status_of(pool, training_id)) == (0, "pending")
    assert [(job["kind"], job["state"]) for job in await jobs_of(pool, training_id)] == [
        ("training", "queued")
    ]
    again = await run(database_url, "approve", training_id)
    assert (again.exit_code, "pending: it does not wait for an approval" in again.stderr) == (1, True)
    assert len(await jobs_of(pool, training_id)) == 1
    assert await events(pool) == ["training.pending"]


async def test_a_training_that_nobody_approved_is_cancelled_without_a_job(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    training_id = await seed(pool, organization, "waiting-for-approval")
    assert (await run(database_url, "cancel", training_id)).exit_code == 0
    assert (await status_of(pool, training_id), await jobs_of(pool, training_id)) == ("cancelled", [])
    refused = await run(database_url, "approve", training_id)
    assert (refused.exit_code, await status_of(pool, training_id)) == (1, "cancelled")


async def test_a_queued_training_is_cancelled_with_its_job(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    training_id = await seed(pool, organization, "waiting-for-approval")
    await run(database_url, "approve", training_id)
    assert (await run(database_url, "cancel", training_id)).exit_code == 0
    assert await status_of(pool, training_id) == "cancelled"
    assert [job["state"] for job in await jobs_of(pool, training_id)] == ["cancelled"]
    ended = await run(database_url, "cancel", training_id)
    assert (ended.exit_code, "has ended" in ended.stderr) == (1, True)


async def test_why_a_training_has_failed_is_shown_after_its_job_is_gone(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    training_id = await seed(pool, organization, "waiting-for-approval")
    await run(database_url, "approve", training_id)
    job = await claim_job(pool, TRAINING)
    async with pool.acquire() as connection:
        await outcomes.fail(connection, TRAINING, job, ValueError("the weights"))
    await pool.execute("DELETE FROM job")
    shown = json.loads((await run(database_url, "show", training_id, "--json")).output)
    assert (shown["status"], shown["error"]) == ("failed", outcomes.UNEXPECTED)


async def test_the_list_is_of_all_organizations_or_of_one(
    pool: asyncpg.Pool, database_url: str, organization: Tenant, other_organization: Tenant
) -> None:
    first = await seed(pool, organization, "waiting-for-approval")
    second = await seed(pool, other_organization, "running")
    listed = await run(database_url, "list")
    assert all(one in listed.output for one in (first, second))
    of_one = await run(
        database_url, "list", "--organization", organization.organization_id, "--json", "--limit", "5"
    )
    assert [one["id"] for one in json.loads(of_one.output)] == [first]
    running = await run(database_url, "list", "--status", "running", "--json")
    assert [one["id"] for one in json.loads(running.output)] == [second]


async def test_a_training_is_followed_until_it_has_ended(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    training_id = await seed(pool, organization, "running")
    progress = {"step": 5, "steps": 20, "loss": 0.25, "f1": 0.5, "secondsLeft": 9.0}
    await pool.execute("UPDATE training SET progress = $1", progress)
    assert "5 of 20 steps, loss 0.250, F1 0.500, 9 s left" in (await run(database_url, "list")).output
    following = asyncio.create_task(run(database_url, "follow", training_id))

    async def is_followed() -> bool:
        return bool(
            await pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%FROM training WHERE id = $1%'"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        )

    await until(is_followed)
    assert not following.done()
    await pool.execute("UPDATE training SET status = 'succeeded', evaluation = $1", {"accuracy": 0.75})
    ended = await following
    assert (ended.exit_code, ended.stdout) == (0, "succeeded  accuracy 0.750\n")
    await pool.execute("UPDATE training SET status = 'failed', error = 'No labels'")
    failed = await run(database_url, "follow", training_id)
    assert (failed.exit_code, failed.stdout) == (1, "failed  No labels\n")


async def test_the_learning_curve_is_plotted(
    pool: asyncpg.Pool, database_url: str, organization: Tenant, tmp_path: Path
) -> None:
    training_id = await seed(pool, organization, "running")
    none_yet = await run(database_url, "plot", training_id, "--out", str(tmp_path / "none.svg"))
    assert (none_yet.exit_code, "no epoch of it has ended" in none_yet.stderr) == (1, True)
    await pool.execute("UPDATE training SET curve = $1", [[1.0, 10, 0.5, None], [2.0, 20, 0.25, 0.8]])
    for name, begin in (("curve.svg", b"<svg "), ("curve.png", b"\x89PNG")):
        plotted = await run(database_url, "plot", training_id, "--out", str(tmp_path / name))
        assert (plotted.exit_code, "2 epochs" in plotted.output) == (0, True)
        assert (tmp_path / name).read_bytes().startswith(begin)
    refused = await run(database_url, "plot", training_id, "--out", str(tmp_path / "curve.gif"))
    assert (refused.exit_code, ".svg or .png" in refused.stderr) == (1, True)


@pytest.mark.parametrize("command", ["show", "approve", "cancel", "follow", "plot"])
async def test_an_unknown_training_is_one_line(database_url: str, command: str) -> None:
    refused = await run(database_url, command, UNKNOWN)
    assert (refused.exit_code, refused.stderr) == (1, f"pagemill: there is no training {UNKNOWN}\n")

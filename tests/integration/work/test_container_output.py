"""Lines of a container are in its log once and in order, whoever writes them."""

from __future__ import annotations

import asyncpg
import pytest

from pagemill.containers.engine import OutputPiece
from pagemill.containers.output import LAST_LINES, MOST_LINES
from pagemill.ids import LogId, OrganizationId
from pagemill.jobs.job import JobCancelled
from pagemill.work.container_output import LINES_AT_ONCE, ContainerOutput
from pagemill.workflows.logs import open_log
from tests.support.tenants import Tenant


def piece(*lines: str) -> OutputPiece:
    return OutputPiece(1, "".join(f"{line}\n" for line in lines).encode())


@pytest.fixture
async def log_id(pool: asyncpg.Pool, organization: Tenant) -> LogId:
    async with pool.acquire() as connection:
        return await open_log(connection, organization.organization_id, "opened")


async def output_of(pool: asyncpg.Pool, organization: Tenant, log_id: LogId) -> ContainerOutput:
    output = ContainerOutput(pool, OrganizationId(organization.organization_id), log_id)
    await output.resume()
    return output


async def lines_of(pool: asyncpg.Pool, log_id: LogId) -> list[str]:
    rows = await pool.fetch("SELECT message FROM log_event WHERE log_id = $1 ORDER BY id", log_id)
    return [row["message"] for row in rows]


async def test_a_successor_goes_on_where_its_predecessor_was(
    pool: asyncpg.Pool, organization: Tenant, log_id: LogId
) -> None:
    first = await output_of(pool, organization, log_id)
    await first.take(piece("a", "b"))
    await first.write()
    await first.take(piece("lost with its process"))

    second = await output_of(pool, organization, log_id)
    await second.take(piece("a", "b", "c"))
    await second.take(OutputPiece(1, b"d"))
    await second.close()

    assert await lines_of(pool, log_id) == ["opened", "a", "b", "c", "d"]


async def test_of_two_that_follow_only_one_writes(
    pool: asyncpg.Pool, organization: Tenant, log_id: LogId
) -> None:
    first, second = [await output_of(pool, organization, log_id) for _ in range(2)]
    for one in (first, second):
        await one.take(piece("a"))
    await first.write()

    with pytest.raises(JobCancelled):
        await second.write()
    assert await lines_of(pool, log_id) == ["opened", "a"]


async def test_many_lines_are_written_before_the_end(
    pool: asyncpg.Pool, organization: Tenant, log_id: LogId
) -> None:
    output = await output_of(pool, organization, log_id)
    await output.take(piece("first"))
    assert output.waits
    assert await lines_of(pool, log_id) == ["opened"]

    await output.take(piece(*map(str, range(LINES_AT_ONCE))))
    assert not output.waits
    assert len(await lines_of(pool, log_id)) == LINES_AT_ONCE + 2


async def test_what_is_left_out_is_said_once(pool: asyncpg.Pool, organization: Tenant, log_id: LogId) -> None:
    everything = piece(*map(str, range(MOST_LINES + 500)))
    for _ in range(2):
        output = await output_of(pool, organization, log_id)
        await output.take(everything)
        await output.close()

    lines = await lines_of(pool, log_id)
    assert len(lines) == 1 + MOST_LINES + 1 + LAST_LINES
    assert lines[MOST_LINES + 1].startswith("... 450 lines are left out")
    assert lines[-1] == str(MOST_LINES + 499)


async def test_a_log_that_was_deleted_ends_the_following(
    pool: asyncpg.Pool, organization: Tenant, log_id: LogId
) -> None:
    output = await output_of(pool, organization, log_id)
    await output.take(piece("a"))
    await pool.execute("DELETE FROM log WHERE id = $1", log_id)

    with pytest.raises(JobCancelled):
        await output.write()


async def test_lines_of_another_organization_are_not_written(
    pool: asyncpg.Pool, other_organization: Tenant, log_id: LogId
) -> None:
    output = await output_of(pool, other_organization, log_id)
    await output.take(piece("a"))

    with pytest.raises(JobCancelled):
        await output.write()
    assert await lines_of(pool, log_id) == ["opened"]

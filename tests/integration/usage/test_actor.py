"""The usage counter actors on a Ray of their own: exact, combined, and harmless when killed."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from pagemill.errors import LimitExceeded, PagemillError, Unavailable
from pagemill.settings import Settings, to_environment
from pagemill.usage.reservations import JobEnded
from tests.support.processes import descendants
from tests.support.ray_cluster import NAMESPACE, local_ray
from tests.support.tenants import create_tenant
from tests.support.working import submit, until, used

SHARDS = 2
RELEASE, NEXT_RELEASE = "1", "2"


@pytest.fixture
async def settings(database_url: str) -> AsyncIterator[Settings]:
    """Settings of a Ray that runs during the test."""
    settings = Settings(
        database_url=database_url,
        objects_url="file:///unused",
        token_key="unused",
        ray_namespace=NAMESPACE,
        usage_counters=SHARDS,
    )
    with local_ray(to_environment(settings)):
        yield settings


async def verdict(client: Any, organization_id: str, job_id: str) -> str:
    try:
        await client.reserve(organization_id, job_id, {"pages": 1}, attempt=None)
    except PagemillError as error:
        return type(error).__name__
    return "granted"


async def a_new_release_counts_on(settings: Settings, client: Any, pool: asyncpg.Pool) -> None:
    """Replace the counters under load: each reservation is granted, and counted once."""
    from ray.util import list_named_actors

    from pagemill.usage.actor import counter_name, replace_counters

    async with pool.acquire() as connection:
        tenants = [(await create_tenant(connection)).organization_id for _ in range(4)]
    jobs = [(tenant, (await submit(pool, tenant))[0]) for tenant in tenants for _ in range(50)]
    turns = asyncio.Semaphore(4)

    async def reserve(job: tuple[str, str]) -> str:
        async with turns:
            return await verdict(client, *job)

    reservations = asyncio.gather(*(reserve(job) for job in jobs))
    await asyncio.to_thread(replace_counters, settings, NEXT_RELEASE)
    assert set(await reservations) == {"granted"}
    assert [await used(pool, tenant, "pages") for tenant in tenants] == [50] * len(tenants)
    assert sorted(list_named_actors()) == [counter_name(shard, NEXT_RELEASE) for shard in range(SHARDS)]

    replace_counters(settings, NEXT_RELEASE)
    assert sorted(list_named_actors()) == [counter_name(shard, NEXT_RELEASE) for shard in range(SHARDS)]


async def test_reservations_through_the_actors(settings: Settings, pool: asyncpg.Pool) -> None:
    import ray
    from ray.util import list_named_actors

    from pagemill.usage.actor import counter_name
    from pagemill.usage.client import UsageClient, start_counters

    client = UsageClient(settings)
    with pytest.raises(Unavailable):
        await client.reserve("las:organization:none", "job", {"pages": 1}, attempt=None)

    counters = start_counters(settings, RELEASE)
    again = start_counters(settings, RELEASE)
    assert [one._actor_id for one in counters] == [one._actor_id for one in again]

    assert sorted(list_named_actors()) == [counter_name(shard, RELEASE) for shard in range(SHARDS)]

    async with pool.acquire() as connection:
        tenants = [(await create_tenant(connection, allowed={"pages": 20})).organization_id for _ in range(4)]
    jobs = [(tenant, (await submit(pool, tenant))[0]) for tenant in tenants for _ in range(32)]
    verdicts = await asyncio.gather(*(verdict(client, *job) for job in jobs))
    by_tenant = Counter(
        tenant for (tenant, _), answer in zip(jobs, verdicts, strict=True) if answer == "granted"
    )
    assert by_tenant == dict.fromkeys(tenants, 20)
    assert set(verdicts) == {"granted", LimitExceeded.__name__}

    assert descendants(os.getpid(), lambda title: title.startswith("ray::UsageCounterActor"))

    granted = [job for job, answer in zip(jobs, verdicts, strict=True) if answer == "granted"]
    for counter in counters:
        ray.kill(counter, no_restart=False)

    async def all_granted() -> bool:
        return set(await asyncio.gather(*(verdict(client, *job) for job in granted))) == {"granted"}

    await until(all_granted, seconds=60.0)
    assert [await used(pool, tenant, "pages") for tenant in tenants] == [20] * 4

    async def names_are_free() -> bool:
        return not list_named_actors()

    for counter in counters:
        ray.kill(counter, no_restart=True)
    await until(names_are_free, seconds=60.0)
    start_counters(settings, RELEASE)
    assert await all_granted()
    assert [await used(pool, tenant, "pages") for tenant in tenants] == [20] * 4

    await a_new_release_counts_on(settings, client, pool)
    await pool.execute("UPDATE job SET state = 'failed'")
    with pytest.raises(JobEnded):
        await client.reserve(*granted[0], {"pages": 1}, attempt=None)
    await client.close()

"""A run: executions are begun, processes are killed meanwhile, and at the end everything is looked at."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from db.pool import create_pool
from pagemill.api.auth.seeded_roles import ADMIN
from pagemill.ids import PrincipalId
from pagemill.stack.bootstrap import seed_roles
from tests.chaos.flows.aftermath import WITNESSES, all_ended, problems
from tests.chaos.flows.definitions import create_flows
from tests.chaos.flows.people import Clients
from tests.chaos.flows.site import Site
from tests.chaos.flows.victims import Victim
from tests.support.front_door import token_of_person
from tests.support.people import add_user
from tests.support.tenants import create_tenant


async def kill_amid_executions(
    site: Site,
    victims: Sequence[Victim],
    *,
    executions: int,
    longest_pause: float,
    function_seconds: float,
    seconds: float,
    seed: int,
) -> list[str]:
    """Kill the victims, one after the other, while executions run; return what must not have happened.

    Before each kill a share of the executions is begun, and up to ``longest_pause`` seconds pass. All
    executions have to end within ``seconds`` after the last kill.
    """
    chance = random.Random(seed)
    pool = await create_pool(site.settings.database_url, size=2)
    try:
        await pool.execute(WITNESSES)
        async with pool.acquire() as connection:
            await seed_roles(connection)
            tenant = await create_tenant(connection)
            person = await add_user(connection, tenant.organization_id, role_ids=[ADMIN])
            async with _client(site) as http:
                token = await token_of_person(http, connection, person)
        validator = PrincipalId(person.user_id)
        async with _client(site, token) as api:
            flows, manual = await create_flows(
                api, str(site.calls), seconds=function_seconds, with_containers=site.engine is not None
            )
            clients = Clients(api, flows, manual)
            people = asyncio.create_task(clients.do_what_people_do())
            try:
                for place, victim in enumerate(victims):
                    share = (place * executions // len(victims), (place + 1) * executions // len(victims))
                    await clients.begin(range(*share))
                    await asyncio.sleep(chance.uniform(0.0, longest_pause))
                    await victim.strike(site, chance)
                await all_ended(pool, seconds=seconds)
            finally:
                people.cancel()
                await asyncio.wait({people})
            people_failed = None if people.cancelled() else people.exception()
            assert people_failed is None, people_failed
        outcomes = {one: clients.flow(number).outcome(number) for one, number in clients.begun.items()}
        assert len(outcomes) == executions
        return await problems(pool, site, outcomes, validator=validator)
    finally:
        pool.terminate()


@asynccontextmanager
async def _client(site: Site, token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    trusted = ssl.create_default_context(cafile=str(site.authority))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=site.url, verify=trusted, headers=headers) as api:
        yield api

"""The API in this process, with real Postgres behind it, and clients that call it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.app import create_app, open_state
from pagemill.secret_box import new_secret_key, open_secret_box
from pagemill.settings import Settings
from tests.support.contract import violations
from tests.support.people import add_principal
from tests.support.tenants import Tenant, create_tenant
from tests.support.tokens import token_of

MONTHLY = (
    "documents",
    "predictions",
    "data-bundles",
    "trainings",
    "transformations",
    "workflow-executions",
    "transition-executions",
)
TOTAL = ("app-clients", "assets", "datasets", "models", "secrets", "transitions", "users", "workflows")


@pytest.fixture
def settings(database_url: str, objects_directory: Path) -> Settings:
    """A synchronous prediction is waited for half a second only."""
    return Settings(
        database_url=database_url,
        objects_url=objects_directory.as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        public_url="https://localhost:8443",
        database_pool_size=4,
        prediction_wait=0.5,
        # Tests count statements; the limit has tests of its own.
        request_rate=0.0,
    )


@pytest.fixture(scope="session")
def routes() -> Litestar:
    """The application with all its routes, which take a tenth of a second to make; no state."""
    return create_app(
        Settings(
            database_url="postgresql://unused",
            objects_url="file:///unused",
            token_key="k" * 32,
            secret_keys=new_secret_key("unused"),
        )
    )


@pytest.fixture
async def app(routes: Litestar, settings: Settings) -> AsyncIterator[Litestar]:
    """The running application, with the test's settings and a state of its own."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with open_state(settings, open_secret_box(settings)) as routes.state.pagemill:
            started.set()
            await ended.wait()
        del routes.state.pagemill

    # The state has to be closed in the task that opened it; a fixture's two halves are two tasks.
    running = asyncio.create_task(run())
    await asyncio.wait([running, asyncio.create_task(started.wait())], return_when=asyncio.FIRST_COMPLETED)
    yield routes
    ended.set()
    await running


async def follows_the_contract(response: httpx.Response) -> None:
    """Whatever a test asks for, the answer is one that the reference contract describes."""
    request = response.request
    path = request.url.raw_path.decode()
    if request.method == "OPTIONS" or not path.startswith("/v1/") or path.startswith("/v1/files/"):
        return
    body = await response.aread()
    assert violations(request.method, path, response.status_code, body) == []


@contextlib.asynccontextmanager
async def client_of(
    app: Litestar,
    settings: Settings,
    tenant: Tenant | None,
    principal_id: str | None = None,
    *,
    token: str | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a valid token of ``tenant``'s app client, or of another principal, or without any."""
    headers = {}
    if tenant is not None:
        token = token or await token_of(app, tenant.organization_id, principal_id or tenant.app_client_id)
        headers["Authorization"] = f"Bearer {token}"
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="https://localhost",
        headers=headers,
        event_hooks={"response": [follows_the_contract]},
    ) as client:
        yield client


@pytest.fixture
async def principal_id(request: pytest.FixtureRequest, pool: asyncpg.Pool, organization: Tenant) -> str:
    """Who ``api`` calls as: the organization's app client, or a principal that a marker asks for.

    ``@pytest.mark.caller("user", "las:role:member")`` is a new user, or app client, with these roles.
    """
    marker = request.node.get_closest_marker("caller")
    if marker is None:
        return organization.app_client_id
    kind, *role_ids = marker.args
    return await add_principal(pool, organization.organization_id, kind, role_ids)


@pytest.fixture
async def api(
    app: Litestar, settings: Settings, organization: Tenant, principal_id: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Calls as ``organization``."""
    async with client_of(app, settings, organization, principal_id) as client:
        yield client


@pytest.fixture
async def other_api(
    app: Litestar, settings: Settings, other_organization: Tenant
) -> AsyncIterator[httpx.AsyncClient]:
    """Calls as ``other_organization``."""
    async with client_of(app, settings, other_organization) as client:
        yield client


@pytest.fixture
async def limited_organization(pool: asyncpg.Pool) -> Tenant:
    """An organization whose plan allows one of everything."""
    async with pool.acquire() as connection:
        return await create_tenant(
            connection, allowed=dict.fromkeys((*MONTHLY, *TOTAL, "pages", "fields"), 1)
        )


@pytest.fixture
async def limited_api(
    app: Litestar, settings: Settings, limited_organization: Tenant
) -> AsyncIterator[httpx.AsyncClient]:
    """Calls as ``limited_organization``."""
    async with client_of(app, settings, limited_organization) as client:
        yield client


@pytest.fixture
async def anonymous(app: Litestar, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Calls without a token."""
    async with client_of(app, settings, None) as client:
        yield client

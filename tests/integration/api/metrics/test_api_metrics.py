"""A scrape has what requests did, without a word of whose they were."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from pagemill.api.app import create_app
from pagemill.api.auth.tokens import Caller
from pagemill.settings import Settings
from pagemill.stack.postgres import free_port
from tests.support.running import eventually
from tests.support.seeds import seed_document
from tests.support.tenants import Tenant, create_tenant
from tests.support.tokens import former_token

SECONDS = 60.0
COUNT = "pagemill_http_requests_total[('method', 'GET'), ('route', '{}'), ('status', '{}')]"
LAG = "pagemill_event_loop_lag_seconds_count[]"
ORGANIZATIONS, DOCUMENTS = 3, 4


@pytest.fixture
def measured(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of an API with metrics."""
    directory = str(tmp_path / "metrics")
    return msgspec.structs.replace(settings, metrics_port=free_port(), metrics_directory=directory)


@pytest.fixture
def app(measured: Settings) -> Litestar:
    """An application with metrics; it runs within ``lifespan``."""
    return create_app(measured)


async def scrape(settings: Settings) -> dict[str, float]:
    """The values of all series by their names and labels; nothing while nobody listens."""
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{settings.metrics_port}/metrics")
        except httpx.TransportError:
            return {}
    assert answer.status_code == 200
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def scrape_of_all(settings: Settings) -> dict[str, float]:
    """The values of all series, once the event loop has been looked at too."""

    async def look() -> dict[str, float]:
        found = await scrape(settings)
        return found if LAG in found else {}

    found: dict[str, float] = await eventually(look, seconds=SECONDS)
    return found


def client_of(app: Litestar, settings: Settings, tenant: Tenant) -> httpx.AsyncClient:
    """A client that may ask for what there is not."""
    token = former_token(Caller(tenant.organization_id, tenant.app_client_id), settings)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="https://localhost",
        headers={"Authorization": f"Bearer {token}"},
    )


async def drive(app: Litestar, settings: Settings, pool: asyncpg.Pool, name: str) -> list[str]:
    """Send requests of new organizations for new documents and unknown paths; return all that is theirs."""
    said = [name]
    for _ in range(ORGANIZATIONS):
        async with pool.acquire() as connection:
            tenant = await create_tenant(connection)
        documents = [
            await seed_document(pool, tenant.organization_id, content=False) for _ in range(DOCUMENTS)
        ]
        said += [tenant.organization_id, tenant.app_client_id, *documents]
        async with client_of(app, settings, tenant) as client:
            for document_id in documents:
                assert (await client.get(f"/v1/documents/{document_id}")).status_code == 200
                assert (await client.get(f"/v1/models/{name}/trainings/{document_id}")).status_code == 404
                assert (await client.get(f"/v1/{name}/{document_id}")).status_code == 404
                assert (await client.request(name.upper(), f"/v1/documents/{document_id}")).status_code == 405
            assert (await client.get("/v1/documents", params={"nextToken": name})).status_code == 400
    return said


async def test_no_label_grows_with_tenants_documents_models_or_paths(
    app: Litestar, measured: Settings, pool: asyncpg.Pool
) -> None:
    async with app.lifespan():
        said = await drive(app, measured, pool, "frobnicate")
        before = await scrape_of_all(measured)
        said += await drive(app, measured, pool, "tergiversate")
        after = await scrape(measured)

    assert set(after) == set(before)
    assert [word for word in said if any(word in series for series in after)] == []
    for route, status in (("/documents/{documentId}", 200), ("unknown", 404)):
        assert after[COUNT.format(route, status)] == 2 * before[COUNT.format(route, status)] > 0


async def test_a_scrape_has_figures_of_the_process_and_of_postgres(
    app: Litestar, measured: Settings, pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with app.lifespan(), client_of(app, measured, organization) as client:
        assert (await client.get("/v1/documents")).status_code == 200
        found = await scrape_of_all(measured)
    assert found["pagemill_postgres_up[]"] == 1
    assert found["pagemill_jobs_waiting[('kind', 'prediction')]"] == 0
    assert found["pagemill_dispatchers[('role', 'housekeeping')]"] == 0
    assert found["pagemill_disk_free_bytes[('volume', 'data')]"] > 0
    assert found["pagemill_http_requests_in_flight[]"] == 0
    idle = found["pagemill_postgres_pool_connections[('state', 'idle')]"]
    assert idle + found["pagemill_postgres_pool_connections[('state', 'used')]"] >= 1


async def test_without_postgres_the_page_says_so_and_has_the_rest(measured: Settings) -> None:
    away = msgspec.structs.replace(measured, database_url=f"postgresql://u:p@127.0.0.1:{free_port()}/none")
    app = create_app(away)
    transport = httpx.ASGITransport(app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="https://x") as client:
        assert (await client.get("/health")).status_code == 200
        found = await eventually(lambda: scrape(away), seconds=SECONDS)
    assert found["pagemill_postgres_up[]"] == 0
    assert found[COUNT.format("/health", 200)] == 1
    assert not [series for series in found if series.startswith("pagemill_jobs")]


async def test_the_public_port_has_no_metrics(
    app: Litestar, measured: Settings, organization: Tenant
) -> None:
    async with app.lifespan(), client_of(app, measured, organization) as client:
        assert (await client.get("/metrics")).status_code == 404
        assert (await client.get("/v1/metrics")).status_code == 404

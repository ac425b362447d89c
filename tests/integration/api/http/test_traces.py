"""Requests are traced as their clients ask, within bounds, and jobs carry the trace on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar

from pagemill.api.app import create_app
from pagemill.api.http.access_log import access_log
from pagemill.settings import Settings
from pagemill.tracing.configuration import close_tracing
from pagemill.tracing.context import decode_context
from tests.integration.api.conftest import client_of
from tests.support.access_lines import access_lines
from tests.support.collector import Collector, collecting
from tests.support.seeds import seed_document, seed_training
from tests.support.tenants import Tenant

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ASKED = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
DECLINED = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
HOSTILE = [
    f"00-{'0' * 32}-{SPAN}-01",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-01-{'x' * 8000}",
    "ü" * 55,
]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, collector: Collector) -> Settings:
    return msgspec.structs.replace(
        settings, traces_url=collector.url, traces_share=0.0, traces_client_rate=1000.0, prediction_wait=0.05
    )


@pytest.fixture(scope="module")
def routes(collector: Collector) -> Litestar:
    """The application with its middleware for traces; its state comes from ``app``."""
    return create_app(
        Settings(
            database_url="postgresql://unused",
            objects_url=Path("/unused").as_uri(),
            token_key="k" * 32,
            secret_keys="test:" + "A" * 43 + "=",
            traces_url=collector.url,
            traces_share=0.0,
            traces_client_rate=1000.0,
        )
    )


@pytest.fixture(autouse=True)
def received(collector: Collector) -> Iterator[None]:
    collector.spans.clear()
    yield
    close_tracing()


@pytest.fixture
async def body(api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant) -> dict[str, object]:
    """A prediction's request."""
    model_id = (await api.post("/v1/models", json={"fieldConfig": {}})).json()["modelId"]
    training_id = await seed_training(pool, organization.organization_id, model_id)
    await api.patch(f"/v1/models/{model_id}", json={"trainingId": training_id})
    document_id = await seed_document(pool, organization.organization_id)
    return {"documentId": document_id, "modelId": model_id, "async": True}


async def test_a_request_that_asks_for_it_is_traced_to_its_job(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    collector: Collector,
    body: dict[str, object],
) -> None:
    with access_lines() as lines:
        response = await api.post(
            "/v1/predictions", json=body, headers={**ASKED, "tracestate": "vendor=value"}
        )
        assert response.status_code == 200
        access_log.write()
        close_tracing()
    request, submit = collector.one("POST /v1/predictions"), collector.one("submit")
    assert (request.trace_id, request.parent_id, request.state) == (TRACE, SPAN, "vendor=value")
    assert (request.kind, request.service) == ("server", "pagemill-api")
    assert request.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/predictions",
        "pagemill.organization.id": organization.organization_id,
    }
    assert submit.parent_id == request.span_id
    assert response.headers["traceresponse"] == f"00-{TRACE}-{request.span_id}-01"
    carried = decode_context(
        await pool.fetchval(
            "SELECT trace_context FROM job WHERE subject_id = $1", response.json()["predictionId"]
        )
    )
    assert carried is not None
    assert (carried.trace_id, carried.span_id, carried.state) == (TRACE, request.span_id, "vendor=value")
    assert [vars(line)["trace_id"] for line in lines if "predictions" in line.getMessage()] == [TRACE]


async def test_the_wait_for_a_prediction_ends_in_an_answer(
    api: httpx.AsyncClient, pool: asyncpg.Pool, collector: Collector, body: dict[str, object]
) -> None:
    response = await api.post("/v1/predictions", json={**body, "async": False}, headers=ASKED)
    assert response.status_code == 503, "nobody works on it"
    close_tracing()
    request = collector.one("POST /v1/predictions")
    assert (request.failed, request.attributes["error.type"]) == (True, "503")


@pytest.mark.parametrize("headers", [{}, DECLINED, *({"traceparent": value} for value in HOSTILE)])
async def test_other_requests_are_not_traced_and_queue_no_trace(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    collector: Collector,
    body: dict[str, object],
    headers: dict[str, str],
) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    response = await api.post("/v1/predictions", json=body, headers=encoded)
    assert response.status_code == 200
    assert "traceresponse" not in response.headers
    assert await pool.fetchval("SELECT count(trace_context) FROM job") == 0
    close_tracing()
    assert collector.spans == []


async def test_paths_and_health_checks_tell_nothing(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, collector: Collector
) -> None:
    await anonymous.get("/health", headers=ASKED)
    await anonymous.get("/v1/secret-path-of-a-stranger", headers=ASKED)
    await anonymous.get("/v1/documents/las:document:private?token=private", headers=ASKED)
    close_tracing()
    unknown, refused = sorted(collector.spans, key=lambda one: one.start)
    assert (unknown.name, unknown.attributes["http.response.status_code"]) == ("GET", 404)
    assert refused.name == "GET /v1/documents/{documentId}"
    assert refused.attributes["http.response.status_code"] in (401, 403)
    assert not [word for word in (b"private", b"stranger") if word in b"".join(collector.bodies)]


@pytest.fixture
async def strict(settings: Settings, app: Litestar, organization: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A process that lets clients ask for no more than ten traces."""
    tight = create_app(msgspec.structs.replace(settings, traces_client_rate=1.0))
    tight.state.pagemill = app.state.pagemill
    async with client_of(tight, settings, organization) as client:
        yield client


async def test_a_stranger_cannot_have_everything_traced(
    strict: httpx.AsyncClient, collector: Collector
) -> None:
    answers = [await strict.get("/v1/unknown", headers=ASKED) for _ in range(40)]
    traced = sum("traceresponse" in answer.headers for answer in answers)
    close_tracing()
    assert 10 <= traced < 40
    assert len(collector.spans) == traced


async def test_browsers_may_send_and_read_the_headers(api: httpx.AsyncClient) -> None:
    preflight = await api.options(
        "/v1/predictions",
        headers={
            "Origin": "https://example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "traceparent",
        },
    )
    assert "traceparent" in preflight.headers["access-control-allow-headers"].lower()

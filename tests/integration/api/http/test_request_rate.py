"""Tests of the limit of requests per second."""

from __future__ import annotations

import httpx
import msgspec
import pytest

from pagemill.settings import Settings
from tests.support.tenants import Tenant

BURST = 5


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Hardly a token comes back during a test."""
    return msgspec.structs.replace(settings, request_rate=0.01, request_burst=BURST)


async def test_too_many_requests(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    answers = [await api.get("/v1/datasets") for _ in range(BURST + 1)]
    assert [answer.status_code for answer in answers] == [200] * BURST + [429]
    assert answers[-1].json() == {"message": "Too Many Requests"}
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 100
    assert (await other_api.get("/v1/datasets")).status_code == 200


async def test_refused_request_has_no_effect(api: httpx.AsyncClient) -> None:
    for _ in range(BURST - 1):
        await api.get("/v1/datasets")
    created = await api.post("/v1/datasets", json={})
    refused = await api.post("/v1/datasets", json={})
    assert (created.status_code, refused.status_code) == (200, 429)


async def test_forged_tokens_use_no_allowance(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, organization: Tenant
) -> None:
    for _ in range(BURST + 1):
        answer = await anonymous.get("/v1/datasets", headers={"Authorization": "Bearer forged"})
        assert answer.status_code == 403
    assert (await api.get("/v1/datasets")).status_code == 200


def test_there_is_a_limit_by_default() -> None:
    defaults = Settings(database_url="postgresql://unused", objects_url="file:///unused")
    assert (defaults.request_rate, defaults.token_rate) == (200.0, 20.0)

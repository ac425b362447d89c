"""Connections to Postgres go back to the pool, however a request ends."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar

from tests.support.tenants import Tenant


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models", 200),
        ("/v1/models?maxResults=0", 400),
        ("/v1/models?maxResults=0&nextToken=foo", 400),
        ("/v1/models/las:model:unknown", 404),
        ("/v1/models/{other}/las:model:unknown", 404),
        ("/v1/models/{other}/las:model:unknown/trainings?status=nonsense", 404),
        ("/v1/predictions?order=up", 400),
    ],
)
async def test_no_request_keeps_its_connection(
    app: Litestar, api: httpx.AsyncClient, other_organization: Tenant, path: str, status: int
) -> None:
    pool = app.state.pagemill.pool
    for _ in range(2 * pool.get_max_size()):
        response = await api.get(path.format(other=other_organization.organization_id))
        assert response.status_code == status, response.text
    listening = 1
    assert pool.get_size() - pool.get_idle_size() <= listening

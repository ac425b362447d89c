"""Tests of scopes: each route has one, and each scope has a route."""

from __future__ import annotations

import pytest

from pagemill.api.auth.requested_resources import action_of
from pagemill.api.auth.scopes import PREFIX, SCOPES, scope_of, scopes_of_api
from tests.unit.api.auth.test_requested_resources import ROUTES


def test_every_route_has_a_scope_and_every_scope_a_route() -> None:
    assert {scope_of(path, action_of(method)) for method, path in ROUTES} == SCOPES


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/appClients", "appclients:read"),
        ("DELETE", "/v1/documents", "documents:write"),
        ("PUT", "/v1/files/{document_id:str}", "documents:write"),
        ("POST", "/v1/models/{model_id:str}/dataBundles", "databundles:write"),
        ("GET", "/v1/workflows/{workflow_id:str}/executions/{execution_id:str}", "workflows.executions:read"),
        ("GET", "/v1/webhooks/{webhook_id:str}/attempts", "webhooks.attempts:read"),
        (
            "POST",
            "/v1/transitions/{transition_id:str}/executions/{execution_id:str}/heartbeats",
            "transitions.executions.heartbeats:write",
        ),
        (
            "POST",
            "/v1/transitions/{transition_id:str}/executions/{execution_id:str}/defer",
            "transitions.executions:write",
        ),
    ],
)
def test_scope_of(method: str, path: str, scope: str) -> None:
    assert scope_of(path, action_of(method)) == f"{PREFIX}{scope}"


def test_scopes_of_a_token() -> None:
    two = f"{PREFIX}assets:read {PREFIX}logs:read"
    assert scopes_of_api(two) == frozenset(two.split())
    assert scopes_of_api(None) is scopes_of_api("") is scopes_of_api("  ") is None
    assert scopes_of_api(f"openid {PREFIX}logs:read") == {f"{PREFIX}logs:read"}
    # Who asks only who has signed in gets nothing of the API.
    assert scopes_of_api("openid") == frozenset()

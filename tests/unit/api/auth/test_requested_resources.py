"""Tests of the resource of each route, and of the seeded roles' permissions on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar.routes import HTTPRoute

from pagemill.api.app import create_app
from pagemill.api.auth.requested_resources import NoResource, action_of, resource_of
from pagemill.api.auth.seeded_roles import ADMIN, MEMBER, ROLES, VALIDATOR
from pagemill.api.auth.tokens import Caller
from pagemill.permissions import Permission, PermissionSet
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings

CALLER = Caller("las:organization:own", "las:app-client:own")
ADMINISTRATION = {"app-client", "organization", "payment-method", "plan", "role", "user", "webhook"}
HIDDEN_FROM_VALIDATORS = {
    "app-client",
    "audit-event",
    "dataset-transformation",
    "deployment-environment",
    "model-data-bundle",
    "model-training",
    "payment-method",
    "plan",
    "secret",
    "webhook",
}


def protected_routes() -> Iterator[tuple[str, str]]:
    settings = Settings(
        database_url="postgresql://unused",
        objects_url="file:///unused",
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
    )
    app = create_app(settings)
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods):
                    if method != "OPTIONS" and not handler.opt.get("public"):
                        yield method, route.path_format


ROUTES = sorted(protected_routes())


def role(role_id: str) -> PermissionSet:
    return PermissionSet(msgspec.convert(ROLES[role_id].permissions, list[Permission]))


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_route_has_a_resource_and_the_expected_roles(method: str, path: str) -> None:
    resource, action = resource_of(path), action_of(method)
    resource_id = f"las:{resource.kind}:1" if resource.parameter else f"las:{resource.kind}:*"
    kind, reads = resource.kind, action == "read"
    expected = {
        ADMIN: True,
        MEMBER: kind != "audit-event" if reads else kind not in ADMINISTRATION,
        VALIDATOR: (
            kind not in HIDDEN_FROM_VALIDATORS if reads else kind in ("profile", "transition-execution")
        ),
    }
    assert {role_id: role(role_id).allows(resource_id, action) for role_id in ROLES} == expected


def test_all_routes_are_covered() -> None:
    assert len(ROUTES) >= 35


def test_only_admins_delegate_roles() -> None:
    for role_id in ROLES:
        assert [role(one).allows(role_id, "delegate") for one in (ADMIN, MEMBER, VALIDATOR)] == [
            True,
            False,
            False,
        ]


@pytest.mark.parametrize(
    ("path", "parameters", "resource_id"),
    [
        ("/v1/documents", {}, "las:document:*"),
        ("/v1/documents/{document_id}", {"document_id": "las:document:1"}, "las:document:1"),
        ("/v1/files/{document_id}", {"document_id": "las:document:1"}, "las:document:1"),
        ("/v1/documents/{document_id}", {"document_id": "foo"}, "las:document:foo"),
        ("/v1/users/{user_id}", {"user_id": "las:document:1"}, "las:user:las:document:1"),
        ("/v1/models/{owner}/{model_id}", {"owner": "las:organization:x", "model_id": "m"}, "las:model:m"),
        ("/v1/models/{model_id}/trainings", {"model_id": "m"}, "las:model-training:*"),
        ("/v1/models/{model_id}/trainings/{id}", {"model_id": "m", "id": "t"}, "las:model-training:t"),
        ("/v1/datasets/{id}/transformations", {"id": "d"}, "las:dataset-transformation:*"),
        ("/v1/workflows/{id}/executions", {"id": "w"}, "las:workflow-execution:*"),
        ("/v1/transitions/{id}/executions/{execution}", {"execution": "e"}, "las:transition-execution:e"),
        (
            "/v1/transitions/{id}/executions/{execution}/heartbeats",
            {"execution": "e"},
            "las:transition-execution:e",
        ),
        (
            "/v1/transitions/{id}/executions/{execution}/claim",
            {"execution": "e"},
            "las:transition-execution:e",
        ),
        ("/v1/webhooks/{id}/attempts", {"id": "w"}, "las:webhook:w"),
        ("/v1/organizations/{id}", {"id": "me"}, "las:organization:own"),
        ("/v1/organizations/{id}", {"id": "las:organization:other"}, "las:organization:other"),
        ("/v1/profiles/{id}", {"id": "me"}, "las:profile:me"),
    ],
)
def test_id_is_taken_from_the_path(path: str, parameters: dict[str, Any], resource_id: str) -> None:
    assert resource_of(path).identify(parameters, CALLER) == resource_id


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/batches", "/v1/models/{id}/other", "/v1/executions"])
def test_route_outside_the_table_has_no_resource(path: str) -> None:
    with pytest.raises(NoResource):
        resource_of(path)


@pytest.mark.parametrize(
    ("method", "action"), [("GET", "read"), ("HEAD", "read"), ("POST", "write"), ("DELETE", "write")]
)
def test_actions(method: str, action: str) -> None:
    assert action_of(method) == action

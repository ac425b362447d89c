"""Whatever is asked about another organization's resource is answered like an unknown one, byte for byte.

The routes are the application's own, and so are the ids that bodies and queries may name: one that is new is
tested as soon as it is there, and fails until ``seed_everything`` makes a resource of its kind.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from tests.support.everything import (
    KINDS,
    body_of,
    fill,
    kind_of,
    rows_of,
    seed_everything,
    unknown,
)
from tests.support.tenants import Tenant

Ids = Mapping[str, str]

# Roles are the same for all organizations; consents are the client's invention and belong to nobody.
NOBODYS = {"roleId", "roleIds", "consentId"}
NAMED: dict[str, dict[str, Any]] = {
    "POST /documents": {"datasetId": "datasetId"},
    "PATCH /documents/{documentId}": {"datasetId": "datasetId"},
    "PATCH /models/{modelId}": {"trainingId": "trainingId"},
    "POST /models/{modelId}/dataBundles": {"datasetIds": ["datasetId"]},
    "POST /models/{modelId}/trainings": {
        "dataBundleIds": ["dataBundleId"],
        "warmStartConfig": {"trainingId": "trainingId"},
    },
    "PATCH /models/{modelId}/trainings/{trainingId}": {"deploymentEnvironmentId": "deploymentEnvironmentId"},
    "PATCH /organizations/{organizationId}": {"planId": "planId", "paymentMethodId": "paymentMethodId"},
    "POST /predictions": {"documentId": "documentId", "modelId": "modelId", "trainingId": "trainingId"},
    "POST /transitions": {
        "parameters": {
            "imageUrl": "image",
            "secretId": "secretId",
            "environmentSecrets": ["secretId"],
            "assets": {"form": "assetId"},
        }
    },
    "PATCH /transitions/{transitionId}": {
        "parameters": {
            "secretId": "secretId",
            "environmentSecrets": ["secretId"],
            "assets": {"form": "assetId"},
        }
    },
    "POST /users": {"appClientId": "appClientId"},
    **{
        operation: {
            "completedConfig": {
                "imageUrl": "image",
                "secretId": "secretId",
                "environmentSecrets": ["secretId"],
            },
            "emailConfig": {"secretId": "secretId"},
        }
        for operation in ("POST /workflows", "PATCH /workflows/{workflowId}")
    },
    "PATCH /workflows/{workflowId}/executions/{executionId}": {"nextTransitionId": "transitionId"},
}
"""Every member of a body that names a resource, with the kind of its id."""


@pytest.fixture
async def mine(pool: asyncpg.Pool, organization: Tenant) -> dict[str, str]:
    return await seed_everything(pool, organization)


@pytest.fixture
async def theirs(pool: asyncpg.Pool, other_organization: Tenant) -> dict[str, str]:
    return await seed_everything(pool, other_organization)


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def operations(app: Litestar) -> Iterator[tuple[str, str]]:
    """Method and path of all that has ids in its path: ``/models/{modelId}``."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1/") and "{" in route.path:
            path = re.sub(r"\{(\w+)\}", lambda match: f"{{{camel(match[1])}}}", route.path_format)
            for method in sorted(route.methods - {"OPTIONS", "HEAD"}):
                yield method, path.removeprefix("/v1")


async def same_answer(
    api: httpx.AsyncClient, method: str, asked: tuple[str, Any], about_unknown: tuple[str, Any], theirs: Ids
) -> httpx.Response:
    """Asserts that both are answered alike; returns the first answer."""
    answers = [
        await api.request(method, f"/v1{path}", json=body)
        if body is not None
        else await api.request(method, f"/v1{path}")
        for path, body in (asked, about_unknown)
    ]
    contents = []
    for answer in answers:
        text = answer.text
        for identifier in theirs.values():
            text = text.replace(identifier, unknown(identifier))
        contents.append((answer.status_code, text, sorted(set(answer.headers) - {"x-request-id"})))
    assert contents[0] == contents[1], (method, asked)
    return answers[0]


async def test_ids_in_paths(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, mine: Ids, theirs: Ids
) -> None:
    before = await rows_of(pool, theirs["organizationId"])
    nobody = {name: unknown(identifier) for name, identifier in theirs.items()}
    asked = 0
    for method, path in operations(app):
        names = [name for name in re.findall(r"\{(\w+)\}", path) if kind_of(name, path) not in NOBODYS]
        for foreign in foreign_parts(names):
            kinds = {kind_of(name, path) for name in foreign}
            paths = [
                fill(path, {**mine, **{kind: ids[kind] for kind in kinds if kind in ids}})
                for ids in (theirs, nobody)
            ]
            body = body_of(method, path, mine)
            answer = await same_answer(api, method, (paths[0], body), (paths[1], body), theirs)
            assert answer.status_code in (403, 404), (method, path, answer.text)
            asked += 1
    assert asked > 60
    assert await rows_of(pool, theirs["organizationId"]) == before


def foreign_parts(names: list[str]) -> Iterator[list[str]]:
    """All of a path's ids, and each of them alone."""
    if len(names) > 1:
        yield names
    for name in names:
        yield [name]


async def test_ids_in_queries(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, mine: Ids, theirs: Ids
) -> None:
    before = await rows_of(pool, theirs["organizationId"])
    asked = 0
    for path, item in app.openapi_schema.to_schema()["paths"].items():
        for method, operation in item.items():
            for parameter in operation["parameters"]:
                kind = kind_of(parameter["name"], path)
                named = parameter["name"] in KINDS or parameter["name"].endswith("Id")
                if parameter["in"] != "query" or not named or kind in NOBODYS:
                    continue
                assert kind in theirs, f"{path}: seed_everything makes no {parameter['name']}"
                plain = fill(path.removeprefix("/v1"), mine)
                queries = [
                    (f"{plain}?{parameter['name']}={identifier}", None)
                    for identifier in (theirs[kind], unknown(theirs[kind]))
                ]
                answer = await same_answer(api, method.upper(), *queries, theirs)
                assert answer.status_code == 200, (method, path, answer.text)
                lists = [value for value in answer.json().values() if isinstance(value, list)]
                assert not any(isinstance(one, dict) for listed in lists for one in listed), answer.text
                asked += 1
    assert asked > 8
    assert await rows_of(pool, theirs["organizationId"]) == before


async def test_ids_in_bodies(
    app: Litestar, api: httpx.AsyncClient, pool: asyncpg.Pool, mine: Ids, theirs: Ids
) -> None:
    before = await rows_of(pool, theirs["organizationId"])
    document = app.openapi_schema.to_schema()
    for operation, members in NAMED.items():
        method, path = operation.split(" ")
        if method.lower() not in document["paths"].get(f"/v1{path}", {}):
            continue
        for place, kind in places(members):
            base = body_of(method, path, mine) or {}
            bodies = [
                with_member(base, members, place, identifier)
                for identifier in (theirs[kind], unknown(theirs[kind]))
            ]
            filled = fill(path, mine)
            answer = await same_answer(api, method, (filled, bodies[0]), (filled, bodies[1]), theirs)
            assert answer.status_code in (400, 404), (operation, place, answer.text)
            # It is this id that is refused, not something else about the body.
            assert theirs[kind] in answer.text or place[-1] in answer.text, (operation, place, answer.text)
    assert await rows_of(pool, theirs["organizationId"]) == before


def test_every_id_in_a_body_is_tested(app_document: dict[str, Any]) -> None:
    for path, item in app_document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None or path.endswith("/token"):
                continue
            name = f"{method.upper()} {path.removeprefix('/v1')}"
            tested = {re.sub(r"\W.*", "", place[-1]) for place, _ in places(NAMED.get(name, {}))}
            found = set(members_with_ids(app_document, content["schema"]))
            assert {one for one in found if one not in NOBODYS and one != "lambdaId"} <= tested, name


@pytest.fixture
def app_document(app: Litestar) -> dict[str, Any]:
    return app.openapi_schema.to_schema()


def places(members: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where ids stand in NAMED, and of which kind."""
    if isinstance(members, dict):
        for name, value in members.items():
            yield from places(value, (*place, name))
    elif isinstance(members, list):
        yield place, members[0]
    elif members.endswith("Id"):
        yield place, members


def with_member(
    base: dict[str, Any], members: Any, place: tuple[str, ...], identifier: str
) -> dict[str, Any]:
    """The body with one id of NAMED in it, and what that id's object cannot be without."""
    body = copy.deepcopy(base)
    at, model = body, members
    for name in place[:-1]:
        model = model[name]
        siblings = {one: value for one, value in model.items() if one == "imageUrl"}
        at = at.setdefault(name, {})
        at |= siblings
    at[place[-1]] = [identifier] if isinstance(model[place[-1]], list) else identifier
    if place[-2:-1] == ("assets",):
        body |= {"transitionType": "manual"} if "transitionType" in body else {}
        body["parameters"].pop("imageUrl", None)
    return body


def members_with_ids(document: dict[str, Any], schema: Any, name: str = "") -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from members_with_ids(document, one, name)
    elif isinstance(schema, dict):
        if "$ref" in schema:
            referred = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            yield from members_with_ids(document, referred, name)
        if "las:" in schema.get("pattern", ""):
            yield "form" if name == "assets" else name
        for member, one in schema.get("properties", {}).items():
            yield from members_with_ids(document, one, member)
        for keyword in ("anyOf", "oneOf", "items", "additionalProperties"):
            if isinstance(schema.get(keyword), (dict, list)):
                yield from members_with_ids(document, schema[keyword], name)

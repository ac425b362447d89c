"""Tests of the ids that a request names beside the one that it is about."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from litestar import Litestar

from pagemill.api.auth.named_resources import (
    IN_QUERIES,
    ids_in_body,
    readers_of,
    require_named,
    require_readable,
)
from pagemill.api.auth.tokens import Caller
from pagemill.api.resources.documents import PostDocument
from pagemill.api.resources.prediction_schemas import PostPrediction
from pagemill.api.resources.trainings import PostTraining
from pagemill.api.resources.transitions import PostTransition
from pagemill.api.resources.users import PostUser
from pagemill.api.resources.workflows import PostWorkflow
from pagemill.errors import Forbidden
from pagemill.permissions import Permission, PermissionSet

CALLER = Caller("las:organization:own", "las:app-client:own")
SECRET, ASSET, DOCUMENT = f"las:secret:{'0' * 32}", f"las:asset:{'0' * 32}", f"las:document:{'0' * 32}"


def permissions(*triples: tuple[str, Any, Any]) -> PermissionSet:
    return PermissionSet(Permission(*triple) for triple in triples)


@pytest.mark.parametrize(
    ("schema", "body", "ids"),
    [
        (PostDocument, {}, []),
        (PostDocument, {"metadata": {"a": DOCUMENT}, "name": DOCUMENT}, []),
        (PostDocument, {"datasetId": f"las:dataset:{'1' * 32}"}, [f"las:dataset:{'1' * 32}"]),
        (PostPrediction, {"documentId": DOCUMENT, "modelId": "las:model:m"}, [DOCUMENT, "las:model:m"]),
        (
            PostTraining,
            {
                "dataBundleIds": [f"las:model-data-bundle:{'2' * 32}"],
                "warmStartConfig": {"trainingId": "las:model-training:t"},
            },
            [f"las:model-data-bundle:{'2' * 32}", "las:model-training:t"],
        ),
        (
            PostTransition,
            {
                "transitionType": "docker",
                "parameters": {
                    "environment": {"DOCUMENT": DOCUMENT},
                    "environmentSecrets": [SECRET],
                    "assets": {"form": ASSET},
                },
            },
            [SECRET, ASSET],
        ),
        (PostUser, {"email": "a@example.com", "roleIds": ["las:role:x"]}, ["las:role:x"]),
        (
            PostWorkflow,
            {
                "specification": {"definition": {"States": {"A": {"Resource": "las:transition:t"}}}},
                "completedConfig": {"imageUrl": "image", "environmentSecrets": [SECRET]},
            },
            ["las:transition:t", SECRET],
        ),
    ],
)
def test_ids_of_a_body(schema: type[msgspec.Struct], body: dict[str, Any], ids: list[str]) -> None:
    assert sorted(ids_in_body(msgspec.convert(body, schema))) == sorted(ids)


def test_a_body_without_ids_is_not_walked() -> None:
    assert "ground_truth" not in dict(readers_of(PostDocument))


def test_a_body_that_is_no_schema_names_nothing() -> None:
    assert list(ids_in_body({"documentId": DOCUMENT})) == []


@pytest.mark.parametrize(
    ("identifier", "allowed"),
    [
        (DOCUMENT, False),
        (f"las:organization:x/{DOCUMENT}", False),
        ("las:document:other", True),
        ("las:role:any", True),
        ("las:consent:any", True),
        ("las:transition:commons-failed", True),
        ("las:transition:t", False),
        ("las:model:m", False),
        ("text", True),
        ("las:", True),
    ],
)
def test_what_may_be_named(identifier: str, allowed: bool) -> None:
    mine = permissions(
        ("las:document:*", "read", "allow"),
        (DOCUMENT, "read", "deny"),
        ("las:model:*", "write", "allow"),
    )
    if allowed:
        require_readable(mine, [identifier])
    else:
        with pytest.raises(Forbidden):
            require_readable(mine, [identifier])


def test_a_denied_resource_above_another_refuses() -> None:
    below = ("/v1/models/{model_id}/trainings/{id}", {"model_id": "m", "id": "t"})
    only = permissions(("las:model-training:*", "read", "allow"))
    require_named(only, CALLER, "GET", *below, ())
    denying = permissions(("*", "read", "allow"), ("las:model:m", "read", "deny"))
    with pytest.raises(Forbidden):
        require_named(denying, CALLER, "GET", *below, ())


def test_an_id_in_a_query_has_to_be_readable() -> None:
    only = permissions(("las:prediction:*", "read", "allow"))
    require_named(only, CALLER, "GET", "/v1/predictions", {}, [("maxResults", "1")])
    with pytest.raises(Forbidden):
        require_named(only, CALLER, "GET", "/v1/predictions", {}, [("modelId", "las:model:m")])


def test_every_id_in_a_query_is_in_the_table(app_document: dict[str, Any]) -> None:
    filters = {"principalId", "resourceId"}
    named = {
        parameter["name"]
        for item in app_document["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter["name"].endswith("Id")
    }
    assert named - filters == set(IN_QUERIES) & named
    assert set(IN_QUERIES) == named - filters


@pytest.fixture(scope="module")
def app_document() -> dict[str, Any]:
    from pagemill.api.app import create_app
    from pagemill.secret_box import new_secret_key
    from pagemill.settings import Settings

    app: Litestar = create_app(
        Settings(
            database_url="postgresql://unused",
            objects_url="file:///unused",
            token_key="k" * 32,
            secret_keys=new_secret_key("test"),
        )
    )
    return app.openapi_schema.to_schema()

"""The judge of answers: what it lets pass, and what not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract import operation_path, reference, violations

HEX = "0" * 32
SECRET: dict[str, Any] = {
    "secretId": f"las:secret:{HEX}",
    "name": None,
    "description": None,
    "createdTime": "2021-08-16T12:53:13.374930+0000",
    "createdBy": "las:app-client:one",
    "updatedTime": None,
    "updatedBy": None,
}
TRANSITION_EXECUTION = f"/v1/transitions/las:transition:{HEX}/executions/las:transition-execution:{HEX}"


def test_every_operation_is_found() -> None:
    operations = [(method, path) for path, item in reference()["paths"].items() for method in item]
    assert len(operations) == 89
    for method, path in operations:
        assert operation_path(method, f"https://localhost:8443/v1{path}/?maxResults=1") == path


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/models/las:organization:cradl/las:model:invoice", "/models/{modelId}"),
        ("/models/las%3Aorganization%3Acradl%2Flas%3Amodel%3Ainvoice", "/models/{modelId}"),
        ("/models/las:organization:a/las:model:b/trainings", "/models/{modelId}/trainings"),
        ("/plans/las:organization:a/las:plan:b:@latest", "/plans/{planId}"),
        ("/nothing", None),
        ("/datasets/a/b", None),
    ],
)
def test_composite_ids(path: str, template: str | None) -> None:
    assert operation_path("GET", path) == template


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, 0),
        ({"name": "a"}, 0),
        ({"name": 1}, 1),
        ({"data": {}}, 1),
        ({"secretId": "las:secret:1"}, 1),
        ({"createdTime": "yesterday"}, 1),
    ],
)
def test_bodies(change: dict[str, Any], wrong: int) -> None:
    assert len(violations("POST", "/v1/secrets", 200, SECRET | change)) == wrong
    page = {"secrets": [SECRET, SECRET | change], "nextToken": None}
    assert len(violations("GET", "/v1/secrets", 200, page)) == wrong
    missing = {name: value for name, value in SECRET.items() if name != "updatedBy"}
    assert len(violations("POST", "/v1/secrets", 200, missing)) == 1


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (404, {"message": "Dataset x not found"}, 0),
        (429, {"message": "Limit Exceeded", "detail": "datasets"}, 0),
        (422, {"message": "no"}, 1),
        (404, {"detail": "no"}, 1),
        (404, None, 1),
        (404, b"<html>", 1),
    ],
)
def test_errors(status: int, body: Any, wrong: int) -> None:
    assert len(violations("GET", "/v1/anything", status, body)) == wrong


def test_success_is_200_but_for_heartbeats() -> None:
    assert violations("POST", "/v1/secrets", 201, SECRET)
    assert violations("POST", f"{TRANSITION_EXECUTION}/heartbeats", 204, b"") == []
    assert violations("POST", f"{TRANSITION_EXECUTION}/heartbeats", 200, {})


@pytest.mark.parametrize(
    ("predictions", "wrong"),
    [
        (None, False),
        ([{"label": "total", "value": None, "confidence": 0.5}], False),
        ([{"label": "total", "value": "1.00"}], True),
        ({"total": [{"value": "1.00", "confidence": 0.5}]}, False),
        ({"total": "1.00"}, True),
    ],
)
def test_the_reference_is_corrected(predictions: Any, wrong: bool) -> None:
    prediction = {
        "predictionId": f"las:prediction:{HEX}",
        "documentId": f"las:document:{HEX}",
        "modelId": "las:organization:a/las:model:b",
        "predictions": predictions,
        "createdTime": None,
        "createdBy": None,
    }
    assert bool(violations("GET", f"/predictions/las:prediction:{HEX}", 200, prediction)) is wrong

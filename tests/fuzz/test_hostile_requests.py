"""Requests that are made to take long: none holds the event loop for more than 200 ms of processor time.

The API is a process of its own, whose watch over its loop says so in its log.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import pytest

from pagemill.api.http.request_bodies import MOST_VALUES
from pagemill.api.metrics.loop_watch import HELD
from pagemill.workflows.definition import DEFINITION_BYTES
from tests.fuzz.conftest import Served

JSON = {"Content-Type": "application/json"}
Request = tuple[str, str, bytes, Mapping[str, str]]


def definition(states: Mapping[str, Any], start: str = "a") -> dict[str, Any]:
    encoded = msgspec.json.encode({"StartAt": start, "States": states})
    assert DEFINITION_BYTES * 0.8 < len(encoded) <= DEFINITION_BYTES, len(encoded)
    return {"specification": {"definition": {"StartAt": start, "States": states}}}


def many_states() -> dict[str, Any]:
    chain: dict[str, Any] = {f"s{n}": {"Type": "Pass", "Next": f"s{n + 1}"} for n in range(6500)}
    return definition(chain | {"s6500": {"Type": "Succeed"}}, "s0")


def many_choices() -> dict[str, Any]:
    rule = {"Variable": "$.a", "IsNull": True, "Next": "x"}
    return definition({"a": {"Type": "Choice", "Choices": [rule] * 5900}, "x": {"Type": "Succeed"}})


def many_calls() -> dict[str, Any]:
    members = {f"a{n}.$": f"States.Format('{{}}',$.a{n})" for n in range(6500)}
    return definition({"a": {"Type": "Pass", "End": True, "Parameters": members}})


def many_errors() -> dict[str, Any]:
    retry = [{"ErrorEquals": [f"E{n}"], "MaxAttempts": 1} for n in range(5700)]
    task = {"Type": "Task", "Resource": "las:transition:commons-failed", "End": True, "Retry": retry}
    return definition({"a": task})


def labels(count: int) -> list[dict[str, Any]]:
    return [{"label": f"l{n}", "value": 1} for n in range(count)]


def bodies() -> dict[str, tuple[str, str, Any]]:
    """Method, path and body by what is hostile about it."""
    wide = {f"a{n}": [n] for n in range(MOST_VALUES // 3)}
    origins = [f"{n}" + "[^\u0100-\u1fff]{9}" * 6 for n in range(90)]
    mail = {"secretId": f"las:secret:{'0' * 32}", "allowedOrigins": origins}
    fields = {f"f{n}": {"type": "string", "description": "d" * 4000} for n in range(250)}
    enumerated = {"f": {"type": "enum", "enum": [f"{n}" for n in range(90_000)]}}
    rows = [[{"label": "c", "value": f"{n}"}] for n in range(20_000)]
    small = {"a": {"Type": "Succeed"}}
    specification = {"definition": {"StartAt": "a", "States": small}}
    content = base64.b64encode(b"%PDF-1.7\n" + bytes(4_600_000)).decode()
    return {
        "many states": ("POST", "/v1/workflows", many_states()),
        "many choices": ("POST", "/v1/workflows", many_choices()),
        "many calls": ("POST", "/v1/workflows", many_calls()),
        "many errors": ("POST", "/v1/workflows", many_errors()),
        "expressions": ("POST", "/v1/workflows", {"specification": specification, "emailConfig": mail}),
        "wide metadata": ("POST", "/v1/documents", {"metadata": wide}),
        "unknown members": ("POST", "/v1/documents", wide),
        "labels": ("POST", "/v1/documents", {"groundTruth": labels(30_000)}),
        "rows": ("POST", "/v1/documents", {"groundTruth": [{"label": "lines", "value": rows}]}),
        "content": ("POST", "/v1/documents", {"content": content, "groundTruth": labels(20_000)}),
        "asset": ("POST", "/v1/assets", {"content": content}),
        "fields": ("POST", "/v1/models", {"fieldConfig": fields}),
        "values of a field": ("POST", "/v1/models", {"fieldConfig": enumerated}),
        "permissions": ("POST", "/v1/appClients", {"roleIds": [f"las:role:{n}" for n in range(20_000)]}),
        "datasets": ("POST", "/v1/models/x/dataBundles", {"datasetIds": [f"las:dataset:{'0' * 32}"] * 9000}),
        "data of a secret": ("POST", "/v1/secrets", {"data": {f"k{n}": "v" for n in range(30_000)}}),
        "environment": (
            "POST",
            "/v1/transitions",
            {
                "transitionType": "docker",
                "parameters": {"imageUrl": "a/b", "environment": {f"K{n}": "v" for n in range(30_000)}},
            },
        ),
        "operations": (
            "POST",
            "/v1/datasets/x/transformations",
            {"operations": [{"type": "remove-duplicates"}] * 14_000},
        ),
        "a document": ("PATCH", "/v1/documents/x", {"groundTruth": labels(30_000)}),
    }


def raw() -> dict[str, Request]:
    """The same for requests whose form is hostile."""
    return {
        "deep": ("POST", "/v1/documents", b'{"metadata":' + b'{"a":' * 1_600_000, JSON),
        "brackets": ("POST", "/v1/documents", b"[]," * 3_300_000, JSON),
        "a text": ("POST", "/v1/documents", b'{"name":"' + b'\\"{' * 66_000 + b'"}', JSON),
        "escapes": ("POST", "/v1/documents", b'{"name":"' + b"\\\\\\\\u0000" * 900_000 + b'"}', JSON),
        "digits": ("POST", "/v1/datasets", b'{"retentionInDays":' + b"9" * 500_000 + b"}", JSON),
        "spaces": ("POST", "/v1/documents", b" " * 9_000_000 + b"{", JSON),
        "a query": ("GET", "/v1/documents?" + "a=b&" * 4000, b"", {}),
        "escapes in a query": ("GET", "/v1/documents?datasetId=" + "%41" * 5000, b"", {}),
        "filters": ("GET", "/v1/workflows/x/executions?" + "status=failed&" * 1100, b"", {}),
        "a long id": ("GET", "/v1/documents/" + "a%2F" * 1000, b"", {}),
        "slashes": ("GET", "/v1/models/" + "a/" * 2000, b"", {}),
        "headers": ("GET", "/v1/documents", b"", {f"X-{n}": "v" * 500 for n in range(90)}),
        "a token": ("GET", "/v1/documents", b"", {"Authorization": "Bearer " + "e30." * 10_000}),
        "a form": ("POST", "/token", b"a=b&" * 2000, {"Content-Type": "application/x-www-form-urlencoded"}),
        "a trace": ("GET", "/v1/documents", b"", {"tracestate": ",".join(f"a{n}=b" for n in range(9000))}),
    }


@pytest.mark.fuzz
def test_no_hostile_request_holds_the_loop(served: Served) -> None:
    requests = raw() | {
        name: (method, path, msgspec.json.encode(body), JSON)
        for name, (method, path, body) in bodies().items()
    }
    held: dict[str, list[str]] = {}
    with httpx.Client(base_url=served.url, timeout=120) as client:
        for name, (method, path, body, headers) in requests.items():
            before = len(served.log.read_text())
            answer = client.request(
                method, path, content=body, headers={"Authorization": f"Bearer {served.token}", **headers}
            )
            assert answer.status_code < 500, (name, answer.text)
            written = served.log.read_text()[before:].splitlines()
            lines = [line for line in written if HELD.partition("%")[0] in line]
            if lines:
                held[name] = lines
        assert held == {}
        assert client.get("/health").status_code == 200

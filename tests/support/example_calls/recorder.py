"""Recorder of calls: one for each operation, by its operation id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from pagemill.api.openapi.examples import Example


@dataclass(frozen=True, slots=True)
class Operation:
    """Where an operation of the document is found."""

    method: str
    path: str
    tag: str


def operations_of(document: Mapping[str, Any]) -> dict[str, Operation]:
    """Return the document's operations by their ids, in the order of the document."""
    return {
        operation["operationId"]: Operation(method.upper(), path, operation["tags"][0])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


@dataclass(slots=True)
class Recorder:
    """Calls the API as an app client, as a user or without a token, and keeps what was sent and answered."""

    operations: Mapping[str, Operation]
    app_client: httpx.AsyncClient
    user: httpx.AsyncClient
    anonymous: httpx.AsyncClient
    examples: dict[str, Example] = field(default_factory=dict)

    async def call(
        self,
        operation_id: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        by: httpx.AsyncClient | None = None,
        **path: str,
    ) -> Any:
        """Call an operation and record it; returns the answer, which has to be a success."""
        operation = self.operations[operation_id]
        assert operation_id not in self.examples, operation_id
        response = await (by or self.app_client).request(
            operation.method,
            re.sub(r"\{(\w+)\}", lambda match: path[match[1]], operation.path),
            params=query,
            json=body,
        )
        assert response.status_code in (200, 204), (operation_id, response.text)
        answer = response.json() if response.content else msgspec.UNSET
        self.keep(operation_id, body, answer, path=path, query=query)
        return answer

    async def prepare(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API without recording; returns the answer, which has to be a success."""
        response = await self.app_client.request(method, f"/v1{path}", json=body)
        assert response.status_code == 200, (path, response.text)
        return response.json()

    def keep(
        self,
        operation_id: str,
        body: Any,
        answer: Any,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a call that was made in another way."""
        self.examples[operation_id] = Example(
            path=dict(path or {}),
            query=dict(query or {}),
            request=msgspec.UNSET if body is None else body,
            answer=answer,
        )

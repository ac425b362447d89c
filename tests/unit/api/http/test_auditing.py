"""Tests of what is audited, and of the ids that answers tell."""

from __future__ import annotations

import pytest

from pagemill.api.http.auditing import id_made, is_audited


@pytest.mark.parametrize(
    ("method", "path", "audited"),
    [
        ("GET", "/v1/users", False),
        ("HEAD", "/v1/users", False),
        ("POST", "/v1/users", True),
        ("PATCH", "/v1/users/{user_id}", True),
        ("POST", "/v1/documents", False),
        ("PUT", "/v1/files/{document_id}", False),
        ("DELETE", "/v1/documents", True),
        ("DELETE", "/v1/documents/{document_id}", True),
        ("POST", "/v1/predictions", False),
        ("POST", "/v1/workflows/{workflow_id}/executions", False),
        ("DELETE", "/v1/workflows/{workflow_id}/executions/{execution_id}", True),
        ("POST", "/v1/transitions/{transition_id}/executions/{execution_id}/claim", False),
        ("POST", "/v1/models/{model_id}/trainings", True),
    ],
)
def test_what_is_audited(method: str, path: str, audited: bool) -> None:
    assert is_audited(path, method) is audited


@pytest.mark.parametrize(
    ("kind", "body", "made"),
    [
        ("dataset", b'{"createdBy":"las:user:1","datasetId":"las:dataset:1"}', "las:dataset:1"),
        ("user", b'{"createdBy":"las:user:1","updatedBy":null,"userId":"las:user:2"}', "las:user:2"),
        ("user", b'{"createdBy":"las:user:1"}', None),
        ("model", b'{"organizationId":"las:organization:o","modelId":"las:model:m"}', "las:model:m"),
        ("user", b'{"users":[{"userId":"las:user:1"}]}', None),
        ("user", b"[]", None),
        ("user", b"", None),
        ("user", b"{", None),
    ],
)
def test_the_id_in_an_answer(kind: str, body: bytes, made: str | None) -> None:
    assert id_made(kind, body) == made

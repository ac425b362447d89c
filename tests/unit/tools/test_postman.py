"""Postman collections that do not change without a reason."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tools.api_docs import postman
from tools.api_docs.postman import MADE_FROM, ConverterUnavailable, checksum, collection_text


def converted() -> dict[str, Any]:
    """What the converter writes: new ids in every run."""

    def answer(code: int) -> dict[str, Any]:
        return {"id": str(uuid.uuid4()), "name": f"Answer {code}", "code": code}

    request = {
        "id": str(uuid.uuid4()),
        "name": "List models",
        "request": {"url": {"path": ["v1", "models"]}},
        "response": [answer(200), answer(404)],
    }
    folder = {"id": str(uuid.uuid4()), "name": "Models", "item": [request]}
    info = {"name": "Pagemill", "_postman_id": str(uuid.uuid4())}
    return {"info": info, "item": [folder], "variable": [{"key": "baseUrl", "value": "https://localhost"}]}


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A converter in place of Node's."""

    def run(_command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, stdout=json.dumps(converted()))

    monkeypatch.setattr(postman.shutil, "which", lambda name: name)
    monkeypatch.setattr(postman, "CACHE", tmp_path)
    monkeypatch.setattr(postman.subprocess, "run", run)


@pytest.mark.usefixtures("converter")
def test_two_runs_give_the_same_collection() -> None:
    assert collection_text("{}") == collection_text("{}")


@pytest.mark.usefixtures("converter")
def test_it_carries_the_checksum_of_its_document() -> None:
    variables = json.loads(collection_text("{}"))["variable"]
    assert {"key": MADE_FROM, "value": checksum("{}")} in variables
    assert checksum("{}") != checksum("{ }")


@pytest.mark.usefixtures("converter")
def test_only_successful_answers_are_kept() -> None:
    ((request,),) = [folder["item"] for folder in json.loads(collection_text("{}"))["item"]]
    assert [answer["code"] for answer in request["response"]] == [200]


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_without_node_or_npm_there_is_no_collection(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postman.shutil, "which", lambda name: None if name == missing else name)
    monkeypatch.setattr(postman, "CACHE", tmp_path)
    with pytest.raises(ConverterUnavailable, match=missing):
        collection_text("{}")

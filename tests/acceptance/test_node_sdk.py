"""Every method of the Node SDK, unmodified and over HTTPS: the scenarios in ``tests/node``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Trained
from tests.support.clients import check_answer
from tests.support.newcomers import FrontDoor
from tests.support.node import NodeRun, run_scenarios, scenarios


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node") / "answers.json"


@pytest.fixture(scope="module")
def node(front_door: FrontDoor, trained: Trained, answers: Path) -> NodeRun:
    with front_door.newcomer() as ada:
        identifiers = {
            "PERSON_TOKEN": ada.tokens["access_token"],
            "PROFILE_ID": ada.api.get("/profiles/me").json()["profileId"],
            "MODEL_ID": trained.model_id,
            "TRAINING_ID": trained.training["trainingId"],
            "DATA_BUNDLE_ID": trained.data_bundle["dataBundleId"],
            "DOCUMENT_ID": trained.documents[0][1],
        }
        return run_scenarios({**front_door.stack.environment, **identifiers}, answers)


@pytest.mark.parametrize("name", scenarios())
def test_scenario(node: NodeRun, name: str) -> None:
    assert name in node.trouble, node.output
    assert not node.trouble[name], node.trouble[name]


def test_every_answer_follows_the_reference(node: NodeRun, answers: Path) -> None:
    noted = json.loads(answers.read_text())

    assert len(noted) > 100
    for answer in noted:
        check_answer(answer["method"].upper(), answer["url"], answer["status"], answer["body"] or b"")

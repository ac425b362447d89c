"""Parameters of transitions, as they are read and merged."""

from __future__ import annotations

from typing import Any

import pytest

from db.transitions import TransitionType
from pagemill.api.resources.transition_parameters import (
    ENVIRONMENT_BYTES,
    checked_environment,
    merge_parameters,
    read_parameters,
    secrets_of,
)
from pagemill.errors import BadRequest

SECRET = f"las:secret:{'a' * 32}"
OTHER_SECRET = f"las:secret:{'b' * 32}"
IMAGE = {"imageUrl": "registry/image:1"}


@pytest.mark.parametrize(
    ("transition_type", "sent"),
    [
        ("docker", IMAGE),
        ("docker", {**IMAGE, "cpu": 256, "memory": 512, "environment": {}, "secretId": SECRET}),
        ("lambda", {"lambdaId": "las:lambda:name:1", "environmentSecrets": [SECRET]}),
        ("manual", {}),
        ("manual", {"assets": {"form": f"las:asset:{'0' * 32}"}}),
    ],
)
def test_members_that_were_sent_are_kept(transition_type: TransitionType, sent: dict[str, Any]) -> None:
    assert read_parameters(transition_type, sent) == sent


@pytest.mark.parametrize("transition_type", ["docker", "lambda"])
def test_only_a_new_transition_needs_its_image_or_function(transition_type: TransitionType) -> None:
    changes = {"environment": None, "environmentSecrets": [SECRET]}
    assert read_parameters(transition_type, changes, changes=True) == changes
    with pytest.raises(BadRequest, match="required field"):
        read_parameters(transition_type, {"environmentSecrets": [SECRET]})


def test_null_removes_a_member() -> None:
    stored = {**IMAGE, "cpu": 256, "environment": {"A": "b"}}
    assert merge_parameters(stored, {"environment": None, "memory": 512}) == {
        **IMAGE,
        "cpu": 256,
        "memory": 512,
    }


def test_secrets_by_member() -> None:
    configuration = {"secretId": SECRET, "environmentSecrets": [OTHER_SECRET]}
    assert secrets_of(configuration, "completedConfig.") == {
        "completedConfig.environmentSecrets": [OTHER_SECRET],
        "completedConfig.secretId": [SECRET],
    }
    assert secrets_of({}, "") == {"environmentSecrets": [], "secretId": []}


@pytest.mark.parametrize("environment", [{"": "a"}, {"A=B": "c"}, {"A": "x" * ENVIRONMENT_BYTES}])
def test_an_environment_that_no_process_can_have_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match=r"^member: "):
        checked_environment(environment, "member")

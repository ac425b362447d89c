"""The bounds of the rehearsals of deployments: each figure that breaks one is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import rehearsal_head, rehearsal_release
from benchmarks.deploy_load import quantile

RELEASED = {
    "failed": 0,
    "countedOnce": True,
    "restartsBySameRelease": 0,
    "keptByNewRelease": 0,
    "ratio": 1.4,
}
HEAD_CAME_BACK = {
    "failed": 0,
    "wrongAnswers": 0,
    "countedOnce": True,
    "begunAgain": 2,
    "deployments": 2,
    "exitStatusOfDeployer": 0,
}


@pytest.mark.parametrize(
    "broken",
    [
        {"failed": 1},
        {"countedOnce": False},
        {"restartsBySameRelease": 1},
        {"keptByNewRelease": 1},
        {"ratio": 2.1},
    ],
)
def test_bounds_of_a_release(broken: dict[str, Any]) -> None:
    assert rehearsal_release.holds_bounds(RELEASED)
    assert not rehearsal_release.holds_bounds(RELEASED | broken)


@pytest.mark.parametrize(
    "broken",
    [
        {"failed": 1},
        {"wrongAnswers": 1},
        {"countedOnce": False},
        {"begunAgain": 0},
        {"deployments": 1},
        {"exitStatusOfDeployer": -9},
    ],
)
def test_bounds_of_a_lost_head(broken: dict[str, Any]) -> None:
    assert rehearsal_head.holds_bounds(HEAD_CAME_BACK)
    assert not rehearsal_head.holds_bounds(HEAD_CAME_BACK | broken)


def test_quantiles_are_values_that_were_seen() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([], 0.5) == 0.0

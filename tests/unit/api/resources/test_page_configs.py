"""Precedence and bounds of preprocessConfig and postprocessConfig."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from pagemill.api.resources.page_configs import (
    PostprocessConfig,
    PreprocessConfig,
    effective_preprocess_config,
    model_postprocess_config,
    model_preprocess_config,
    sent_preprocess_config,
)
from pagemill.errors import BadRequest

DEFAULTS = {"imageQuality": "LOW", "autoRotate": False, "maxPages": 1}


def preprocess(**members: Any) -> PreprocessConfig:
    return msgspec.convert(members, PreprocessConfig)


def test_model_keeps_what_was_sent_over_the_defaults() -> None:
    assert model_preprocess_config(UNSET) == DEFAULTS
    assert model_preprocess_config(preprocess(maxPages=3, rotation=90)) == {
        "imageQuality": "LOW",
        "autoRotate": False,
        "maxPages": 3,
        "rotation": 90,
    }


def test_a_config_without_members_is_refused() -> None:
    with pytest.raises(BadRequest, match="preprocessConfig"):
        sent_preprocess_config(preprocess())


@pytest.mark.parametrize(
    "members",
    [
        {"maxPages": 0},
        {"maxPages": 101},
        {"maxPages": None},
        {"rotation": 45},
        {"rotation": True},
        {"imageQuality": "low"},
        {"autoRotate": 1},
        {"pages": [0] * 101},
        {"pages": ["0"]},
        {"pages": [2**40]},
        {"startPage": 0.5},
        {"width": 100},
    ],
)
def test_preprocess_config_is_closed_and_bounded(members: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(members, PreprocessConfig)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], {**DEFAULTS, "startPage": 0}),
        ([{"maxPages": 2}, {"maxPages": 3, "imageQuality": "HIGH"}], {"maxPages": 2, "imageQuality": "HIGH"}),
        ([{"startPage": 4}, {"maxPages": 3}], {"startPage": 4, "maxPages": 3}),
        ([{"rotation": 90}, {"rotation": 180}], {"rotation": 90}),
        ([{"autoRotate": False}, {}, {"autoRotate": True}], {"autoRotate": False}),
    ],
)
def test_the_first_layer_that_has_a_member_decides(
    layers: list[dict[str, Any]], expected: dict[str, Any]
) -> None:
    assert effective_preprocess_config(*layers) == {**DEFAULTS, "startPage": 0, **expected}


@pytest.mark.parametrize(
    "layers",
    [
        [{"pages": [0, -1]}],
        [{"pages": [0, -1], "maxPages": 3, "startPage": 2}],
        [{"maxPages": 3, "pages": [0, -1]}],
        [{"pages": [0, -1]}, {"maxPages": 3}],
        [{}, {"pages": [0, -1], **DEFAULTS}],
    ],
)
def test_explicit_pages_win_over_a_range(layers: list[dict[str, Any]]) -> None:
    assert effective_preprocess_config(*layers) == {
        "imageQuality": "LOW",
        "autoRotate": False,
        "pages": [0, -1],
    }


def test_a_range_in_the_request_wins_over_pages_of_the_model() -> None:
    effective = effective_preprocess_config({"startPage": 2}, {"pages": [0], **DEFAULTS})
    assert effective == {**DEFAULTS, "startPage": 2}


@pytest.mark.parametrize(
    "config",
    [
        {"strategy": "BEST_FIRST"},
        {"strategy": "BEST_FIRST", "outputFormat": "v2"},
        {"strategy": "BEST_N_PAGES", "parameters": {"n": 1}},
        {"strategy": "BEST_N_PAGES", "parameters": {"n": 100, "collapse": True}, "outputFormat": "v1"},
    ],
)
def test_postprocess_config_comes_back_as_sent(config: dict[str, Any]) -> None:
    assert model_postprocess_config(msgspec.convert(config, PostprocessConfig)) == config


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"strategy": "BEST"},
        {"strategy": "BEST_FIRST", "parameters": {"n": 1}},
        {"strategy": "BEST_FIRST", "outputFormat": "v3"},
        {"strategy": "BEST_N_PAGES"},
        {"strategy": "BEST_N_PAGES", "parameters": {}},
        {"strategy": "BEST_N_PAGES", "parameters": {"n": 0}},
        {"strategy": "BEST_N_PAGES", "parameters": {"n": 101}},
        {"strategy": "BEST_N_PAGES", "parameters": {"n": 1, "collapse": None}},
        {"strategy": "BEST_N_PAGES", "parameters": {"n": 1}, "extra": 1},
    ],
)
def test_postprocess_config_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(config, PostprocessConfig)


def test_postprocess_default() -> None:
    assert model_postprocess_config(UNSET) == {"strategy": "BEST_FIRST"}

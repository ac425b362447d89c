"""The same cluster on Kubernetes keeps the same promises."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFEST = Path(__file__).parents[3] / "deploy" / "kuberay.yaml"


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    assert loaded["kind"] == "RayCluster"
    return dict(loaded["spec"])


def limits(group: dict[str, Any]) -> dict[str, str]:
    [container] = group["template"]["spec"]["containers"]
    return dict(container["resources"]["limits"])


def test_token_authentication_is_on(specification: dict[str, Any]) -> None:
    assert specification["authOptions"] == {"mode": "token"}


def test_the_version_is_the_one_that_is_installed(specification: dict[str, Any]) -> None:
    assert specification["rayVersion"] == version("ray")


def test_no_work_is_scheduled_on_the_head(specification: dict[str, Any]) -> None:
    assert specification["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_gpus_start_from_zero(specification: dict[str, Any]) -> None:
    groups = [group for group in specification["workerGroupSpecs"] if "nvidia.com/gpu" in limits(group)]
    assert [(group["minReplicas"], group["replicas"]) for group in groups] == [(0, 0)]


def test_all_pods_have_the_settings_and_start_no_http_server(specification: dict[str, Any]) -> None:
    for group in (specification["headGroupSpec"], *specification["workerGroupSpecs"]):
        [container] = group["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "pagemill-settings"}}]
        assert {"name": "RAY_SERVE_ENABLE_DIRECT_INGRESS", "value": "0"} in container["env"]
        assert {"name": "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "value": "1"} in container["env"]

"""The cluster that the repository describes: an idle head, GPUs from zero, no node without the token."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def test_ray_understands_it(cluster: dict[str, Any]) -> None:
    specification = find_spec("ray")
    assert specification is not None
    [location] = specification.submodule_search_locations or []
    schema = json.loads((Path(location) / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(cluster, schema)


def test_no_work_is_scheduled_on_the_head(cluster: dict[str, Any]) -> None:
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "--num-cpus=0" in cluster["head_start_ray_commands"][-1]


def test_gpus_start_from_zero(cluster: dict[str, Any]) -> None:
    groups = [group for group in cluster["available_node_types"].values() if group["resources"].get("GPU")]
    assert groups
    assert all(group["min_workers"] == 0 < group["max_workers"] for group in groups)


def test_there_are_cpu_workers_for_reading(cluster: dict[str, Any]) -> None:
    group = cluster["available_node_types"]["reading"]
    assert group["resources"]["CPU"] > 0
    assert "GPU" not in group["resources"]
    assert group["min_workers"] >= 1


def environment_script(cluster: dict[str, Any]) -> str:
    [script] = [command for command in cluster["setup_commands"] if "environment <<" in command]
    return str(script)


def start(cluster: dict[str, Any], home: Path) -> subprocess.CompletedProcess[str]:
    """What a node does before it starts Ray, with the start replaced by a look at its environment."""
    (home / "pagemill").mkdir(exist_ok=True)
    (home / "pagemill" / "pagemill.env").write_text("PAGEMILL_DATABASE_URL=postgresql://somewhere/db\n")
    script = environment_script(cluster) + "\n. ~/pagemill/environment && env"
    return subprocess.run(
        ["/bin/sh", "-c", script],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_node_uses_the_environment(cluster: dict[str, Any]) -> None:
    commands = [*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]]
    assert all(command.startswith(". ~/pagemill/environment && ") for command in commands)


def test_nothing_starts_without_a_token(cluster: dict[str, Any], tmp_path: Path) -> None:
    done = start(cluster, tmp_path)
    assert done.returncode == 1
    assert "no Ray token" in done.stderr
    assert "RAY_AUTH_MODE" not in done.stdout


def test_with_a_token_authentication_is_on(cluster: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "pagemill").mkdir()
    (tmp_path / "pagemill" / "ray-token").write_text("secret")
    environment = start(cluster, tmp_path).stdout.splitlines()
    assert "RAY_AUTH_MODE=token" in environment
    assert f"RAY_AUTH_TOKEN_PATH={tmp_path}/pagemill/ray-token" in environment
    assert "PAGEMILL_DATABASE_URL=postgresql://somewhere/db" in environment

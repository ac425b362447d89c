"""The cluster that the repository describes: an idle head, pools from zero, no node without the token."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray._raylet import node_labels_match_selector

from pagemill.pools import (
    POOL_LABEL,
    Placement,
    Pool,
    coordinator,
    job_driver,
    prediction_replica,
    reading_replica,
    training_worker,
)
from pagemill.settings import Settings, load_settings

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
    assert head["resources"]["CPU"] == 0
    assert "GPU" not in head["resources"]
    assert "--num-cpus=0" in cluster["head_start_ray_commands"][-1]


def workers(cluster: dict[str, Any], pool: Pool) -> list[dict[str, Any]]:
    return [
        group
        for name, group in cluster["available_node_types"].items()
        if name != cluster["head_node_type"] and group["labels"] == {POOL_LABEL: pool}
    ]


def test_every_type_is_in_a_pool_that_the_platform_knows(cluster: dict[str, Any]) -> None:
    groups = cluster["available_node_types"]
    assert {group["labels"][POOL_LABEL] for group in groups.values()} == set(Pool)
    assert groups[cluster["head_node_type"]]["labels"] == {POOL_LABEL: "head"}
    assert workers(cluster, Pool.HEAD) == []


@pytest.mark.parametrize("pool", [Pool.READING, Pool.SERVING, Pool.TRAINING])
def test_nodes_start_from_zero_and_go(cluster: dict[str, Any], pool: Pool) -> None:
    groups = workers(cluster, pool)
    assert groups
    assert all(group["min_workers"] == 0 < group["max_workers"] for group in groups)
    assert all(60 <= group["idle_timeout_s"] <= 900 for group in groups)


@pytest.mark.parametrize("pool", [Pool.READING, Pool.SERVING, Pool.TRAINING])
def test_spot_nodes_are_tried_first_and_nodes_on_demand_are_the_same(
    cluster: dict[str, Any], pool: Pool
) -> None:
    spot, on_demand = sorted(workers(cluster, pool), key=lambda group: -group.get("priority", 0))
    assert spot["node_config"].pop("InstanceMarketOptions") == {"MarketType": "spot"}
    assert spot.pop("priority") > 0
    assert spot == on_demand


def test_only_pools_for_gpus_have_them_and_offer_no_processor_to_others(cluster: dict[str, Any]) -> None:
    for pool in Pool:
        for group in workers(cluster, pool):
            assert ("GPU" in group["resources"]) == (pool in {Pool.SERVING, Pool.TRAINING})
            assert (group["resources"]["CPU"] > 0) == (pool is Pool.READING)


def test_the_bill_has_a_bound_that_leaves_each_pool_its_nodes(cluster: dict[str, Any]) -> None:
    groups = (workers(cluster, pool) for pool in (Pool.READING, Pool.SERVING, Pool.TRAINING))
    assert cluster["max_workers"] == sum(group[0]["max_workers"] for group in groups)


def placements(settings: Settings) -> list[Placement]:
    return [
        reading_replica(settings),
        prediction_replica(settings),
        training_worker(settings),
        job_driver(settings),
        coordinator(),
    ]


@pytest.mark.parametrize("gpu_part", ["0", "0.25", "1"])
def test_everything_fits_on_a_node_of_its_pool(
    cluster: dict[str, Any], tmp_path: Path, gpu_part: str
) -> None:
    parts = {
        f"PAGEMILL_GPU_PER_{part}_REPLICA": gpu_part
        for part in ("READING", "PREDICTION")  # as an operator would in pagemill.env
    }
    settings = load_settings(settings_of_a_node(cluster, tmp_path) | parts)
    for placement in placements(settings):
        matching = [
            group["resources"]
            for group in cluster["available_node_types"].values()
            if node_labels_match_selector(group["labels"], placement.label_selector)
        ]
        assert matching
        for resources in matching:
            assert all(resources.get(name, 0) >= amount for name, amount in placement.bundle.items())


def settings_of_a_node(cluster: dict[str, Any], home: Path) -> dict[str, str]:
    (home / "pagemill").mkdir()
    (home / "pagemill" / "ray-token").write_text("secret")
    environment = dict(line.split("=", 1) for line in start(cluster, home).stdout.splitlines())
    return {**environment, "PAGEMILL_OBJECTS_URL": "s3://elsewhere"}


def test_the_settings_of_a_node_reserve_what_they_take(cluster: dict[str, Any], tmp_path: Path) -> None:
    settings = load_settings(settings_of_a_node(cluster, tmp_path))
    assert all(placement.memory > 0 for placement in placements(settings)[:-1])
    readers = sum(
        group["max_workers"] * group["resources"]["CPU"] for group in workers(cluster, Pool.READING)[:1]
    )
    assert settings.reading_replicas_max * settings.reading_cpus == readers
    assert settings.training_concurrency == workers(cluster, Pool.TRAINING)[0]["max_workers"]


def test_what_stands_in_the_operators_file_counts(cluster: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "pagemill").mkdir()
    (tmp_path / "pagemill" / "ray-token").write_text("secret")
    lines = start(cluster, tmp_path, "PAGEMILL_TRAINING_MEMORY=4\n").stdout.splitlines()
    assert "PAGEMILL_TRAINING_MEMORY=4" in lines


def test_work_without_a_gpu_sees_none_and_replicas_are_packed(
    cluster: dict[str, Any], tmp_path: Path
) -> None:
    environment = settings_of_a_node(cluster, tmp_path)
    assert environment["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] == "1"
    assert environment["RAY_SERVE_USE_PACK_SCHEDULING_STRATEGY"] == "1"


def environment_script(cluster: dict[str, Any]) -> str:
    [script] = [command for command in cluster["setup_commands"] if "environment <<" in command]
    return str(script)


def start(cluster: dict[str, Any], home: Path, of_the_operator: str = "") -> subprocess.CompletedProcess[str]:
    """What a node does before it starts Ray, with the start replaced by a look at its environment."""
    (home / "pagemill").mkdir(exist_ok=True)
    (home / "pagemill" / "pagemill.env").write_text(
        f"PAGEMILL_DATABASE_URL=postgresql://somewhere/db\n{of_the_operator}"
    )
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

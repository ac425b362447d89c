"""The node types of cluster.yaml, as Ray's fake provider gets them."""

from __future__ import annotations

import yaml
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig

from benchmarks.pretended_nodes import pretended
from benchmarks.rehearsal_pools import CLUSTER
from pagemill.pools import POOL_LABEL


def test_the_autoscaler_takes_the_types_of_the_file() -> None:
    described = yaml.safe_load(CLUSTER.read_text())["available_node_types"]

    types = AutoscalingConfig(
        pretended("127.0.0.1:6379", idle_seconds=10.0, cpus_divided_by=4), skip_content_hash=True
    ).get_node_type_configs()

    workers = {name: node for name, node in described.items() if name != "head"}
    assert set(types) == {*workers, "ray.head.default"}
    for name, node in workers.items():
        assert types[name].labels == node["labels"]
        assert types[name].priority == node.get("priority", 0)
        assert types[name].max_worker_nodes == node["max_workers"]
        assert types[name].resources["CPU"] == node["resources"]["CPU"] // 4
        assert types[name].resources.get("GPU") == node["resources"].get("GPU")
        assert types[name].idle_timeout_s == 10.0


def test_its_head_has_the_label_of_the_file() -> None:
    head = pretended("127.0.0.1:6379", idle_seconds=10.0, cpus_divided_by=4)["available_node_types"][
        "ray.head.default"
    ]

    assert head["labels"] == {POOL_LABEL: "head"}
    assert head["resources"]["CPU"] == 0
    assert head["max_workers"] == 0

"""The node types of cluster.yaml for Ray's fake provider, which starts nodes as processes on this machine."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE

from benchmarks.rehearsal_pools import CLUSTER

OBJECT_STORE_BYTES = 100 * 1024 * 1024
PROVIDER = {
    # The type `fake_multinode` needs a file that Ray's wheel does not have; its class needs none.
    "type": "external",
    "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
    "head_node_id": FAKE_HEAD_NODE_ID,
    "launch_multiple": True,
    "disable_node_updaters": True,
    "disable_launch_config_check": True,
}
LISTS = (
    "cluster_synced_files",
    *("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"),
    *("head_start_ray_commands", "worker_start_ray_commands"),
)
HEAD_ENVIRONMENT = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_NODE_TYPE_NAME": FAKE_HEAD_NODE_TYPE,
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}
"""Variables of the head whose autoscaler pretends; it looks each second, where Ray's default is five."""


def pretended(
    address: str, *, idle_seconds: float, cpus_divided_by: int, path: Path = CLUSTER
) -> dict[str, Any]:
    """Return the autoscaler's configuration: all of the file but the cloud, memory, and part of the CPUs."""
    described: dict[str, Any] = yaml.safe_load(path.read_text())
    types = {
        name: _pretended_type(node, idle_seconds, cpus_divided_by)
        for name, node in described["available_node_types"].items()
    }
    # The provider knows its head by this name alone.
    types[FAKE_HEAD_NODE_TYPE] = types.pop(described["head_node_type"])
    return {
        **{name: described[name] for name in ("cluster_name", "max_workers", "upscaling_speed")},
        **{name: [] for name in LISTS},
        "provider": {**PROVIDER, "gcs_address": address},
        "auth": {},
        "file_mounts": {},
        "idle_timeout_minutes": idle_seconds / 60,
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "available_node_types": types,
    }


def _pretended_type(node: dict[str, Any], idle_seconds: float, cpus_divided_by: int) -> dict[str, Any]:
    pretended_type = copy.deepcopy(node)
    resources = pretended_type["resources"]
    # Nobody reserves memory in a rehearsal: all nodes share that of one machine.
    del resources["memory"]
    resources["CPU"] = resources["CPU"] // cpus_divided_by
    resources["object_store_memory"] = OBJECT_STORE_BYTES
    pretended_type["node_config"] = {}
    if "idle_timeout_s" in pretended_type:
        pretended_type["idle_timeout_s"] = idle_seconds
    return pretended_type

"""Checks of ``cluster.yaml``: Ray's own, those of the cloud's interface, and what Pagemill wants of it.

They ask nobody: Ray's schema and names come from its package, those of EC2 from botocore's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
from botocore.session import get_session
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import validate_config

from pagemill.pools import POOL_LABEL, Pool
from tools.cluster_file.commands import faults_of_commands
from tools.cluster_file.loading import Json

RESOURCES = frozenset({"CPU", "GPU", "memory", "object_store_memory"})
PROVIDER = frozenset(
    {"type", "region", "availability_zone", "cache_stopped_nodes", "use_internal_ips", "use_external_head_ip"}
)
"""Keys of the provider ``aws`` that Ray reads; it accepts any."""
PLACEHOLDER = re.compile(r"^(ami|sg)-0+$")


def faults_of(cluster: Json) -> list[str]:
    """Return what is wrong, a line each; nothing for a good file."""
    found = [*_ray_faults(cluster)]
    if found:
        # What follows reads what Ray's schema demands.
        return found
    return [
        *_provider_faults(cluster),
        *_pool_faults(cluster),
        *(fault for name in cluster["available_node_types"] for fault in _type_faults(cluster, name)),
        *faults_of_commands(cluster),
    ]


def unfilled_in(cluster: Json, directory: Path) -> list[str]:
    """Return what an operator has still to fill in, or to put beside the file in ``directory``."""
    missing = [
        f"{name}: {member}"
        for name, node in cluster["available_node_types"].items()
        for member in ("ImageId", "SecurityGroupIds")
        if any(PLACEHOLDER.match(one) for one in _list(node["node_config"].get(member, "ami-0")))
    ]
    return missing + [
        local for local in cluster["file_mounts"].values() if not (directory / local).expanduser().exists()
    ]


def _ray_faults(cluster: Json) -> Iterator[str]:
    try:
        # `ray up` adds the key with its default before it validates.
        validate_config({"cluster_synced_files": [], **cluster})
    except jsonschema.ValidationError as error:
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
    except (ValueError, RuntimeError) as error:
        yield str(error)
    for key in ("max_workers", "available_node_types", "head_node_type", "file_mounts", "setup_commands"):
        if key not in cluster:
            yield f"{key} is missing"


def _provider_faults(cluster: Json) -> Iterator[str]:
    for key in sorted(set(cluster["provider"]) - PROVIDER):
        yield f"provider: {key} is nothing that Ray reads"
    if cluster["provider"].get("cache_stopped_nodes", True):
        yield "provider: cache_stopped_nodes would keep, and have you pay for, the disks of nodes that went"


def _pool_faults(cluster: Json) -> Iterator[str]:
    types = cluster["available_node_types"]
    most: dict[str, int] = {}
    for node in types.values():
        pool = node.get("labels", {}).get(POOL_LABEL)
        most[pool] = max(most.get(pool, 0), node.get("max_workers", 0))
    for pool in sorted(set(Pool) - set(most)):
        yield f"no type of node is in the pool {pool}"
    if sum(most.values()) != cluster["max_workers"]:
        yield f"max_workers is {cluster['max_workers']}, and the pools together may have {sum(most.values())}"
    if types[cluster["head_node_type"]].get("labels") != {POOL_LABEL: Pool.HEAD}:
        yield "the head is not in the pool head"


def _type_faults(cluster: Json, name: str) -> Iterator[str]:
    node = cluster["available_node_types"][name]
    for label, value in node.get("labels", {}).items():
        if label != POOL_LABEL or value not in set(Pool):
            yield f"{name}: the label {label}: {value} is none of Pagemill's"
    if POOL_LABEL not in node.get("labels", {}):
        yield f"{name}: without the label {POOL_LABEL} it takes everything"
    for resource in sorted(set(node["resources"]) - RESOURCES):
        yield f"{name}: the resource {resource} is used by nothing"
    for resource in sorted({"CPU", "memory", "object_store_memory"} - set(node["resources"])):
        yield f"{name}: the resource {resource} is not said, and Ray would take what it finds"
    if name != cluster["head_node_type"]:
        yield from _worker_faults(name, node)
    for fault in _machine_faults(node["node_config"]):
        yield f"{name}: {fault}"


def _worker_faults(name: str, node: Json) -> Iterator[str]:
    spot = "InstanceMarketOptions" in node["node_config"]
    if spot != (node.get("priority", 0) > 0):
        yield f"{name}: a spot type has a priority, so that it is tried first, and a type on demand has none"
    if node.get("min_workers", 0) != 0:
        yield f"{name}: min_workers keeps nodes that nothing needs"
    if not 60 <= node.get("idle_timeout_s", 0) <= 900:
        yield f"{name}: idle_timeout_s is not from 60 to 900 seconds"


def _machine_faults(config: Json) -> Iterator[str]:
    """Yield what EC2 would refuse of a machine, and what would open it."""
    shape = _machine_shape()
    # Ray takes one of the subnets for each machine.
    request = {name: value for name, value in config.items() if name != "SubnetIds"}
    request |= {"MinCount": 1, "MaxCount": 1}
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
        return
    yield from _unknown_words(request, shape)
    if not config.get("SecurityGroupIds"):
        yield "without SecurityGroupIds Ray makes a group whose port 22 is open to everybody"
    if not config.get("ImageId"):
        yield "without ImageId it is Ubuntu 18.04, which has no Python that Pagemill runs on"
    if config.get("MetadataOptions", {}).get("HttpTokens") != "required":
        yield "MetadataOptions: HttpTokens is not `required`"
    for mapping in config.get("BlockDeviceMappings", []):
        if not mapping.get("Ebs", {}).get("Encrypted"):
            yield f"the disk {mapping.get('DeviceName')} is not encrypted"


@functools.cache
def _machine_shape() -> Any:
    """Return what EC2 takes to run an instance, as botocore has it."""
    return get_session().get_service_model("ec2").operation_model("RunInstances").input_shape


def _unknown_words(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """Yield the words that are none of those that EC2 knows at their place."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from _unknown_words(member, shape.members[name], f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        for item in value:
            yield from _unknown_words(item, shape.member, path)
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: EC2 does not know {value}"


def _list(value: object) -> list[str]:
    return value if isinstance(value, list) else [str(value)]

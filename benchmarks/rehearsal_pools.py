"""Rehearsal 1: the nodes that Ray's autoscaler would start from cluster.yaml, planned by its own scheduler.

The work is that of ``pagemill.pools`` with the settings that cluster.yaml gives its nodes: nothing is said
here again of what a reader or a training takes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingReply, SchedulingRequest
from ray.autoscaler.v2.schema import AutoscalerInstance
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import (
    ClusterResourceConstraint,
    GangResourceRequest,
    NodeState,
    ResourceRequest,
)
from ray.core.generated.common_pb2 import LabelSelectorOperator
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind

from benchmarks.rehearsal import Outcome, Rehearsal
from pagemill.pools import POOL_LABEL, Placement, Pool, job_driver, reading_replica, training_worker
from pagemill.settings import Settings, load_settings

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"
READERS, TRAININGS = 60, 8
ELSEWHERE = {"PAGEMILL_DATABASE_URL": "postgresql://elsewhere", "PAGEMILL_OBJECTS_URL": "s3://elsewhere"}
_ASSIGNMENT = re.compile(r"^\s*(PAGEMILL_\w+)=(\S+)\s*$", re.MULTILINE)
_EXCLUDING = re.compile(r"^!in\((.+)\)$")


@dataclass(frozen=True, slots=True)
class Work:
    """Work that waits for nodes, each piece with its placement."""

    pieces: tuple[Placement, ...] = ()
    gangs: tuple[tuple[Placement, ...], ...] = ()
    """Placement groups: the workers of a training begin together or not at all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan of the autoscaler."""

    started: Mapping[str, int]
    """Number of nodes of each type."""
    infeasible: int

    def nodes(self, types: Iterable[str]) -> int:
        """Return how many nodes of some types are started."""
        return sum(self.started.get(node_type, 0) for node_type in types)


class Cluster:
    """The cluster that a file describes, and plans for it."""

    def __init__(self, path: Path = CLUSTER) -> None:
        self._described: dict[str, Any] = yaml.safe_load(path.read_text())
        self._configuration = AutoscalingConfig(yaml.safe_load(path.read_text()), skip_content_hash=True)
        self.node_types: dict[str, dict[str, Any]] = self._described["available_node_types"]

    def settings(self, changed: Mapping[str, str] | None = None) -> Settings:
        """Return the settings of its nodes, some of them ``changed`` as by pagemill.env."""
        commands = "\n".join(self._described["setup_commands"])
        return load_settings({**ELSEWHERE, **dict(_ASSIGNMENT.findall(commands)), **(changed or {})})

    def types_in(self, pool: Pool) -> list[str]:
        """Return the types of nodes of a pool."""
        return [name for name, node in self.node_types.items() if node["labels"][POOL_LABEL] == pool]

    def types_with_gpu(self) -> list[str]:
        """Return the types of nodes that have a GPU."""
        return [name for name, node in self.node_types.items() if node["resources"].get("GPU")]

    def spot_types(self) -> list[str]:
        """Return the types of nodes that can be taken away."""
        return [
            name for name, node in self.node_types.items() if "InstanceMarketOptions" in node["node_config"]
        ]

    def plan(
        self, work: Work, *, idle: Mapping[str, int] | None = None, unavailable: Iterable[str] = ()
    ) -> Plan:
        """Plan for work; ``idle`` nodes run besides the head, ``unavailable`` types were refused lately."""
        running = Counter({self._described["head_node_type"]: 1}) + Counter(idle)
        reply = ResourceDemandScheduler(None).schedule(
            SchedulingRequest(
                node_type_configs=self._configuration.get_node_type_configs(),
                max_num_nodes=self._configuration.get_max_num_nodes(),
                disable_launch_config_check=True,
                resource_requests=ResourceRequestUtil.group_by_count([_request(one) for one in work.pieces]),
                gang_resource_requests=[
                    GangResourceRequest(requests=[_request(one) for one in gang]) for gang in work.gangs
                ],
                cluster_resource_constraints=_constraints(work.gangs),
                current_instances=[
                    self._running(node_type, f"{node_type}-{number}")
                    for node_type, count in running.items()
                    for number in range(count)
                ],
                recoverable_resource_availabilities=dict.fromkeys(unavailable, 0.0),
            )
        )
        return _plan(reply)

    def _running(self, node_type: str, name: str) -> AutoscalerInstance:
        node = self.node_types[node_type]
        is_head = node_type == self._described["head_node_type"]
        return AutoscalerInstance(
            cloud_instance_id=name,
            ray_node=NodeState(
                node_id=name.encode(),
                ray_node_type_name=node_type,
                total_resources=node["resources"],
                available_resources=node["resources"],
                labels=node["labels"],
            ),
            im_instance=Instance(
                instance_id=name,
                cloud_instance_id=name,
                node_id=name,
                instance_type=node_type,
                status=Instance.RAY_RUNNING,
                node_kind=NodeKind.HEAD if is_head else NodeKind.WORKER,
            ),
        )


def _plan(reply: SchedulingReply) -> Plan:
    started: Counter[str] = Counter()
    for launch in reply.to_launch:
        started[launch.instance_type] += launch.count
    infeasible = (
        *reply.infeasible_resource_requests,
        *reply.infeasible_gang_resource_requests,
        *reply.infeasible_cluster_resource_constraints,
    )
    return Plan(dict(sorted(started.items())), len(infeasible))


def _request(placement: Placement) -> ResourceRequest:
    """Return what Ray tells its autoscaler of a placement."""
    selector = []
    for label, condition in placement.label_selector.items():
        found = _EXCLUDING.match(condition)
        if found is None:
            raise ValueError(f"the rehearsal knows no selector {condition!r}")
        operator = LabelSelectorOperator.LABEL_OPERATOR_NOT_IN
        selector.append((label, operator, found[1].split(",")))
    return ResourceRequestUtil.make(placement.bundle, label_selectors=[selector])


def _constraints(gangs: Iterable[Iterable[Placement]]) -> list[ClusterResourceConstraint]:
    """Return what Ray Train's coordinator asks the cluster to have, besides the placement groups."""
    requests = ResourceRequestUtil.group_by_count([_request(one) for gang in gangs for one in gang])
    return [ClusterResourceConstraint(resource_requests=requests)] if requests else []


def readers_and_trainings(settings: Settings, readers: int, trainings: int) -> Work:
    """Return the work of readers and of trainings, whose drivers run on the head."""
    return Work(
        (reading_replica(settings),) * readers + (job_driver(settings),) * trainings,
        ((training_worker(settings),) * settings.training_workers,) * trainings,
    )


def run(path: Path = CLUSTER) -> Outcome:
    """Plan for readers and trainings at once: with spot nodes, without, and with idle GPU nodes there."""
    cluster = Cluster(path)
    work = readers_and_trainings(cluster.settings(), READERS, TRAININGS)
    readers = Work(work.pieces)
    gpu_types, reading_types = cluster.types_with_gpu(), cluster.types_in(Pool.READING)
    plan = cluster.plan(work)
    on_demand = cluster.plan(work, unavailable=cluster.spot_types())
    idle = cluster.plan(readers, idle=dict.fromkeys(cluster.types_in(Pool.TRAINING), TRAININGS // 2))
    seen = {
        "nodes": plan.started,
        "readingNodes": plan.nodes(reading_types),
        "gpuNodes": plan.nodes(gpu_types),
        "readingNodesWithIdleGpuNodes": idle.nodes(reading_types),
        "nodesWithoutSpot": on_demand.started,
        "infeasible": plan.infeasible + on_demand.infeasible + idle.infeasible,
    }
    holds = (
        plan.nodes(reading_types) >= 8
        and plan.nodes(gpu_types) == TRAININGS
        # Where a reader took an idle GPU node, fewer would be started.
        and idle.started == {name: plan.started[name] for name in idle.started}
        and idle.nodes(reading_types) == plan.nodes(reading_types)
        and plan.nodes(cluster.spot_types()) == sum(plan.started.values())
        and on_demand.nodes(cluster.spot_types()) == 0
        and sum(on_demand.started.values()) == sum(plan.started.values())
        and seen["infeasible"] == 0
    )
    return Outcome(seen, holds)


POOLS = Rehearsal(
    1,
    "pools",
    f"{READERS} readers and {TRAININGS} GPU trainings: >= 8 reading nodes, exactly {TRAININGS} GPU nodes, "
    "no reader on a GPU node, spot first, as many on demand without it, nothing infeasible",
    run,
)

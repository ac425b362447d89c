"""Workers of a training: how many, on what device, and why; and the wait for a node that takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
import ray

from db.trainings import InstanceType
from pagemill.errors import PagemillError
from pagemill.pools import POOL_LABEL, Placement, training_worker
from pagemill.settings import Settings

Result = TypeVar("Result")

SHARES: Mapping[InstanceType, int] = {"small-gpu": 1, "medium-gpu": 2, "large-gpu": 4}
"""Workers of an instance type, as a multiple of PAGEMILL_TRAINING_WORKERS."""
LOOK_SECONDS = 5.0


class NoNodeForTraining(PagemillError):
    """No node that could run a worker of the training has come in time."""

    status = 503


class NoUsableGpu(PagemillError):
    """Ray gave the worker a GPU that torch cannot use, and the settings ask for GPUs."""


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node that is there, with all that it offers."""

    labels: Mapping[str, str]
    resources: Mapping[str, float]

    def suits(self, placement: Placement) -> bool:
        """Return whether it can run one worker while nothing else runs on it."""
        pool = self.labels.get(POOL_LABEL)
        return pool in (None, placement.pool) and all(
            self.resources.get(name, 0.0) >= amount for name, amount in placement.bundle.items()
        )


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """Workers of a training: ``number`` of them, of the ``wanted`` ones."""

    number: int
    wanted: int
    placement: Placement
    reason: str

    @property
    def gpu(self) -> bool:
        """Return whether each worker takes a GPU."""
        return self.placement.gpus > 0

    def resized(self, nodes: Iterable[ClusterNode]) -> WorkerGroup:
        """Return as many workers as have a place on nodes that are there, but one at least.

        Ray Train's elastic groups are not used: they count GPUs of nodes that the label selector excludes,
        and would end a running group in favour of one that has no place.
        """
        return replace(self, number=max(1, min(self.wanted, places(nodes, self.placement))))


def plan_workers(
    instance_type: InstanceType, settings: Settings, nodes: Sequence[ClusterNode]
) -> WorkerGroup:
    """Return the workers of a training, from what the request and the settings ask for, and what is there.

    GPUs are used where the settings say so, or do not say and a node has one. Where they say so, nodes may
    still come. Without GPUs there is one worker for a node, since several on one share its processors.
    """
    wanted = _wanted(instance_type, settings)
    on_gpu = training_worker(msgspec.structs.replace(settings, training_gpu=True))
    gpus = places(nodes, on_gpu)
    asked = f"{instance_type} asks for {wanted}"
    if settings.training_gpu:
        return WorkerGroup(wanted, wanted, on_gpu, f"{asked}; each takes a GPU, by PAGEMILL_TRAINING_GPU")
    if settings.training_gpu is None and gpus:
        reason = f"{asked}; GPUs that trainings may take: {gpus}"
        return WorkerGroup(min(wanted, gpus), wanted, on_gpu, reason)
    on_cpu = training_worker(msgspec.structs.replace(settings, training_gpu=False))
    number = max(settings.training_workers, min(wanted, places(nodes, on_cpu)))
    why = "no GPU is there" if settings.training_gpu is None else "PAGEMILL_TRAINING_GPU=false"
    reason = f"{asked}; on CPUs, since {why}; nodes: {places(nodes, on_cpu)}"
    return WorkerGroup(number, wanted, on_cpu, reason)


def places(nodes: Iterable[ClusterNode], placement: Placement) -> int:
    """Return how many workers the nodes take: one for each GPU, or for each node without one."""
    suiting = [node for node in nodes if node.suits(placement)]
    return int(sum(node.resources["GPU"] for node in suiting)) if placement.gpus else len(suiting)


def _wanted(instance_type: InstanceType, settings: Settings) -> int:
    own = settings.training_workers
    return max(own, min(own * SHARES[instance_type], settings.training_workers_max))


def nodes_that_are_there() -> list[ClusterNode]:
    """Return the nodes of the cluster that this process is connected to."""
    return [ClusterNode(node["Labels"], node["Resources"]) for node in _nodes() if node["Alive"]]


def lost_nodes() -> frozenset[str]:
    """Return the ids of the nodes that the cluster has lost so far."""
    return frozenset(node["NodeID"] for node in _nodes() if not node["Alive"])


def has_lost_node(before: frozenset[str], seconds: float) -> bool:
    """Return whether the cluster has lost a node since ``before``, or does within some seconds."""
    deadline = time.monotonic() + seconds
    while lost_nodes() <= before:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.5)
    return True


def _nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return nodes


def wait_for_training(
    training: Future[Result],
    placement: Placement,
    limit: float,
    *,
    nodes: Callable[[], Iterable[ClusterNode]] = nodes_that_are_there,
    clock: Callable[[], float] = time.monotonic,
    look: float = LOOK_SECONDS,
) -> Result:
    """Return the result of a training whose workers may have to wait for a node.

    Raises NoNodeForTraining when for ``limit`` seconds no node was there that could run a worker; 0: never.
    Nodes that are there and busy are waited for: another training ends. Raises what the training raises.
    """
    seen = clock()
    while True:
        try:
            return training.result(timeout=look)
        except NotYet:
            if training.done():
                raise
        if any(node.suits(placement) for node in nodes()):
            seen = clock()
        elif limit and clock() - seen >= limit:
            what = "a GPU for trainings" if placement.gpus else "the CPUs of a training worker"
            raise NoNodeForTraining(f"No node with {what} has come within {limit:.0f} seconds")

"""Pools of nodes: where each part of the platform runs on Ray, and what it takes of its node.

It is said here alone: deployments, actors, tasks and Ray Train's workers ask for what these functions
return, and so does the rehearsal that plans a cluster for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pagemill.settings import Settings

POOL_LABEL = "pagemill/pool"
"""Label of a node; its value is the name of its pool."""

SURGE_PERCENT = 25
"""Replicas of a new release that start beside those of the old one; at least one does."""

_BYTES = 1024**3


class Pool(StrEnum):
    """A group of nodes with one purpose. Only nodes of the last two have GPUs."""

    HEAD = "head"
    READING = "reading"
    SERVING = "serving"
    TRAINING = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Pool of a part, and its share of a node."""

    pool: Pool
    cpus: float = 0.0
    gpus: float = 0.0
    memory: float = 0.0
    """GiB; 0 reserves none."""

    @property
    def label_selector(self) -> dict[str, str]:
        """Return Ray's selector of nodes: not those of the other pools.

        It excludes, where it could demand: a node without the label takes everything, so that one machine
        needs no labels. Ray's ``fallback_strategy`` would not do: while a pool has no node it would put work
        on those of the others, instead of waiting for a node of its own.
        """
        return {POOL_LABEL: f"!in({','.join(pool for pool in Pool if pool is not self.pool)})"}

    @property
    def actor_options(self) -> dict[str, Any]:
        """Return the options of an actor, a task or a replica."""
        return {
            "num_cpus": self.cpus,
            "num_gpus": self.gpus,
            "label_selector": self.label_selector,
            **({"memory": int(self.memory * _BYTES)} if self.memory else {}),
        }

    @property
    def bundle(self) -> dict[str, float]:
        """Return what is taken by the names of Ray's resources, as placement groups want it."""
        taken = {"CPU": self.cpus, "GPU": self.gpus, "memory": int(self.memory * _BYTES)}
        return {name: amount for name, amount in taken.items() if amount}


def reading_replica(settings: Settings) -> Placement:
    """Return the placement of a replica that reads pages."""
    return _on_device(
        Placement(pool=Pool.READING, cpus=settings.reading_cpus, memory=settings.reading_memory),
        Pool.SERVING,
        settings.gpu_per_reading_replica,
    )


def prediction_replica(settings: Settings) -> Placement:
    """Return the placement of a replica that finds fields."""
    return _on_device(
        Placement(pool=Pool.READING, cpus=settings.prediction_cpus, memory=settings.prediction_memory),
        Pool.SERVING,
        settings.gpu_per_prediction_replica,
    )


def training_worker(settings: Settings) -> Placement:
    """Return the placement of one worker of a training."""
    return _on_device(
        Placement(pool=Pool.READING, cpus=settings.training_cpus, memory=settings.training_memory),
        Pool.TRAINING,
        1.0 if settings.training_gpu else 0.0,
    )


def job_driver(settings: Settings) -> Placement:
    """Return the placement of what drives one long job: a training, or a data bundle.

    It runs on the head: Ray Train's coordinator stays on the node of the first driver, and would keep a
    node that should go.
    """
    return Placement(pool=Pool.HEAD, memory=settings.driver_memory)


def bundle_stage() -> Placement:
    """Return the placement of what moves words between object storage, data bundles and trainings.

    It mostly waits, for replicas or for the storage. On a reading node it would keep a place from a replica,
    or, without a CPU, the node from going.
    """
    return Placement(pool=Pool.HEAD)


def coordinator() -> Placement:
    """Return the placement of actors that always run: the dispatcher and the usage counters.

    They take no CPU, and an actor without a CPU would keep any other node from going.
    """
    return Placement(pool=Pool.HEAD)


def _on_device(processor: Placement, gpu_pool: Pool, gpus: float) -> Placement:
    """Return the placement on GPUs where it takes any, else on the CPUs of the reading nodes.

    Nodes with GPUs offer no CPU, which keeps off them whatever names no pool; so nothing there takes one.
    """
    return Placement(pool=gpu_pool, gpus=gpus, memory=processor.memory) if gpus else processor

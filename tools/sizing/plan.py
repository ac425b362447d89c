"""A plan for so many pages an hour: replicas, nodes, memory, dispatchers, connections, and what to set.

What the product decides itself is asked of it: placements, slots, and the nodes of Ray's own scheduler.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from benchmarks.rehearsal_pools import CLUSTER, Cluster, Work
from pagemill.cluster.scaling.slots import prediction_slots
from pagemill.pools import (
    POOL_LABEL,
    Pool,
    job_driver,
    prediction_replica,
    reading_replica,
    training_worker,
)
from pagemill.settings import PREFIX, Settings
from pagemill.usage.combiner import CONCURRENT_COMMITS
from pagemill.work.roles import dispatched_roles
from tools.sizing.measured import Measured

HOUR = 3600.0
THOUSAND = 1000.0
REQUESTS_OF_A_PAGE = 2
"""An upload and a prediction, where each document has one page."""
SCALED_APPLICATIONS = 2
"""Each has a policy, which asks the database for the backlog."""
SPARE_CONNECTIONS = 10
"""For migrations, `pagemill status` and what else an operator runs."""
UNBOUNDED = 100_000


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Work that an installation is to do."""

    pages_per_hour: float
    text_share: float = 0.0
    """Part of the pages that have a text layer, 0..1."""
    trainings: int = 0
    """Trainings that run at a time, each on GPUs of its own."""
    gpu_per_prediction_replica: float = 0.0


class SizingPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Processors, memory and nodes that a demand takes."""

    demand: Demand
    cores: float
    """Cores that are busy all the time."""
    reading_replicas: int
    prediction_replicas: int
    reserved_memory: float
    """GiB that replicas and training workers reserve."""
    gpus: float
    dispatchers: int
    slots: int
    """Predictions that run at a time."""
    api_processes: int
    usage_counters: int
    postgres_connections: int
    nodes: dict[str, int]
    """Nodes of each pool, the head included, as Ray's scheduler would start them from cluster.yaml."""
    beyond: dict[str, int]
    """Pools of which cluster.yaml allows fewer nodes, and how many it allows."""
    node_hours_per_thousand: dict[str, float]
    """Hours of a node of each pool that a thousand pages take."""
    settings: dict[str, str]

    def cost_per_thousand(self, prices: Mapping[str, float]) -> float:
        """Return the price of a thousand pages at prices of a node of each pool by the hour."""
        return sum(prices[pool] * hours for pool, hours in self.node_hours_per_thousand.items())


def plan_cluster(demand: Demand, measured: Measured) -> SizingPlan:
    """Plan the nodes of cluster.yaml for a demand.

    Bursts are what replicas are counted for: with as many as a steady flow takes they would never be caught
    up with.
    """
    pages = demand.pages_per_hour / HOUR
    cluster = Cluster()
    settings = _settings_for(demand, measured, cluster.settings())
    readers, predictors = settings.reading_replicas_max, settings.prediction_replicas_max
    workers = (training_worker(settings),) * demand.trainings
    pieces = (reading_replica(settings),) * readers + (prediction_replica(settings),) * predictors
    drivers = (job_driver(settings),) * demand.trainings
    nodes = _nodes_of(Work(pieces + drivers, tuple((worker,) for worker in workers)))
    api_processes = math.ceil(pages * REQUESTS_OF_A_PAGE * measured.burst.value / measured.requests.value)
    return SizingPlan(
        demand=demand,
        cores=pages * measured.page(demand.text_share).whole,
        reading_replicas=readers,
        prediction_replicas=predictors,
        reserved_memory=sum(piece.memory for piece in (*pieces, *workers)),
        gpus=sum(piece.gpus for piece in (*pieces, *workers)),
        dispatchers=settings.dispatchers,
        slots=prediction_slots(settings, readers),
        api_processes=api_processes,
        usage_counters=settings.usage_counters,
        postgres_connections=postgres_connections(settings, api_processes),
        nodes=nodes,
        beyond={
            pool: most
            for pool, most in _allowed(cluster).items()
            if pool != Pool.HEAD and nodes.get(pool, 0) > most
        },
        node_hours_per_thousand={
            pool: number * THOUSAND / demand.pages_per_hour for pool, number in nodes.items()
        },
        settings=_changed(settings, cluster.settings()),
    )


def postgres_connections(settings: Settings, api_processes: int) -> int:
    """Return how many connections the database has to take, also while a release rolls.

    Successors work then before their predecessors end. An API process has one more for its metrics. The two
    applications ask for the backlog, and each training and data bundle has one connection for its driver and
    one for each worker.
    """
    roles = settings.dispatchers + len(dispatched_roles(settings)) - 1
    # Claiming has a connection beside the pool, so that a busy pool keeps no job waiting.
    dispatchers = 2 * roles * (settings.database_pool_size + 1)
    counters = 2 * settings.usage_counters * CONCURRENT_COMMITS
    trainings = settings.training_concurrency * (1 + settings.training_workers_max)
    long_jobs = trainings + settings.data_bundle_concurrency
    return (
        api_processes * (settings.database_pool_size + 1)
        + dispatchers
        + counters
        + long_jobs
        + SCALED_APPLICATIONS
        + SPARE_CONNECTIONS
    )


class MachinePlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Work that one machine does, where nothing but Pagemill runs on it."""

    cores: int
    pages_per_hour: float
    settings: dict[str, str]


def plan_machine(cores: int, text_share: float, measured: Measured) -> MachinePlan:
    """Divide a machine's cores between reading and the rest, so that neither waits for the other."""
    page = measured.page(text_share)
    readers = max(2, math.floor(cores * page.reading / page.whole))
    predictors = max(2, math.ceil(cores * page.beside / page.whole))
    return MachinePlan(
        cores=cores,
        pages_per_hour=cores * HOUR / page.whole,
        settings=_in_environment(
            reading_replicas_max=readers,
            prediction_replicas_max=predictors,
            dispatchers=math.ceil(readers / measured.readers.value),
        ),
    )


def rounded(value: float) -> int:
    """Return a number with two digits that count, rounded down: more would promise too much."""
    step: int = 10 ** max(0, len(str(int(value))) - 2)
    return int(value) // step * step


def _settings_for(demand: Demand, measured: Measured, settings: Settings) -> Settings:
    pages = demand.pages_per_hour / HOUR * measured.burst.value
    page = measured.page(demand.text_share)
    readers = math.ceil(pages * page.reading / settings.reading_threads)
    predictors = math.ceil(pages * page.beside / settings.prediction_threads)
    return msgspec.structs.replace(
        settings,
        reading_replicas_max=max(1, readers),
        prediction_replicas_max=max(1, predictors),
        gpu_per_prediction_replica=demand.gpu_per_prediction_replica,
        dispatchers=max(1, math.ceil(readers / measured.readers.value)),
        usage_counters=max(1, math.ceil(pages / measured.reservations.value)),
        training_concurrency=demand.trainings or settings.training_concurrency,
    )


def _changed(settings: Settings, before: Settings) -> dict[str, str]:
    """Return the settings that differ from those of cluster.yaml, and how many replicas there are at most."""
    names = ("reading_replicas_max", "prediction_replicas_max")
    values = msgspec.structs.asdict(settings)
    given = msgspec.structs.asdict(before)
    return _in_environment(
        **{name: value for name, value in values.items() if name in names or value != given[name]}
    )


def _in_environment(**settings: object) -> dict[str, str]:
    return {f"{PREFIX}{name.upper()}": f"{value}" for name, value in settings.items()}


def _nodes_of(work: Work) -> dict[str, int]:
    """Return the nodes of each pool that Ray's scheduler starts for work, however many that are."""
    described = yaml.safe_load(CLUSTER.read_text())
    described["max_workers"] = UNBOUNDED
    for name, node in described["available_node_types"].items():
        node["max_workers"] = 0 if name == described["head_node_type"] else UNBOUNDED
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "cluster.yaml"
        file.write_text(yaml.safe_dump(described))
        cluster = Cluster(file)
    plan = cluster.plan(work)
    if plan.infeasible:
        raise ValueError(f"no node of cluster.yaml takes {plan.infeasible} pieces of this work")
    head = cluster.node_types[described["head_node_type"]]["labels"][POOL_LABEL]
    nodes = {head: 1}
    for node_type, number in plan.started.items():
        pool = cluster.node_types[node_type]["labels"][POOL_LABEL]
        nodes[pool] = nodes.get(pool, 0) + number
    return nodes


def _allowed(cluster: Cluster) -> dict[str, int]:
    """Return how many nodes of each pool cluster.yaml allows, of one type."""
    allowed: dict[str, int] = {}
    for node in cluster.node_types.values():
        pool = node["labels"][POOL_LABEL]
        allowed[pool] = max(allowed.get(pool, 0), node["max_workers"])
    return allowed

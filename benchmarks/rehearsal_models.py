"""Rehearsal 9: 200 models over four replicas, beside Serve's own multiplexing, on a Ray of this machine.

The models are pretended (``stub_models``); the cache, the router and Serve are those in use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.stub_models import (
    MODELS,
    REPLICAS,
    CachedModels,
    Caller,
    MultiplexedModels,
    Served,
    application,
    draw,
)
from tests.support.ray_cluster import local_ray

CALLERS = 2
AT_ONCE = 32
"""Requests that a dispatcher has under way."""
REQUESTS = 4000
"""Of each caller: the first load of each model is among them."""
HIT_RATE = 0.9
HOT_REPLICAS = 2
CALL_SECONDS = 120.0
SEED = 9


def run(requests: int = REQUESTS) -> Outcome:
    """Send the same requests to both applications."""
    seen: dict[str, Any] = {}
    with local_ray({}):
        from ray import serve

        serve.start(proxy_location="Disabled", logging_config={"enable_access_log": False})
        for name, replica in (("pagemill", CachedModels), ("multiplexed", MultiplexedModels)):
            serve.run(application(replica), name=name, route_prefix=None)
            seen[name] = judge(_call(name, requests), failed_of=CALLERS * requests)
            serve.delete(name)
        serve.shutdown()
    return Outcome(seen, holds_bounds(seen["pagemill"]))


def _call(name: str, requests: int) -> list[list[Served]]:
    """Return what each caller saw; nothing of one that failed."""
    import ray
    from ray.exceptions import RayError

    callers = [ray.remote(num_cpus=0)(Caller).remote() for _ in range(CALLERS)]
    calls = [
        caller.call.remote(name, seed=SEED + number, requests=requests, at_once=AT_ONCE)
        for number, caller in enumerate(callers)
    ]
    served: list[list[Served]] = []
    for call in calls:
        try:
            served.append(ray.get(call, timeout=CALL_SECONDS))
        except RayError:
            served.append([])
    for caller in callers:
        ray.kill(caller)
    return served


def judge(by_caller: Sequence[Sequence[Served]], *, failed_of: int) -> dict[str, Any]:
    """Return figures of one application; ``failed_of`` is how many requests were to be answered."""
    served = [one for of_caller in by_caller for one in of_caller]
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for one in served:
        homes[one.model].add(one.replica)
    last = {one.replica: one for one in sorted(served, key=lambda one: one.hits + one.misses)}
    busiest = max((one.hits + one.misses for one in last.values()), default=0)
    misses = sum(one.misses for one in last.values())
    taken = sorted(one.seconds for one in served) or [0.0]
    hot, cold = draw(SEED, 1000), f"organizations/o/trainings/{MODELS - 1}/artefact/"
    return {
        "requests": len(served),
        "failed": failed_of - len(served),
        "hitRate": round(1 - misses / max(1, len(served)), 4),
        "evictions": sum(one.evictions for one in last.values()),
        "hotModelReplicas": len(homes[max(set(hot), key=hot.count)]),
        "replicasPerModel": round(sum(map(len, homes.values())) / max(1, len(homes)), 2),
        "coldestModelReplicas": len(homes[cold]),
        "busiestReplicaOverMean": round(REPLICAS * busiest / max(1, len(served)), 2),
        "p50Milliseconds": round(1000 * taken[len(taken) // 2], 1),
        "p99Milliseconds": round(1000 * taken[len(taken) * 99 // 100], 1),
    }


def holds_bounds(seen: dict[str, Any]) -> bool:
    """Return whether figures are within the bounds."""
    return seen["failed"] == 0 and seen["hitRate"] >= HIT_RATE and seen["hotModelReplicas"] >= HOT_REPLICAS


MODELS_OVER_REPLICAS = Rehearsal(
    number=9,
    name="models",
    bound=(
        f"{MODELS} stub models under Zipf load of {CALLERS} callers on {REPLICAS} replicas: hit rate >= "
        f"{HIT_RATE:.0%} with the first loads, the hot model on >= {HOT_REPLICAS} replicas, no failed "
        "request; Serve's multiplexing beside it"
    ),
    run=run,
)

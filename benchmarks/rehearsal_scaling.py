"""Rehearsal 2: the scaling policy replayed over days of load, beside Serve's default policy.

The ideal knows of each page when it comes, and orders all replicas at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.simulated_application import SimulatedApplication
from benchmarks.simulated_loads import Load, days, weathers
from pagemill.cluster.scaling.decision import ScalingState, decide
from pagemill.cluster.scaling.figures import Limits

SEED = 13
LIMITS = Limits(minimum=1, maximum=60, places=2, seconds_per_page=1.5, start=10.0, down_delay=120.0)
FROM_ZERO = Limits(minimum=0, maximum=60, places=2, seconds_per_page=1.5, start=10.0, down_delay=120.0)
DRAINED_WITHIN = 1.3
REVERSALS = 1
LEFT = 0.5
"""A fluid never ends: a burst is drained when less than half a page of it is left."""

Policy: TypeAlias = Callable[[SimulatedApplication], int]


@dataclass(slots=True)
class Replay:
    """Course of one policy through one day; lists have an entry for each burst."""

    drained: list[float]
    """Seconds from the beginning of a burst to its last page; infinite if that has not come."""
    reversals: list[int]
    while_away: int
    """Reversals while Postgres was away."""
    replica_hours: float
    ticks: int


def replay(load: Load, limits: Limits, policy: Policy) -> Replay:
    """Play a day with a policy, which is asked in every tick."""
    application = SimulatedApplication(limits)
    begins = [burst.begin for burst in load.bursts]
    due = [float("inf")] * len(begins)
    replayed = Replay([float("inf")] * len(begins), [0] * len(begins), 0, 0.0, 0)
    direction, number, undrained = 0, -1, 0
    for second, weather in enumerate(weathers(load)):
        if number + 1 < len(begins) and second >= begins[number + 1]:
            number, direction = number + 1, 0
        application.tick(weather)
        if number >= 0 and second == begins[number] + load.bursts[number].seconds:
            due[number] = application.arrived
        while undrained <= number and application.served >= due[undrained] - LEFT:
            replayed.drained[undrained] = float(second - begins[undrained])
            undrained += 1
        before, wanted = application.target, policy(application)
        if wanted != before:
            turn = 1 if wanted > before else -1
            if direction == -turn and number >= 0:
                replayed.reversals[number] += 1
                replayed.while_away += weather.database_is_away
            direction = turn
            application.order(wanted)
        replayed.ticks += 1
    replayed.replica_hours = application.replica_seconds / 3600.0
    return replayed


def pagemill_policy(limits: Limits) -> Policy:
    """Return the policy of this project."""
    state = ScalingState()

    def policy(application: SimulatedApplication) -> int:
        nonlocal state
        decision = decide(state, application.figures, limits, application.now)
        state = decision.state
        return decision.replicas

    return policy


def ideal_policy(limits: Limits) -> Policy:
    """Return a policy that cannot be had: it sees the queue itself."""

    def policy(application: SimulatedApplication) -> int:
        waiting = application.interactive + application.batch + application.in_flight
        few = limits.places if limits.minimum else 0.0
        return limits.maximum if waiting > few + LEFT / 2 else limits.minimum

    return policy


def serve_policy(limits: Limits) -> Policy:
    """Return Serve's default policy, with the delays that this project gave it before."""
    from ray.serve.autoscaling_policy import (
        _apply_delay_logic,
        _apply_scaling_factors,
        replica_queue_length_autoscaling_policy,
    )
    from ray.serve.config import AutoscalingConfig, AutoscalingContext

    config = AutoscalingConfig(
        min_replicas=limits.minimum,
        max_replicas=limits.maximum,
        target_ongoing_requests=limits.places,
        upscale_delay_s=3.0,
        downscale_delay_s=limits.down_delay,
    )
    nothing = dict.fromkeys(
        (
            *("deployment_id", "deployment_name", "app_name", "total_queued_requests", "aggregated_metrics"),
            *("raw_metrics", "last_scale_up_time", "last_scale_down_time"),
        )
    )
    state: dict[str, Any] = {}

    def policy(application: SimulatedApplication) -> int:
        nonlocal state
        figures = application.figures
        context = AutoscalingContext(
            **nothing,
            running_replicas=[],
            current_num_replicas=figures.running,
            target_num_replicas=figures.target,
            total_num_requests=figures.ongoing,
            capacity_adjusted_min_replicas=limits.minimum,
            capacity_adjusted_max_replicas=limits.maximum,
            policy_state={},
            current_time=application.now,
            config=config,
        )
        wanted, _ = replica_queue_length_autoscaling_policy(context)
        if figures.running:
            scaled = _apply_scaling_factors(wanted, figures.running, config)
            wanted, state = _apply_delay_logic(scaled, figures.target, config, state, application.now)
        return min(max(int(wanted), limits.minimum), limits.maximum)

    return policy


def run() -> Outcome:
    """Replay all days with the policy, with Serve's default one, and with what cannot be had."""
    seen: dict[str, Any] = {}
    holds, ticks, seconds = True, 0, 0.0
    for limits, start in ((LIMITS, "from one"), (FROM_ZERO, "from zero")):
        # From zero a page that comes alone is a burst of its own: there are none beside the bursts.
        for load in days(SEED, trickle=0.05 * limits.minimum):
            begun = time.process_time()
            own = replay(load, limits, pagemill_policy(limits))
            seconds += time.process_time() - begun
            ticks += own.ticks
            ideal = replay(load, limits, ideal_policy(limits))
            row = judge(own, ideal)
            holds &= holds_bounds(row, has_bursts=load.has_bursts)
            serves = judge(replay(load, limits, serve_policy(limits)), ideal)
            seen[f"{load.name}, {start}"] = {"pagemill": row, "serve": serves}
    return Outcome({"days": seen, "ticks": ticks, "ticksPerSecond": round(ticks / seconds)}, holds)


def holds_bounds(row: Mapping[str, float], *, has_bursts: bool) -> bool:
    """Return whether a day is within the bounds."""
    return (
        row["drained"] <= DRAINED_WITHIN
        and (row["reversals"] <= REVERSALS or not has_bursts)
        and row["reversalsWithoutPostgres"] == 0
    )


def judge(own: Replay, ideal: Replay) -> dict[str, float]:
    """Return the worst burst of a day, compared with the ideal one."""
    ratios = [mine / best for mine, best in zip(own.drained, ideal.drained, strict=True)]
    return {
        "drained": round(max(ratios), 3),
        "reversals": max(own.reversals),
        "reversalsWithoutPostgres": own.while_away,
        "replicaHours": round(own.replica_hours, 1),
        "idealReplicaHours": round(ideal.replica_hours, 1),
    }


SCALING = Rehearsal(
    number=2,
    name="scaling",
    bound=(
        f"days of load: each burst drained within {DRAINED_WITHIN} x the ideal time, at most {REVERSALS} "
        "reversal a burst, none while Postgres is away; a tide without bursts is shown beside them"
    ),
    run=run,
)

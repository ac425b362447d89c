"""Rehearsal 3: policies whose database hangs, raises or has a wrong address, on one loop with a healthy one.

The loop stands for that of Serve's controller, which calls all policies one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.rehearsal import Outcome, Rehearsal
from pagemill.cluster.scaling.asking import Ask, BacklogWatch, ask_postgres
from pagemill.cluster.scaling.figures import Backlog
from pagemill.cluster.scaling.policy import BacklogPolicy, BacklogSource

ROUNDS = 400
PERIOD = 0.01
"""Of the loop, in seconds; Serve's is ten times as long."""
LOOP_BOUND = 0.5
CALL_BOUND = 0.01
HEALTHY, FAILING = "healthy", "failing"
WRONG_ADDRESSES = {
    "nobody listens": "postgresql://postgres@127.0.0.1:1/pagemill",
    "a network that drops": "postgresql://postgres@192.0.2.1:5432/pagemill",
    "no such host": "postgresql://postgres@database.invalid/pagemill",
    "no address at all": "nonsense",
}


@dataclass(slots=True)
class Context:
    """Part of Serve's context that a policy reads."""

    current_num_replicas: int = 1
    target_num_replicas: int = 1
    total_num_requests: float = 8.0
    capacity_adjusted_min_replicas: int = 1
    capacity_adjusted_max_replicas: int = 20


class RaisingSource:
    """A source with a fault that nobody thought of."""

    @property
    def latest(self) -> Backlog | None:
        """Raise."""
        raise RuntimeError("planted")

    def close(self) -> None:
        """Do nothing."""


@contextlib.asynccontextmanager
async def hang() -> AsyncIterator[Ask]:
    """Open a connection that never answers."""

    async def ask() -> Backlog:
        await asyncio.Event().wait()
        raise AssertionError

    yield ask


@contextlib.asynccontextmanager
async def block() -> AsyncIterator[Ask]:
    """Open a connection whose driver blocks its thread."""

    async def ask() -> Backlog:
        time.sleep(60.0)  # noqa: ASYNC251 - that is the fault
        raise AssertionError

    yield ask


@contextlib.asynccontextmanager
async def fail() -> AsyncIterator[Ask]:
    """Open a connection on which each question fails."""

    async def ask() -> Backlog:
        raise RuntimeError("planted")

    yield ask


@contextlib.asynccontextmanager
async def answer() -> AsyncIterator[Ask]:
    """Open a connection that answers that 500 pages wait."""

    async def ask() -> Backlog:
        return Backlog(taken=time.monotonic(), interactive=500.0)

    yield ask


def faults() -> dict[str, Callable[[], BacklogSource]]:
    """Return the ways in which a policy's source fails."""
    wrong: dict[str, Callable[[], BacklogSource]] = {
        name: lambda url=url: BacklogWatch(lambda: ask_postgres(url)) for name, url in WRONG_ADDRESSES.items()
    }
    return {
        "it hangs": lambda: BacklogWatch(hang),
        "it blocks its thread": lambda: BacklogWatch(block),
        "each question fails": lambda: BacklogWatch(fail),
        "the policy itself is broken": RaisingSource,
        **wrong,
    }


def policy_with(source: BacklogSource, application: str) -> BacklogPolicy:
    """Return a policy that asks a source."""
    return BacklogPolicy(
        application=application,
        places=2,
        seconds_per_page=1.5,
        start=10.0,
        down_delay=120.0,
        source=source,
    )


async def share_a_loop(failing: BacklogPolicy, healthy: BacklogPolicy) -> dict[str, Any]:
    """Call both in turn; return the target of each, and how long the rounds and the calls took."""
    policies = {FAILING: failing, HEALTHY: healthy}
    contexts = {name: Context() for name in policies}
    rounds, calls = [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await asyncio.sleep(PERIOD)
        for name, policy in policies.items():
            called = time.perf_counter()
            contexts[name].target_num_replicas, _ = policy(contexts[name])  # type: ignore[arg-type]
            calls.append(time.perf_counter() - called)
        rounds.append(time.perf_counter() - begun)
    return {
        "loopP99Seconds": round(sorted(rounds)[len(rounds) * 99 // 100], 4),
        "callP99Seconds": round(sorted(calls)[len(calls) * 99 // 100], 5),
        "failingReplicas": contexts[FAILING].target_num_replicas,
        "otherReplicas": contexts[HEALTHY].target_num_replicas,
    }


def run() -> Outcome:
    """Call a failing policy and a healthy one in turn, for each way to fail."""
    seen: dict[str, Any] = {}
    for name, source in faults().items():
        failing, healthy = policy_with(source(), FAILING), policy_with(BacklogWatch(answer), HEALTHY)
        seen[name] = asyncio.run(share_a_loop(failing, healthy))
    return Outcome(seen, all(holds_bounds(row) for row in seen.values()))


def holds_bounds(row: Mapping[str, float]) -> bool:
    """Return whether the loop went on and the other application got its replicas."""
    return (
        row["loopP99Seconds"] < LOOP_BOUND and row["callP99Seconds"] < CALL_BOUND and row["otherReplicas"] > 1
    )


POLICIES = Rehearsal(
    number=3,
    name="policies",
    bound=(
        "a policy that raises, hangs or has a wrong address: the other application still scales, the p99 of "
        f"the loop that calls both is < {LOOP_BOUND} s, that of a call < {CALL_BOUND} s"
    ),
    run=run,
)

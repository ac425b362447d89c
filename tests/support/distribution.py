"""Spread of tests over workers: a file to a worker, and those that use Ray, or an engine, to the same one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadScopeScheduling

RAY = (
    "tests/acceptance/",
    "tests/chaos/test_faults.py",
    "tests/chaos/test_flows_on_a_stack.py",
    "tests/integration/cluster/test_rollout.py",
    "tests/integration/serve_apps/",
    "tests/integration/stack/test_cluster_start.py",
    "tests/integration/train_jobs/test_bundles_on_ray.py",
    "tests/integration/train_jobs/test_two_workers_on_ray.py",
    "tests/integration/usage/test_actor.py",
    "tests/observability/",
)
"""Directories and files whose tests start Ray, alone or in a whole stack.

Two at once fight for two processors until one of them runs out of time.
"""
ENGINE = ("tests/integration/work/test_containers.py", "tests/integration/work/test_registries.py")
"""Files whose tests run an engine of containers, of which there is one at a time on a machine."""
LONG = (
    "tests/chaos/test_simulation.py",
    "tests/integration/stack/test_up.py",
    "tests/fuzz/",
    "tests/integration/db/test_execution_plans.py",
    "tests/unit/documents/thumbnails/",
    "tests/unit/extraction/",
)
"""Begun early, so that no worker is left with a long file at the end."""


def uses_ray(node_id: str) -> bool:
    """Tell whether a test starts Ray."""
    return node_id.startswith(RAY)


def in_good_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Order the tests: those that use Ray, then long files, then the others, each as they were collected."""
    return sorted(items, key=lambda item: _rank(item.nodeid))


def _rank(node_id: str) -> int:
    if node_id.startswith(RAY):
        return 0
    return 1 if node_id.startswith(LONG) else 2


class OneRayAtATime(LoadScopeScheduling):
    """Scheduler that gives a worker whole files, and one worker all tests that use Ray."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test; a group stays together, in its order."""
        if nodeid.startswith(RAY):
            return "Ray"
        return "engine" if nodeid.startswith(ENGINE) else nodeid.partition("::")[0]

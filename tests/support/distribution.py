"""Spread of tests over worker processes: one file to a worker, and those that use Ray in two groups."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadScopeScheduling

STACK = ("tests/acceptance/", "tests/chaos/test_faults.py")
"""Directories and files whose tests start a whole stack, with its Ray."""
RAY = (
    "tests/integration/cluster/test_rollout.py",
    "tests/integration/serve_apps/",
    "tests/integration/train_jobs/test_bundles_on_ray.py",
    "tests/integration/train_jobs/test_two_workers_on_ray.py",
    "tests/integration/usage/test_actor.py",
)
"""Directories and files whose tests start a Ray of their own.

It mostly waits, as a stack does: one of each may run at once; two of a kind would fight for the processors.
"""
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
    return node_id.startswith(RAY + STACK)


def in_good_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Order the tests: those that use Ray, then long files, then the others, each as they were collected."""
    return sorted(items, key=lambda item: _rank(item.nodeid))


def _rank(node_id: str) -> int:
    if node_id.startswith(STACK):
        return 0
    if node_id.startswith(RAY):
        return 1
    return 2 if node_id.startswith(LONG) else 3


class OneRayAtATime(LoadScopeScheduling):
    """Scheduler that gives a worker whole files, and one worker all tests that start a stack, or a Ray."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of a test; a group stays together, in its order."""
        if nodeid.startswith(STACK):
            return "stack"
        return "Ray" if nodeid.startswith(RAY) else nodeid.partition("::")[0]

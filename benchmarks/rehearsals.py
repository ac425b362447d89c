"""Rehearsals of a cluster, without one.

python -m benchmarks.rehearsals [--only N ...] [--out benchmarks/results/rehearsals.json]

Each is a module of its own and is listed here. What is not rehearsed keeps what the file says of it. The exit
status is 1 where a bound does not hold.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rehearsal import Rehearsal
from benchmarks.rehearsal_autoscaler import AUTOSCALER
from benchmarks.rehearsal_drain import DRAIN
from benchmarks.rehearsal_fairness import FAIRNESS
from benchmarks.rehearsal_head import HEAD
from benchmarks.rehearsal_models import MODELS_OVER_REPLICAS
from benchmarks.rehearsal_nodes import NODES
from benchmarks.rehearsal_policies import POLICIES
from benchmarks.rehearsal_pools import POOLS
from benchmarks.rehearsal_release import RELEASE
from benchmarks.rehearsal_scaling import SCALING
from benchmarks.rehearsal_trainings import TRAININGS_WAIT
from benchmarks.servers import write_figures

REHEARSALS: tuple[Rehearsal, ...] = (
    POOLS,
    SCALING,
    POLICIES,
    AUTOSCALER,
    TRAININGS_WAIT,
    DRAIN,
    RELEASE,
    HEAD,
    MODELS_OVER_REPLICAS,
    FAIRNESS,
    NODES,
)


def rehearse(rehearsals: Iterable[Rehearsal]) -> list[dict[str, Any]]:
    """Run rehearsals and return what was seen of each."""
    figures: list[dict[str, Any]] = []
    for rehearsal in rehearsals:
        outcome = rehearsal.run()
        figures.append(
            {
                "number": rehearsal.number,
                "name": rehearsal.name,
                "bound": rehearsal.bound,
                "seen": dict(outcome.seen),
                "holds": outcome.holds,
            }
        )
    return figures


def merged(before: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the figures of all rehearsals by number, of each the newest."""
    by_number = {figures["number"]: figures for figures in (*before, *now)}
    return [by_number[number] for number in sorted(by_number)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = [rehearsal.number for rehearsal in REHEARSALS]
    parser.add_argument("--only", type=int, nargs="+", choices=numbers, default=numbers)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/rehearsals.json"))
    options = parser.parse_args(arguments)
    # Asked to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    now = rehearse(rehearsal for rehearsal in REHEARSALS if rehearsal.number in options.only)
    before = json.loads(options.out.read_text())["rehearsals"] if options.out.exists() else []
    write_figures({"rehearsals": merged(before, now)}, options.out)
    return 0 if all(figures["holds"] for figures in now) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Compute what an installation takes, from the figures that were measured last.

python -m tools.sizing --pages-per-hour 100000 [--text-share 0.5] [--trainings 2] [--price reading=0.4 ...]
python -m tools.sizing --cores 32

The first plans the nodes of cluster.yaml, the second says what one machine does. With --seconds-per-page they
do so for machines on which a scanned page takes that many core seconds: the cores of yours, divided by the
pages that it does in a second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import msgspec

from tools.sizing.measured import load_measured
from tools.sizing.plan import Demand, MachinePlan, SizingPlan, plan_cluster, plan_machine, rounded


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a plan; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.sizing",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--pages-per-hour", type=_positive, metavar="N")
    wanted.add_argument("--cores", type=int, metavar="N", help="cores of one machine")
    parser.add_argument(
        "--text-share", type=float, default=0.0, metavar="0..1", help="part of the pages with a text layer"
    )
    parser.add_argument(
        "--seconds-per-page", type=_positive, metavar="SECONDS", help="core seconds of a scanned page, in all"
    )
    parser.add_argument(
        "--trainings", type=int, default=0, metavar="N", help="trainings at a time, on GPUs of their own"
    )
    parser.add_argument(
        "--gpu-per-prediction-replica", type=float, default=0.0, metavar="0..1", help="part of a GPU"
    )
    parser.add_argument(
        "--price",
        action="append",
        default=[],
        type=_price,
        metavar="POOL=AMOUNT",
        help="what a node of a pool costs an hour, in any currency; once for each pool",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    measured = load_measured()
    if options.seconds_per_page is not None:
        measured = measured.on_machine(options.seconds_per_page)
    if options.cores is not None:
        machine = plan_machine(options.cores, options.text_share, measured)
        print(_as_json(machine) if options.json else "\n".join(_machine_lines(machine)))
        return 0
    demand = Demand(
        pages_per_hour=options.pages_per_hour,
        text_share=options.text_share,
        trainings=options.trainings,
        gpu_per_prediction_replica=options.gpu_per_prediction_replica,
    )
    plan = plan_cluster(demand, measured)
    prices = dict(options.price)
    if prices and (missing := sorted(plan.nodes.keys() - prices.keys())):
        parser.error(f"the price of a node is missing: {', '.join(missing)}")
    print(_as_json(plan) if options.json else "\n".join(_cluster_lines(plan)))
    if prices and not options.json:
        print(f"a thousand pages cost {plan.cost_per_thousand(prices):.4f}")
    return 0


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("it has to be more than 0")
    return value


def _price(text: str) -> tuple[str, float]:
    pool, _, amount = text.partition("=")
    return pool, float(amount)


def _as_json(plan: SizingPlan | MachinePlan) -> str:
    return msgspec.json.format(msgspec.json.encode(plan)).decode()


def _machine_lines(plan: MachinePlan) -> list[str]:
    return [
        f"{plan.cores} cores do about {rounded(plan.pages_per_hour):,} pages an hour; set",
        *_setting_lines(plan.settings),
    ]


def _cluster_lines(plan: SizingPlan) -> list[str]:
    demand = plan.demand
    nodes = ", ".join(f"{number} {pool}" for pool, number in plan.nodes.items())
    lines = [
        f"{demand.pages_per_hour:,.0f} pages an hour, {demand.text_share:.0%} of them with a text layer",
        f"  cores that are busy    {plan.cores:.1f}",
        f"  replicas               {plan.reading_replicas} read, {plan.prediction_replicas} predict",
        f"  nodes                  {nodes}",
        f"  memory they reserve    {plan.reserved_memory:.0f} GiB",
        f"  GPUs                   {plan.gpus:g}",
        f"  dispatchers            {plan.dispatchers} interactive, {plan.slots} predictions at a time",
        f"  API processes          {plan.api_processes}",
        f"  usage counters         {plan.usage_counters}",
        f"  Postgres connections   {plan.postgres_connections} at most (max_connections)",
        "node hours for a thousand pages, to be multiplied with the price of an hour",
        *(f"  {pool:<22} {hours:.4f}" for pool, hours in plan.node_hours_per_thousand.items()),
        "settings that differ from those of cluster.yaml, for pagemill.env",
        *_setting_lines(plan.settings),
    ]
    for pool, most in plan.beyond.items():
        lines.append(f"cluster.yaml allows {most} nodes of {pool}: raise max_workers to {plan.nodes[pool]}")
    return lines


def _setting_lines(settings: dict[str, str]) -> list[str]:
    return [f"  {name}={value}" for name, value in settings.items()]


if __name__ == "__main__":
    sys.exit(main())

"""Computed parts of documents, each by its name, and the documents that have some."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.rehearsal_fairness import CPU_SECONDS
from tools.documents.settings_table import settings_table
from tools.sizing.measured import load_measured, load_rehearsed
from tools.sizing.plan import Demand, plan_cluster, plan_machine, rounded

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "docs" / "scaling.md", ROOT / "docs" / "settings.md")
CORES = (2, 8, 16, 32, 64)
LARGE_CORES = 32
MANY_PAGES = 1_000_000
"""So many that whole replicas make no difference."""
PAGES_PER_HOUR = (1_000, 10_000, 50_000, 100_000, 200_000)
KINDS: Mapping[str, float] = {"scanned": 0.0, "with a text layer": 1.0}
"""Kinds of pages, and the part of them that has a text layer."""

_PART = re.compile(r"(<!-- begin (?P<name>[a-z-]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def filled(document: str) -> str:
    """Return a document with all its computed parts as they are now. Raises KeyError for an unknown name."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part['name']]()}{part[3]}", document)


def machine_text() -> str:
    """Return the machine that the figures of pages are from."""
    measured = load_measured()
    machine = measured.machine
    seconds = (measured.scanned.whole, measured.text.whole)
    return (
        f"Those of pages are from a machine with {machine['cores']} cores ({machine['cpu_model']}).\n"
        f"A scanned page takes {seconds[0]:.2f} core seconds there, one with a text layer {seconds[1]:.2f}.\n"
    )


def measured_table() -> str:
    """Return the figures that sizes are computed from."""
    rows = [
        [
            figure.meaning,
            f"{figure.value:,.3g}" if figure.value < 1000 else f"{figure.value:,.0f}",
            figure.source,
        ]
        for figure in load_measured().figures
    ]
    return table(["figure", "value", "in `benchmarks/results`"], rows)


def thousand_table() -> str:
    """Return what each thousand pages an hour take."""
    measured, rows = load_measured(), []
    pages = 1000 / 3600
    for kind, text_share in KINDS.items():
        large = plan_cluster(Demand(pages_per_hour=MANY_PAGES, text_share=text_share), measured)
        page = measured.page(text_share)
        seconds = (page.reading, page.beside, page.whole)
        memory = 1000 * large.reserved_memory / MANY_PAGES
        rows.append([kind, *(f"{pages * one:.3f}" for one in seconds), f"{memory:.2f} GiB", "0"])
    head = ["1,000 pages an hour", "cores that read", "cores for the rest", "cores", "memory", "GPUs"]
    return table(head, rows)


def rehearsed_text() -> str:
    """Return what was rehearsed of a large cluster."""
    seen = load_rehearsed()
    equal = seen["equal"]
    return (
        f"{equal['pages']:,} pages of {CPU_SECONDS} core seconds each, sent within a minute, were read in\n"
        f"{equal['seconds'] / 60:.0f} minutes, on {equal['nodes']} nodes of `cluster.yaml` and with "
        f"{seen['dispatchers']} dispatchers. The product decided; the pages were simulated.\n"
    )


def large_machine_text() -> str:
    """Return the settings of a large machine, as lines of a file."""
    plan = plan_machine(LARGE_CORES, 0.0, load_measured())
    lines = "".join(f"{name}={value}\n" for name, value in plan.settings.items())
    return f"```bash\n# {LARGE_CORES} cores\n{lines}```\n"


def machine_table() -> str:
    """Return what machines of some sizes do."""
    measured, rows = load_measured(), []
    for cores in CORES:
        scanned, text = (plan_machine(cores, share, measured) for share in KINDS.values())
        rows.append(
            [
                f"{cores}",
                *(f"{rounded(plan.pages_per_hour):,}" for plan in (scanned, text)),
                " ".join(f"`{name}={value}`" for name, value in scanned.settings.items()),
            ]
        )
    return table(
        ["cores", *(f"pages an hour, {kind}" for kind in KINDS), "set, where most are scanned"], rows
    )


def cluster_table() -> str:
    """Return what clusters for some numbers of scanned pages consist of."""
    measured, rows = load_measured(), []
    for pages in PAGES_PER_HOUR:
        plan = plan_cluster(Demand(pages_per_hour=pages), measured)
        rows.append(
            [
                f"{pages:,}",
                f"{plan.cores:.1f}",
                f"{plan.reading_replicas}",
                f"{plan.prediction_replicas}",
                f"{plan.nodes.get('reading', 0)}",
                f"{plan.reserved_memory:.0f} GiB",
                f"{plan.dispatchers}",
                f"{plan.slots}",
                f"{plan.postgres_connections}",
            ]
        )
    head = [
        "scanned pages an hour",
        "busy cores",
        "reading replicas",
        "prediction replicas",
        "reading nodes",
        "memory",
        "dispatchers",
        "predictions at a time",
        "Postgres connections",
    ]
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PARTS: Mapping[str, Callable[[], str]] = {
    "machine": machine_text,
    "measured": measured_table,
    "thousand": thousand_table,
    "rehearsed": rehearsed_text,
    "large-machine": large_machine_text,
    "machines": machine_table,
    "clusters": cluster_table,
    "settings": settings_table,
}

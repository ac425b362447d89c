"""Figures that sizes are computed from, as benchmarks have left them in ``benchmarks/results``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.simulated_application import REPLICAS_OF_A_NODE

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
SCALING, FAIRNESS = 2, 10
"""Numbers of the rehearsals."""
READER = "ray::ServeReplica:reading"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, what it means, and the place in ``benchmarks/results`` that it comes from."""

    value: float
    meaning: str
    source: str


@dataclass(frozen=True, slots=True)
class PageSeconds:
    """Core seconds of one page of a kind."""

    reading: float
    beside: float
    """Of all that is no reading: fields, jobs, API and database."""

    @property
    def whole(self) -> float:
        """Return the core seconds of all that is done for the page."""
        return self.reading + self.beside

    def times(self, factor: float) -> PageSeconds:
        """Return those of a machine that takes so many times as long."""
        return PageSeconds(self.reading * factor, self.beside * factor)


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of pages that were measured on one machine."""

    scanned: PageSeconds
    text: PageSeconds
    source: str
    machine: Mapping[str, Any]
    """Machine that the pages were measured on."""
    burst: Figure
    readers: Figure
    requests: Figure
    reservations: Figure

    def page(self, text_share: float) -> PageSeconds:
        """Return the mean of pages of which so many have a text layer (0..1)."""
        return PageSeconds(
            self.scanned.reading * (1 - text_share) + self.text.reading * text_share,
            self.scanned.beside * (1 - text_share) + self.text.beside * text_share,
        )

    def on_machine(self, scanned_seconds: float) -> Measured:
        """Return the figures for a machine on which a scanned page takes so many core seconds in all."""
        factor = scanned_seconds / self.scanned.whole
        return replace(self, scanned=self.scanned.times(factor), text=self.text.times(factor))

    @property
    def figures(self) -> list[Figure]:
        """Return all of them, with their meaning."""
        kinds = {"scanned": self.scanned, "with a text layer": self.text}
        pages = [
            Figure(value, f"core seconds {what} of a page, {kind}", self.source)
            for kind, page in kinds.items()
            for what, value in (("of the reading", page.reading), ("of all else", page.beside))
        ]
        return [*pages, self.burst, self.readers, self.requests, self.reservations]


def load_measured(results: Path = RESULTS) -> Measured:
    """Return the figures of the benchmarks that were run last. Raises KeyError for one that is not there."""
    found = {path.stem: json.loads(path.read_text()) for path in results.glob("*.json")}
    scaling, fairness = load_rehearsed(SCALING, results), load_rehearsed(FAIRNESS, results)
    return Measured(
        **(_of_serving(found["serving"]) if "serving" in found else _of_parts(found)),
        burst=Figure(
            max(day["pagemill"]["drained"] for day in scaling["days"].values()),
            "how much longer a burst takes than with all replicas there from its beginning, at most",
            f"rehearsals.json: {SCALING}, drained",
        ),
        readers=Figure(
            fairness["equal"]["nodes"] * REPLICAS_OF_A_NODE / fairness["dispatchers"],
            "reading replicas for each dispatcher of predictions, with which all of them were busy",
            f"rehearsals.json: {FAIRNESS}",
        ),
        requests=Figure(
            found["jobs"]["accept"]["perSecond"]["pagemill"],
            "predictions a second that one API process accepts",
            "jobs.json: accept",
        ),
        reservations=Figure(
            found["usage"]["manyOrganizations"]["grantedPerSecond"]["actor"],
            "reservations a second that one usage counter grants",
            "usage.json: manyOrganizations",
        ),
    )


def load_rehearsed(number: int = FAIRNESS, results: Path = RESULTS) -> dict[str, Any]:
    """Return what was seen of a rehearsal."""
    rehearsals = json.loads((results / "rehearsals.json").read_text())["rehearsals"]
    [seen] = [one["seen"] for one in rehearsals if one["number"] == number]
    return dict(seen)


def _of_serving(serving: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the whole platform took for a page."""
    sections, machine = serving["sections"], serving["machine"]
    return {
        "scanned": _of_section(sections["efficiency"], machine["cores"]),
        "text": _of_section(sections["text"], machine["cores"]),
        "source": "serving.json: pagesPerSecond, by the processor time of each process",
        "machine": machine,
    }


def _of_parts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sum of what was measured apart: reading, and predictions of pages that were read before."""
    reading, predicted = found["reading"], found["accuracy"]["corpora"]["adbuy"]
    beside = predicted["machine"]["cores"] / predicted["predictions"]["pagesPerSecond"]
    scanned = reading["batch"]["threads"] / reading["batch"]["pagesPerSecond"]
    return {
        "scanned": PageSeconds(scanned, beside),
        "text": PageSeconds(reading["textCpuSeconds"] / reading["textPages"], beside),
        "source": "reading.json: batch, textCpuSeconds; accuracy.json: adbuy, predictions",
        "machine": reading["machine"],
    }


def _of_section(section: Mapping[str, Any], cores: int) -> PageSeconds:
    """Divide the time of all cores as their processor time is divided.

    All of it counts, also what nobody used: no more pages came out of this machine.
    """
    whole = cores / section["pagesPerSecond"]
    by_process = section["cpuMillisecondsPerPageByProcess"]
    reading = sum(value for name, value in by_process.items() if name.startswith(READER))
    share = reading / section["cpuMillisecondsPerPage"]
    return PageSeconds(whole * share, whole * (1 - share))

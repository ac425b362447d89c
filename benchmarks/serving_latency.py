"""Latency that the platform adds to one page, beside its bound: so many calls and round trips."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.bare_loop import bare_loop
from benchmarks.serving_documents import Source
from benchmarks.serving_stack import ServingStack
from benchmarks.stacks import probe_beside
from benchmarks.synchronous import round_trips
from pagemill.extraction.artefact import Artefact

SERVE_CALLS, ROUND_TRIPS = 3, 6
STATEMENTS = 4
RHYTHM = "paused"
"""Between two calls of a job other parts work: see ``benchmarks.timing``."""
MILLISECONDS = 1000.0


def one_page_latency(
    serving: ServingStack, artefact: Artefact, sources: list[Source], advance: Callable[[], object]
) -> dict[str, Any]:
    """Return the milliseconds above reading and predicting in one process, and what bounds them.

    Each request follows the answer to the one before; each page is read anew.
    """
    documents = serving.upload(sources)
    warm = len(sources) // 4
    with bare_loop(artefact, 1) as loop:
        loop.run(sources[:warm])
        # In turns: the machine is as fast for one as for the other.
        within, through = [], []
        for number, document in enumerate(documents):
            within.append(loop.run([document.source]).latencies[0])
            through.append(serving.predict(serving.caller, document))
            if number >= warm:
                advance()
    call = probe_beside(serving.stack)
    trips = asyncio.run(round_trips(serving.stack.owner_url))
    trip = trips["fourRoundTrips"][RHYTHM] / STATEMENTS
    added = [MILLISECONDS * (one - other) for one, other in zip(through, within, strict=True)][warm:]
    return {
        "milliseconds": round(statistics.median(added), 2),
        "boundMilliseconds": round(SERVE_CALLS * call[RHYTHM] + ROUND_TRIPS * trip, 2),
        "ofAPrediction": round(MILLISECONDS * statistics.median(through[warm:]), 2),
        "ofTheSameInOneProcess": round(MILLISECONDS * statistics.median(within[warm:]), 2),
        "serveCall": call,
        "fourRoundTrips": trips["fourRoundTrips"],
        "requests": len(added),
    }

"""Pages a second through the API at saturation, beside the same work in a bare loop of as many processes."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.bare_loop import BareLoop
from benchmarks.serving_documents import Source
from benchmarks.serving_stack import ServingStack

MILLISECONDS = 1000.0
SHOWN = 10


def efficiency(
    serving: ServingStack,
    loop: BareLoop,
    sources: Sequence[Source],
    rounds: int,
    advance: Callable[[], object],
) -> dict[str, Any]:
    """Measure both in turns; figures are the medians of the rounds.

    Each round uploads its documents before: their pages have not been read.
    """
    platform, bare = [], []
    for _ in range(rounds):
        platform.append(serving.predict_all(serving.upload(sources)))
        advance()
        bare.append(loop.run(sources))
        advance()
    rates = [one.pages / one.seconds for one in platform], [one.pages / one.seconds for one in bare]
    cpu = [
        statistics.median(MILLISECONDS * one.cpu_seconds / one.pages for one in side)
        for side in (platform, bare)
    ]
    return {
        "ratio": round(statistics.median(one / other for one, other in zip(*rates, strict=True)), 3),
        "pagesPerSecond": round(statistics.median(rates[0]), 2),
        "barePagesPerSecond": round(statistics.median(rates[1]), 2),
        "cpuMillisecondsPerPage": round(cpu[0], 1),
        "bareCpuMillisecondsPerPage": round(cpu[1], 1),
        "cpuMillisecondsPerPageByProcess": {
            name: round(MILLISECONDS * seconds / platform[-1].pages, 1)
            for name, seconds in Counter(platform[-1].cpu_by_process).most_common(SHOWN)
        },
        "pages": platform[0].pages,
        "documents": len(sources),
        "rounds": rounds,
    }

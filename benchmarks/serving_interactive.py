"""Latency of interactive predictions while a large data bundle is made, beside that without one."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from typing import Any

from benchmarks.api_client import Caller
from benchmarks.serving_documents import Source, repeated_sources
from benchmarks.serving_stack import ServingStack, Uploaded

PAUSE_SECONDS = 0.2
"""Between an answer and the next request: people think."""
POLL_SECONDS = 0.2
BUNDLE_SECONDS = 600.0
SHARE = 0.95
MILLISECONDS = 1000.0

Latencies = dict[str, list[float]]
"""Seconds of each request, by the kind of its document."""


def latency_under_bundle(
    serving: ServingStack,
    kinds: Mapping[str, Sequence[Source]],
    bundled: Sequence[Source],
    most: int,
    advance: Callable[[str], object],
) -> dict[str, Any]:
    """Predict each document once, then the same ones in turn for as long as a bundle is made.

    They are uploaded anew each time, ``most`` of a kind beside the bundle: their pages have not been read.
    Latencies of each kind count by its median without the bundle, so that the kinds can be counted together.
    """
    advance("uploading")
    first = {kind: list(serving.upload(sources)) for kind, sources in kinds.items()}
    again = {kind: list(serving.upload(repeated_sources(sources, most))) for kind, sources in kinds.items()}
    dataset_id: str = serving.caller.send("POST", "/v1/datasets", {})["datasetId"]
    serving.upload(bundled, dataset_id)
    advance("without a bundle")
    alone = _measure(serving, first, until=lambda: False)
    advance("while a bundle is made")
    began = time.perf_counter()
    bundle = _Bundle(serving, dataset_id)
    beside = _measure(serving, again, until=bundle.ended)
    while not bundle.ended():
        time.sleep(POLL_SECONDS)
    return {
        "ratio": round(ratio(alone, beside), 2),
        "documents": len(bundled),
        "bundleSeconds": round(time.perf_counter() - began, 1),
        "kinds": {
            kind: {
                "p95Milliseconds": round(MILLISECONDS * percentile(alone[kind]), 1),
                "p95MillisecondsUnderBundle": round(MILLISECONDS * percentile(beside[kind]), 1),
                "medianMilliseconds": round(MILLISECONDS * statistics.median(alone[kind]), 1),
                "medianMillisecondsUnderBundle": round(MILLISECONDS * statistics.median(beside[kind]), 1),
                "requests": [len(alone[kind]), len(beside[kind])],
            }
            for kind in kinds
        },
    }


def ratio(alone: Latencies, beside: Latencies) -> float:
    """Return the 95th percentile beside a bundle over that alone."""
    return percentile(_normalised(beside, alone)) / percentile(_normalised(alone, alone))


def percentile(values: Sequence[float], share: float = SHARE) -> float:
    """Return the value that this share of all stays at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _normalised(latencies: Latencies, alone: Latencies) -> list[float]:
    return [
        seconds / statistics.median(alone[kind]) for kind, found in latencies.items() for seconds in found
    ]


def _measure(
    serving: ServingStack, documents: Mapping[str, list[Uploaded]], *, until: Callable[[], bool]
) -> Latencies:
    """Predict a document of each kind in turn, each only once, until the end, or until none is left."""
    found: Latencies = {kind: [] for kind in documents}
    caller = Caller(serving.stack)
    for turn in zip(*documents.values(), strict=True):
        if until():
            break
        for kind, document in zip(documents, turn, strict=True):
            found[kind].append(serving.predict(caller, document))
            time.sleep(PAUSE_SECONDS)
    return found


class _Bundle:
    """A data bundle that is being made; a thread asks for its status."""

    def __init__(self, serving: ServingStack, dataset_id: str) -> None:
        self._caller = Caller(serving.stack)
        path = f"/v1/models/{serving.model_id}/dataBundles"
        bundle = self._caller.send("POST", path, {"datasetIds": [dataset_id]})
        self._path = f"{path}/{bundle['dataBundleId']}"
        self._status = "pending"
        self._problem: str | None = None
        threading.Thread(target=self._follow, daemon=True).start()

    def ended(self) -> bool:
        """Return whether it is made. Raises RuntimeError when it has failed, or cannot be asked for."""
        if self._status == "failed" or self._problem is not None:
            raise RuntimeError(f"the bundle is {self._status}: {self._problem}")
        return self._status == "succeeded"

    def _follow(self) -> None:
        deadline = time.monotonic() + BUNDLE_SECONDS
        try:
            while self._status not in ("succeeded", "failed"):
                time.sleep(POLL_SECONDS)
                self._status = self._caller.read(self._path)["status"]
                if time.monotonic() > deadline:
                    self._problem = f"it is not made after {BUNDLE_SECONDS:g} s"
                    return
        except (OSError, RuntimeError, HTTPException) as error:
            self._problem = str(error)

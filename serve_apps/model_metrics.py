"""Metrics of a prediction replica, exported by Ray as ``ray_pagemill_*``, and a line for each load."""

from __future__ import annotations

import asyncio
import logging

from ray.util.metrics import Counter, Gauge, Histogram

from pagemill.errors import PagemillError

REASON = "reason"
BATCH_DOCUMENTS = [1.0, 2.0, 4.0, 8.0, 16.0]
SHOW_SECONDS = 5.0
"""Interval of gauges: Ray forgets one that has not been set for 20 seconds."""
LOAD_SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]

# The file of the replica's log, where operators look.
logger = logging.getLogger("ray.serve")


class ModelMetrics:
    """Observer of models and of their cache. No label names a model or an organization: both are too many."""

    def __init__(self) -> None:
        self._hits = Counter("pagemill_model_hits", "Requests whose model was loaded.")
        self._misses = Counter("pagemill_model_misses", "Requests that waited for their model.")
        self._evictions = Counter("pagemill_model_evictions", "Models that left to make room, or by age.")
        self._failures = Counter(
            "pagemill_model_failures", "Loads that failed, by the class of the error.", (REASON,)
        )
        self._seconds = Histogram(
            "pagemill_model_load_seconds", "Duration of loads, with their warm-up.", LOAD_SECONDS
        )
        self._bytes = Gauge("pagemill_model_bytes", "Bytes of the models that are held.")
        self._models = Gauge("pagemill_models", "Models that are held.")
        self._held = 0, 0
        self._batches = Histogram(
            "pagemill_prediction_batch_size",
            "Documents whose fields were found together.",
            BATCH_DOCUMENTS,
        )

    def predicted(self, documents: int) -> None:
        """Count a batch of documents."""
        self._batches.observe(documents)

    def requested(self, *, hit: bool) -> None:
        """Count a request; a hit has found its model loaded."""
        (self._hits if hit else self._misses).inc()

    def loaded(self, key: str, *, size: int, seconds: float) -> None:
        """Count and log a load."""
        self._seconds.observe(seconds)
        logger.info("model loaded in %.3f s, %d bytes: %s", seconds, size, key)

    def failed(self, key: str, error: Exception) -> None:
        """Count and log a load that failed."""
        self._failures.inc(tags={REASON: type(error).__name__})
        detail = (error.detail or error.message) if isinstance(error, PagemillError) else error
        logger.warning("model not loaded, %s: %s: %s", type(error).__name__, key, detail)

    def evicted(self, key: str) -> None:
        """Count a model that left."""
        self._evictions.inc()
        logger.debug("model evicted: %s", key)

    def holds(self, *, models: int, size: int) -> None:
        """Show what is held now."""
        self._held = models, size
        self._show()

    async def keep_showing(self) -> None:
        """Show what is held, until cancelled."""
        while True:
            self._show()
            await asyncio.sleep(SHOW_SECONDS)

    def _show(self) -> None:
        models, size = self._held
        self._models.set(models)
        self._bytes.set(size)

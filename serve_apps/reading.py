"""The reading application: replicas that turn pages into words, each with one bounded child process."""

from __future__ import annotations

import os

from ray import serve
from ray.serve import Application

from pagemill.applications.requests import ReadingRequest, ReadingResponse
from pagemill.extraction.reading import PageReader
from pagemill.objects import open_objects
from pagemill.settings import Settings, load_settings
from serve_apps.page_reading import CachedReading

ONGOING_PER_REPLICA = 4
"""One is read while the bytes of the others come and their words go."""
WAITING_PER_REPLICA = 2.0


class PageReading:
    """One replica. What a document does to its child is that document's error, never the replica's death."""

    def __init__(self) -> None:
        self._objects = open_objects(load_settings(os.environ))
        self._reader = PageReader()
        self._reading = CachedReading(self._objects, self._reader)

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Words of the pages asked for. Raises DocumentUnreadable, NotFound, Unavailable."""
        return await self._reading.read(request)

    def __del__(self) -> None:
        if hasattr(self, "_reader"):
            self._reader.close()


def reading_application(settings: Settings) -> Application:
    """The application as ``settings`` size it."""
    deployment = serve.deployment(
        PageReading,
        name="PageReading",
        max_ongoing_requests=ONGOING_PER_REPLICA,
        ray_actor_options={"num_cpus": settings.reading_cpus},
        autoscaling_config={
            "min_replicas": 1,
            "initial_replicas": 1,
            "max_replicas": max(1, settings.reading_replicas_max),
            "target_ongoing_requests": WAITING_PER_REPLICA,
            "upscale_delay_s": 3.0,
            "downscale_delay_s": 120.0,
        },
        logging_config={"enable_access_log": False},
        health_check_period_s=5.0,
        graceful_shutdown_timeout_s=5.0,
    )
    return deployment.bind()

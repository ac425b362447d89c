"""Metrics of an API process: its counts, and its listener, which answers for all processes of the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from litestar import Litestar

from db.pool import Pool
from pagemill.api.metrics.figure_places import FigurePlaces
from pagemill.api.metrics.listener import MetricsListener
from pagemill.api.metrics.page import ApiFigures
from pagemill.api.metrics.process_figures import ProcessFigures
from pagemill.api.metrics.process_watch import watch_process
from pagemill.api.metrics.queue_watch import QueueWatch
from pagemill.api.metrics.request_metrics import RequestMetrics, operations_of
from pagemill.concurrency import cancel_and_wait
from pagemill.private_directory import private_directory
from pagemill.settings import Settings
from pagemill.work.roles import NAMES_OF_ROLE, dispatched_roles

DIRECTORY = "metrics_directory"


class ApiMetrics:
    """Metrics of one API process, of the operations of its application."""

    def __init__(self, app: Litestar, settings: Settings) -> None:
        self._settings = settings
        self._places = FigurePlaces(operations_of(app))
        self.requests = RequestMetrics(self._places)

    @contextlib.asynccontextmanager
    async def running(self, pool: Pool) -> AsyncIterator[None]:
        """Share the figures and listen. Raises SettingsError, and OSError when the disk is full."""
        settings = self._settings
        directory = private_directory(figures_directory(settings), DIRECTORY)
        files = ProcessFigures(directory, str(settings.metrics_port), self._places)
        queue = QueueWatch(settings.database_url)

        async def page() -> bytes:
            return await self._page(files, queue)

        with self.requests.shared(files):
            watching = asyncio.create_task(watch_process(self.requests, self._places, pool), name="metrics")
            listener = MetricsListener(
                page, host=settings.metrics_host, port=settings.metrics_port, closed=queue.close
            )
            try:
                yield
            finally:
                await listener.close()
                await cancel_and_wait([watching])

    async def _page(self, files: ProcessFigures, queue: QueueWatch) -> bytes:
        self.requests.count()
        figures = ApiFigures(
            places=self._places,
            processes=files.total(),
            queue=await queue.latest(),
            volumes=volumes_of(self._settings),
            kinds=[name for names in NAMES_OF_ROLE.values() for name in names],
            roles=list(dispatched_roles(self._settings)),
        )
        return figures.page()


def figures_directory(settings: Settings) -> Path:
    """Return the directory of the figures of all processes of the server."""
    name = f"pagemill-metrics-{os.geteuid()}"
    return Path(settings.metrics_directory or Path(tempfile.gettempdir()) / name)


def volumes_of(settings: Settings) -> Mapping[str, Path]:
    """Return the directories whose disks are watched; objects in S3 have none."""
    url = urlsplit(settings.objects_url)
    data = {"data": Path(unquote(url.path))} if url.scheme == "file" else {}
    return {**data, "temporary": Path(tempfile.gettempdir())}

"""The reading application: replicas that read the words of pages and store them, part by part."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec
from ray import serve
from ray.serve import Application

from pagemill.applications.clients import READING_SECONDS, parts_per_replica
from pagemill.applications.requests import (
    PART_PAGES,
    READING_DEPLOYMENT,
    ReadingRequest,
    ReadingResponse,
)
from pagemill.concurrency import finish_despite_cancellation
from pagemill.documents.words import DocumentPages, find_pages, store_pages
from pagemill.errors import NotFound
from pagemill.extraction.page_selection import MAX_SELECTED_PAGES, PageSelection, select_pages
from pagemill.extraction.reading import PageReader, ReadLimits
from pagemill.extraction.recognition.recognizer import Recognizer
from pagemill.extraction.recognition.script_aware import with_scripts
from pagemill.extraction.types import Page
from pagemill.objects import open_objects
from pagemill.objects.store import ObjectStore
from pagemill.pools import SURGE_PERCENT, reading_replica
from pagemill.sandbox.concealment import conceal_ray_worker
from pagemill.settings import load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.spans import Attributes, continue_trace, span
from serve_apps.reading_lane import ReadingLane
from serve_apps.reading_metrics import ReadingMetrics

ONGOING_FOR_EACH_PART = 4
"""While one part is read, the bytes of another are loaded or its words stored; as many in the background."""

BACKGROUND_PATIENCE = 5.0
"""A page that is read in the background may take so many times longer: it has what time the processors have
left. Parts may not: callers, and replicas that stop, wait for them."""


class PageReading:
    """A replica. A document that breaks the child process is an error of that document alone."""

    def __init__(self) -> None:
        conceal_ray_worker()
        settings = load_settings(os.environ)
        configure_tracing(settings, "reading")
        metrics = ReadingMetrics()
        recognizer = Recognizer(threads=settings.reading_threads, observer=metrics.recognised)
        recognizer.prepare()
        patient = _patient(ReadLimits())
        self._readers = [
            PageReader(
                limits, with_scripts(one, settings.reading_scripts), strict=settings.sandbox == "required"
            )
            for limits, one in (
                (ReadLimits(), recognizer),
                (patient, recognizer.beside(page_seconds=patient.page_seconds)),
            )
        ]
        interactive, background = self._readers
        at_once = parts_per_replica(settings)
        self._reading = CachedReading(
            open_objects(settings),
            ReadingLane(interactive, at_once=at_once),
            ReadingLane(background, at_once=at_once, in_background=True),
            metrics,
        )

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Read a part. Raises DocumentUnreadable, NotFound when the content is gone, Unavailable."""
        lane: Attributes = {"pagemill.reading.lane": _lane(request)}
        with continue_trace(request.trace_context, "read pages", lane, kind="server") as reading:
            response = await self._reading.read(request)
            reading.set({"pagemill.document.pages": len(response.pages)})
            return response

    def __del__(self) -> None:
        for reader in getattr(self, "_readers", ()):
            reader.close()
        close_tracing()


class PageObserver(Protocol):
    """Observer of pages: what it counts is shown to operators. A ``lane`` is interactive or background."""

    def read(self, pages: Sequence[Page], seconds: float, lane: str) -> None:
        """Count the pages of a part that was read in some seconds."""
        ...

    def found(self, pages: int, lane: str) -> None:
        """Count pages whose words were stored."""
        ...


class CachedReading:
    """Reading of what is not stored yet, on the lane of the request."""

    def __init__(
        self,
        objects: ObjectStore,
        interactive: ReadingLane,
        background: ReadingLane,
        observer: PageObserver,
    ) -> None:
        self._objects, self._interactive, self._background = objects, interactive, background
        self._observer = observer

    async def read(self, request: ReadingRequest) -> ReadingResponse:
        """Return the pages, and read those whose words are not stored, at most a part of them.

        Raises DocumentUnreadable, NotFound when the content is gone, Unavailable.
        """
        with span("find stored pages"):
            stored = await find_pages(self._objects, request.content_key, request.options)
        just_read = 0
        if not stored.number_of_pages:
            stored = await self._read_part(request, _indexes_before_counting(request))
            just_read = len(stored)
        selection = _select(stored.number_of_pages, request)
        missing = stored.missing(selection.indexes)
        self._observer.found(len(selection.indexes) - len(missing) - just_read, _lane(request))
        part = missing[: PART_PAGES - just_read]
        if part:
            await self._read_part(request, part)
        return ReadingResponse(
            pages=msgspec.structs.replace(stored, indexes=selection.indexes),
            missing=missing[len(part) :],
            next_page=selection.next_page,
        )

    async def _read_part(self, request: ReadingRequest, indexes: Sequence[int]) -> DocumentPages:
        """Read pages and store them. A caller that goes while they are read does not change that."""
        try:
            with span("fetch content"):
                content = await self._objects.get(request.content_key)
        except NotFound as error:
            raise NotFound("The document has no content any more") from error
        lane = self._background if request.in_background else self._interactive
        # Nothing is begun for a caller that has gone while it waited for its turn.
        with span("wait for turn"):
            await lane.wait_for_turn()
        return await finish_despite_cancellation(self._read_and_store(lane, content, request, indexes))

    async def _read_and_store(
        self, lane: ReadingLane, content: bytes, request: ReadingRequest, indexes: Sequence[int]
    ) -> DocumentPages:
        begun = time.monotonic()
        with span("read part"):
            reading = await lane.read(content, indexes, request.options)
        self._observer.read(reading.pages, time.monotonic() - begun, _lane(request))
        with span("store words"):
            return await store_pages(self._objects, request.content_key, request.options, reading)


def _lane(request: ReadingRequest) -> str:
    return "background" if request.in_background else "interactive"


def _patient(limits: ReadLimits) -> ReadLimits:
    """Return the limits of documents that are read in the background."""
    return msgspec.structs.replace(
        limits,
        page_seconds=BACKGROUND_PATIENCE * limits.page_seconds,
        start_seconds=BACKGROUND_PATIENCE * limits.start_seconds,
    )


def _select(number_of_pages: int, request: ReadingRequest) -> PageSelection:
    return select_pages(
        number_of_pages,
        pages=request.pages,
        start_page=request.start_page,
        max_pages=min(request.max_pages, MAX_SELECTED_PAGES),
    )


def _indexes_before_counting(request: ReadingRequest) -> list[int]:
    """Return the first part of a selection; nothing where it depends on the number of pages.

    Reading counts too, even when it reads nothing: no document is opened only to count its pages before.
    """
    asked = [request.start_page] if request.pages is None else request.pages
    if any(index < 0 for index in asked):
        return []
    return _select(sys.maxsize, request).indexes[:PART_PAGES]


def reading_application(_arguments: dict[str, str]) -> Application:
    """Build the application as the settings in its environment say; Serve scales it."""
    settings = load_settings(os.environ)
    deployment = serve.deployment(
        name=READING_DEPLOYMENT,
        max_ongoing_requests=ONGOING_FOR_EACH_PART * parts_per_replica(settings),
        ray_actor_options=reading_replica(settings).actor_options,
        logging_config={"enable_access_log": False},
        health_check_period_s=5.0,
        # A replica that is replaced ends what it reads.
        graceful_shutdown_timeout_s=READING_SECONDS,
        max_surge_percent=SURGE_PERCENT,
    )
    return deployment(PageReading).bind()

"""Requests to the Serve applications, and their responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from pagemill.documents.words import DocumentPages
from pagemill.extraction.types import ImageQuality, ReadOptions
from pagemill.rotation import Rotation
from pagemill.tracing.spans import context_to_send

READING = "reading"
"""Name of the application that reads pages."""
PREDICTION = "prediction"
"""Name of the application that finds fields."""
READING_DEPLOYMENT = "PageReading"
PREDICTION_DEPLOYMENT = "FieldPrediction"

PART_PAGES = 4
"""Most pages that one request reads: between parts others get their turn, and the caller may have gone."""
MESSAGE_BYTES = 1024 * 1024
"""Most bytes of predictions in a message: more goes through object storage. Serve takes 4 MiB."""


class ReadingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Request to read pages of a document; it reads at most ``PART_PAGES`` and says which are missing then.

    ``pages`` are zero-based indexes, negative ones count from the end; without them ``max_pages`` pages are
    read from ``start_page`` on. What is read ``in_background`` gives way to other requests. ``trace_context``
    is the caller's place in a trace.
    """

    content_key: str
    pages: list[int] | None = None
    start_page: int = 0
    max_pages: int = 1
    rotation: Rotation = 0
    auto_rotate: bool = False
    image_quality: ImageQuality = "LOW"
    in_background: bool = False
    trace_context: str | None = None

    @property
    def options(self) -> ReadOptions:
        """Options that change the words of a page."""
        return ReadOptions(
            rotation=self.rotation, auto_rotate=self.auto_rotate, image_quality=self.image_quality
        )


class ReadingResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Response with all ``pages`` that the request selects, in its order.

    The words of those that are ``missing`` are not stored yet: these have to be requested. ``next_page`` is
    the index of the first page after the selection, if there is one.
    """

    pages: DocumentPages
    missing: list[int]
    next_page: int | None


class PredictionRequest(msgspec.Struct, frozen=True):
    """Request to find fields on pages; ``postprocess_config`` is the API's.

    ``trace_context`` is the caller's place in a trace.
    """

    pages: DocumentPages
    postprocess_config: dict[str, Any]
    trace_context: str | None = None


Request = TypeVar("Request", ReadingRequest, PredictionRequest)


def read_options(preprocess_config: Mapping[str, Any]) -> ReadOptions:
    """Return the part of the API's preprocessConfig that changes the words of a page."""
    return ReadOptions(
        rotation=cast("Rotation", preprocess_config.get("rotation", 0)),
        auto_rotate=bool(preprocess_config.get("autoRotate", False)),
        image_quality=cast("ImageQuality", preprocess_config.get("imageQuality", "LOW")),
    )


def reading_request(content_key: str, preprocess_config: Mapping[str, Any]) -> ReadingRequest:
    """Return the request for an effective preprocessConfig, which has all of its members."""
    options = read_options(preprocess_config)
    return ReadingRequest(
        content_key=content_key,
        pages=preprocess_config.get("pages"),
        start_page=preprocess_config.get("startPage") or 0,
        max_pages=preprocess_config.get("maxPages", 1),
        rotation=options.rotation,
        auto_rotate=options.auto_rotate,
        image_quality=options.image_quality,
    )


def first_pages_request(content_key: str, options: ReadOptions, max_pages: int) -> ReadingRequest:
    """Return a request that reads the first pages in the background."""
    return ReadingRequest(
        content_key=content_key,
        max_pages=max_pages,
        rotation=options.rotation,
        auto_rotate=options.auto_rotate,
        image_quality=options.image_quality,
        in_background=True,
    )


def within_active_trace(request: Request) -> Request:
    """Return the request with the caller's place in the active trace, if there is one."""
    context = context_to_send()
    return request if context is None else msgspec.structs.replace(request, trace_context=context)


def missing_pages_requests(request: ReadingRequest, missing: Sequence[int]) -> list[ReadingRequest]:
    """Return the requests that read the pages that ``request`` has left, a part each."""
    parts = (missing[start : start + PART_PAGES] for start in range(0, len(missing), PART_PAGES))
    return [msgspec.structs.replace(request, pages=list(part)) for part in parts]

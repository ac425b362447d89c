"""Validation of a document's groundTruth."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pagemill.api.http.schemas import RequestStruct
from pagemill.documents.labels import GroundTruth
from pagemill.errors import BadRequest

MAXIMUM_VALUE_LENGTH = 1024
MAXIMUM_PAGES = 10
MAXIMUM_DEPTH = 8
MAXIMUM_VALUES = 50_000
SMALL_BYTES = 64 * 1024
"""So much is checked in some 20 ms."""
MEMBERS = {"label", "value", "pages", "confidence"}

_LABEL = re.compile(r"[0-9A-Za-z_-]{1,36}")


class GroundTruthItem(RequestStruct, omit_defaults=True):
    """A labelled value: text, null, a boolean, a number, or for a ``lines`` field items or rows of items."""

    label: Annotated[str, Meta(min_length=1, max_length=36, pattern=r"^[0-9A-Za-z-_]+$")]
    value: str | bool | int | float | list[Any] | None
    pages: Annotated[list[int], Meta(max_length=MAXIMUM_PAGES)] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None


async def check_ground_truth(items: list[GroundTruthItem]) -> GroundTruth:
    """Return the items as they are stored; many are checked beside the event loop. Raises BadRequest."""
    if len(msgspec.json.encode(items)) <= SMALL_BYTES:
        return checked_ground_truth(items)
    return await asyncio.to_thread(checked_ground_truth, items)


def checked_ground_truth(items: list[GroundTruthItem]) -> GroundTruth:
    """Return the items as they are stored. Raises BadRequest naming the place of an error."""
    stored: GroundTruth = []
    budget = [MAXIMUM_VALUES]
    for index, item in enumerate(items):
        where = f"groundTruth[{index}]"
        _check_label(item.label, where)
        _check_value(item.value, f"{where}.value", 1, budget)
        kept: dict[str, Any] = {"label": item.label, "value": item.value}
        if item.pages is not None:
            kept["pages"] = item.pages
        if item.confidence is not None:
            kept["confidence"] = item.confidence
        stored.append(kept)
    return stored


def _check_value(value: Any, where: str, depth: int, budget: list[int]) -> None:
    budget[0] -= 1
    if budget[0] < 0:
        raise BadRequest(f"groundTruth: must not have more than {MAXIMUM_VALUES} values")
    if isinstance(value, str) and len(value) > MAXIMUM_VALUE_LENGTH:
        raise BadRequest(f"{where}: must not be longer than {MAXIMUM_VALUE_LENGTH} characters")
    if not isinstance(value, list):
        return
    if depth > MAXIMUM_DEPTH:
        raise BadRequest(f"{where}: is nested too deeply")
    for index, inner in enumerate(value):
        _check_nested(inner, f"{where}[{index}]", depth, budget)


def _check_nested(item: Any, where: str, depth: int, budget: list[int]) -> None:
    if isinstance(item, list):
        _check_value(item, where, depth + 1, budget)
        return
    if not isinstance(item, dict) or "value" not in item or not isinstance(item.get("label"), str):
        raise BadRequest(f"{where}: must be an object with label and value")
    if unknown := sorted(set(item) - MEMBERS):
        raise BadRequest(f"{where}: has an unknown member {unknown[0]}")
    _check_label(item["label"], where)
    if not _are_pages(item.get("pages", [])):
        raise BadRequest(f"{where}.pages: must be a list of at most {MAXIMUM_PAGES} integers")
    if not _is_confidence(item.get("confidence", 0)):
        raise BadRequest(f"{where}.confidence: must be a number from 0 to 1")
    if isinstance(item["value"], dict):
        raise BadRequest(f"{where}.value: must not be an object")
    _check_value(item["value"], f"{where}.value", depth + 1, budget)


def _check_label(label: str, where: str) -> None:
    if not _LABEL.fullmatch(label):
        raise BadRequest(f"{where}.label: must consist of 1 to 36 letters, digits, - and _")


def _are_pages(pages: Any) -> bool:
    return (
        isinstance(pages, list)
        and len(pages) <= MAXIMUM_PAGES
        and all(isinstance(page, int) and not isinstance(page, bool) for page in pages)
    )


def _is_confidence(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1

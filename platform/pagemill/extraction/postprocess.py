"""Conversion of extracted fields to the API's predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from pagemill.extraction.types import Extracted, Field, Lines

MAXIMUM_TEXT = 1024
MAXIMUM_PAGES = 100


def _item(field: Field, page: int | None = None) -> dict[str, Any]:
    """Return one field with the API's keys, without those that are unknown."""
    item: dict[str, Any] = {
        "label": field.label,
        "value": (field.value or "")[:MAXIMUM_TEXT] or None,
        "confidence": min(max(float(field.confidence), 0.0), 1.0),
    }
    if field.raw_value:
        item["rawValue"] = field.raw_value[:MAXIMUM_TEXT]
    known = field.page if field.page is not None else page
    if known is not None:
        item["page"] = known
    if field.location is not None:
        item["location"] = [min(max(float(edge), 0.0), 1.0) for edge in field.location]
    item["source"] = "model"
    return item


def _lines_item(lines: Lines) -> dict[str, Any]:
    item: dict[str, Any] = {"label": lines.label}
    if lines.page is not None:
        item["page"] = lines.page
    item["value"] = [[_item(cell) for cell in row] for row in lines.rows]
    return item


def _ranked(fields: Sequence[Field]) -> list[Field]:
    """Sort values before nothing, then by confidence, then by page."""
    return sorted(
        fields,
        key=lambda field: (
            field.value is None,
            -field.confidence,
            field.page if field.page is not None else 0,
        ),
    )


class _Strategy(NamedTuple):
    """What is kept of a document: of how many pages, and whether these are merged."""

    pages: int
    merges: bool


def _strategy(config: Mapping[str, object]) -> _Strategy:
    if config.get("strategy") != "BEST_N_PAGES":
        return _Strategy(MAXIMUM_PAGES, merges=True)
    parameters = config.get("parameters")
    parameters = parameters if isinstance(parameters, Mapping) else {}
    number = parameters.get("n")
    limit = number if isinstance(number, int) and 1 <= number <= MAXIMUM_PAGES else 1
    return _Strategy(limit, merges=bool(parameters.get("collapse")))


def _best_pages(extracted: Sequence[Extracted], number: int) -> set[int | None]:
    """Return the pages whose values are the surest, taken together; of equal ones the first."""
    sums: dict[int | None, float] = {}
    for item in extracted:
        for field in chain.from_iterable(item.rows) if isinstance(item, Lines) else [item]:
            if field.value is not None:
                sums[field.page] = sums.get(field.page, 0.0) + field.confidence
    ranked = sorted(sums, key=lambda page: (-sums[page], page if page is not None else 0))
    return set(ranked[:number])


def _chosen(fields: Sequence[Field], pages: set[int | None], *, merges: bool) -> list[Field]:
    """Return the candidates of one label that the strategy keeps: one, or one of each page.

    Of a field that can have several values, all that are found there.
    """
    found = [field for field in _ranked(fields) if field.value is None or field.page in pages]
    if not found:
        surest = max((field.confidence for field in fields), default=0.0)
        return [Field(fields[0].label, None, 1 - surest)] if fields else []
    kept: dict[object, Field] = {}
    for field in found:
        place = None if merges else field.page
        key = (place, field.value) if field.several else place
        if field.value is not None or not kept:
            kept.setdefault(key, field)
    return list(kept.values())


def _chosen_lines(lines: Lines, pages: set[int | None], *, merges: bool) -> list[Lines]:
    """Return the rows that begin on the pages that the strategy keeps, together or by page."""
    by_page: dict[int | None, list[list[Field]]] = {}
    for row in lines.rows:
        page = row[0].page if row else None
        if page in pages:
            by_page.setdefault(None if merges else page, []).append(row)
    if not by_page:
        return [Lines(lines.label, [])]
    return [Lines(lines.label, rows, rows[0][0].page) for rows in by_page.values()]


def _kept(extracted: Sequence[Extracted], config: Mapping[str, object]) -> list[Extracted]:
    """Return what the strategy keeps, by label."""
    strategy = _strategy(config)
    pages = _best_pages(extracted, strategy.pages)
    kept: list[Extracted] = []
    for items in _by_label(extracted).values():
        kept += _chosen([i for i in items if isinstance(i, Field)], pages, merges=strategy.merges)
        for lines in items:
            if isinstance(lines, Lines):
                kept += _chosen_lines(lines, pages, merges=strategy.merges)
    return kept


def _by_label(extracted: Sequence[Extracted]) -> dict[str, list[Extracted]]:
    grouped: dict[str, list[Extracted]] = {}
    for item in extracted:
        grouped.setdefault(item.label, []).append(item)
    return grouped


def _flat(kept: Sequence[Extracted]) -> list[dict[str, Any]]:
    return [_lines_item(item) if isinstance(item, Lines) else _item(item) for item in kept]


def _without_label(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "label"}


def _row_object(row: Sequence[Field]) -> dict[str, list[dict[str, Any]]]:
    result: dict[str, list[dict[str, Any]]] = {}
    for cell in _ranked(row):
        result.setdefault(cell.label, []).append(_without_label(_item(cell)))
    return result


def _nested(kept: Sequence[Extracted]) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for item in kept:
        own = result.setdefault(item.label, [])
        if isinstance(item, Lines):
            own += [_row_object(row) for row in item.rows]
        else:
            own.append(_without_label(_item(item)))
    return result


def postprocess(
    extracted: Sequence[Extracted], postprocess_config: Mapping[str, object]
) -> list[dict[str, Any]] | dict[str, list[Any]]:
    """Return the API's flat list of predictions (v1), or its object of candidates by label (v2)."""
    kept = _kept(extracted, postprocess_config)
    return _nested(kept) if postprocess_config.get("outputFormat") == "v2" else _flat(kept)

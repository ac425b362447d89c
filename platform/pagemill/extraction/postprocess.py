"""Conversion of extracted fields to the API's predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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


def _chosen(fields: Sequence[Field], config: Mapping[str, object]) -> list[Field]:
    """Return the candidates of one label that the strategy keeps."""
    ranked = _ranked(fields)
    if config.get("strategy") != "BEST_N_PAGES":
        return ranked[:1]
    parameters = config.get("parameters")
    parameters = parameters if isinstance(parameters, Mapping) else {}
    if parameters.get("collapse"):
        return ranked[:1]
    number = parameters.get("n")
    limit = number if isinstance(number, int) and 1 <= number <= MAXIMUM_PAGES else 1
    by_page: dict[int | None, Field] = {}
    for field in ranked:
        by_page.setdefault(field.page, field)
    return list(by_page.values())[:limit]


def _by_label(extracted: Sequence[Extracted]) -> dict[str, list[Extracted]]:
    grouped: dict[str, list[Extracted]] = {}
    for item in extracted:
        grouped.setdefault(item.label, []).append(item)
    return grouped


def _flat(extracted: Sequence[Extracted], config: Mapping[str, object]) -> list[dict[str, Any]]:
    result = []
    for items in _by_label(extracted).values():
        result += [_item(field) for field in _chosen([i for i in items if isinstance(i, Field)], config)]
        result += [_lines_item(lines) for lines in items if isinstance(lines, Lines)]
    return result


def _without_label(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "label"}


def _row_object(row: Sequence[Field]) -> dict[str, list[dict[str, Any]]]:
    result: dict[str, list[dict[str, Any]]] = {}
    for cell in _ranked(row):
        result.setdefault(cell.label, []).append(_without_label(_item(cell)))
    return result


def _nested(extracted: Sequence[Extracted], config: Mapping[str, object]) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for label, items in _by_label(extracted).items():
        fields = _chosen([item for item in items if isinstance(item, Field)], config)
        own = result.setdefault(label, [_without_label(_item(field)) for field in fields])
        for lines in items:
            if isinstance(lines, Lines):
                own += [_row_object(row) for row in lines.rows]
    return result


def postprocess(
    extracted: Sequence[Extracted], postprocess_config: Mapping[str, object]
) -> list[dict[str, Any]] | dict[str, list[Any]]:
    """Return the API's flat list of predictions (v1), or its object of candidates by label (v2)."""
    if postprocess_config.get("outputFormat") == "v2":
        return _nested(extracted, postprocess_config)
    return _flat(extracted, postprocess_config)

"""Summary of a data bundle: how much there is to learn from, label by label, and what is wrong with it.

No ground truth makes a summary fail: a value that does not fit is an error in the summary.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pagemill.extraction.decoding import as_text, enum_choices, field_type, parse_number
from pagemill.extraction.tagger_configuration import split_fields
from pagemill.extraction.types import FieldConfig, FieldDefinition, FieldDefinitions, LineItemDefinitions

COMMON_VALUES = 10
"""Uniqueness is the share of values that are none of the ten most frequent."""
MAXIMUM_ERRORS = 10_000
MAXIMUM_CHARACTERS = 256
LARGEST_AMOUNT = 1e15
MAXIMUM_DUPLICATE_VALUES = 1000
MAXIMUM_DUPLICATE_DOCUMENTS = 10
MINIMUM_VALUES = 10
MINIMUM_DISTINCT = 2
MINIMUM_ENUM_SHARE = 0.05
SCORES = ("completeness", "validity", "coverage", "uniqueness", "uniformity", "variation")

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_AMOUNT = re.compile(r"-?\d{1,15}(?:\.\d{2})?")

MESSAGES = {
    "DE002": "The document has no ground truth",
    "LE002": "The date is not written YYYY-MM-DD",
    "LE003": "The amount is not a number with two decimals",
    "LE004": "The value is not a number",
    "LE005": "The value has other characters than digits",
    "LE006": "The value is not one of the enum",
    "LE007": "The value does not fit the type of the field",
    "TE001": f"There are fewer than {MINIMUM_VALUES} values",
    "TE002": f"There are fewer than {MINIMUM_DISTINCT} different values",
    "TE003": "Some values of the enum are rare beside the others",
    "TE004": f"There are fewer than {MINIMUM_DISTINCT} different values of the enum",
}


class SummaryDocument(msgspec.Struct, frozen=True):
    """A document of the bundle; ``content_md5`` is None while nothing was uploaded.

    Of one that is ``foreign`` the summary shows no value: whoever reads it may not read the document.
    """

    document_id: str
    content_md5: str | None
    ground_truth: Any
    foreign: bool = False


@dataclass(slots=True)
class _Label:
    """Counts of one label. Nulls count as values that are not there."""

    definition: FieldDefinition
    values: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    documents_with_value: int = 0
    documents_with_valid: int = 0

    @property
    def valid(self) -> int:
        return self.values.total()


def summarise(documents: Sequence[SummaryDocument], field_config: FieldConfig) -> dict[str, Any]:
    """Return the API's summary: aggregate, labels with scores in 0..1, duplicates, distributions, errors."""
    fields, lines = split_fields(field_config)
    labels = {name: _Label(definition) for name, definition in _definitions(fields, lines).items()}
    errors: list[dict[str, Any]] = []
    for document in documents:
        errors += _read(document, labels)
        errors += _without_rows(document, lines)
    errors += [error for name, label in labels.items() for error in _type_errors(name, label)]
    described = {name: _described(label, len(documents)) for name, label in labels.items()}
    return {
        "aggregate": _aggregate(described, len(documents)),
        "labels": described,
        "duplicates": _duplicates(documents, labels),
        "errors": errors[:MAXIMUM_ERRORS],
    }


def _definitions(fields: FieldDefinitions, lines: LineItemDefinitions) -> dict[str, FieldDefinition]:
    """Return scalar fields by label, and columns of lines fields as ``lines.column``."""
    nested = {
        f"{label}.{column}": definition
        for label, columns in lines.items()
        for column, definition in columns.items()
    }
    return {**fields, **nested}


def _without_rows(document: SummaryDocument, lines: Collection[str]) -> Iterator[dict[str, Any]]:
    """Drop the columns of lines fields: a lines field has rows, whatever its columns are."""
    for name, value in _values(document.ground_truth, ""):
        if name in lines and not isinstance(value, list) and not _is_missing(value):
            yield _error("LE007", document.document_id, name)


def _read(document: SummaryDocument, labels: Mapping[str, _Label]) -> Iterator[dict[str, Any]]:
    with_value: set[str] = set()
    with_valid: set[str] = set()
    if not isinstance(document.ground_truth, list) or not document.ground_truth:
        yield _error("DE002", document.document_id)
    for name, value in _values(document.ground_truth, ""):
        label = labels.get(name)
        if label is None or _is_missing(value):
            continue
        with_value.add(name)
        code = value_error(value, label.definition)
        if code is None:
            with_valid.add(name)
            label.values[as_text(value) or ""] += 1
        else:
            label.errors += 1
            yield _error(code, document.document_id, name)
    for name in with_value:
        labels[name].documents_with_value += 1
    for name in with_valid:
        labels[name].documents_with_valid += 1


def _values(items: Any, prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield labels and their values; a list of items, or of rows of items, belongs to a lines field."""
    if not isinstance(items, list) or depth > 8:
        return
    for item in items:
        if isinstance(item, list):
            yield from _values(item, prefix, depth + 1)
        elif isinstance(item, Mapping) and isinstance(item.get("label"), str):
            name = prefix + item["label"]
            yield name, item.get("value")
            yield from _values(item.get("value"), f"{name}.", depth + 1)


def _is_missing(value: Any) -> bool:
    return value is None or value == ""


def value_error(value: object, definition: FieldDefinition) -> str | None:
    """Return the code of what is wrong with a value; None when it fits its field's type."""
    kind = field_type(definition)
    text = as_text(value)
    if isinstance(value, list | dict) or text is None:
        return "LE007"
    if kind == "string":
        return None
    if isinstance(value, bool):
        return "LE007" if kind != "enum" else _enum_error(text, definition)
    match kind:
        case "date":
            return None if _is_iso_date(text) else "LE002"
        case "amount":
            return None if _is_amount(value, text) else "LE003"
        case "numeric":
            return None if isinstance(value, int | float) or parse_number(text) is not None else "LE004"
        case "digits":
            return None if text.isascii() and text.isdigit() else "LE005"
        case _:
            return _enum_error(text, definition)


def _enum_error(text: str, definition: FieldDefinition) -> str | None:
    return None if text in enum_choices(definition) else "LE006"


def _is_iso_date(text: str) -> bool:
    if not _ISO_DATE.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_amount(value: Any, text: str) -> bool:
    if isinstance(value, float):
        return abs(value) < LARGEST_AMOUNT and abs(value * 100 - round(value * 100)) < 1e-6
    return isinstance(value, int) or bool(_AMOUNT.fullmatch(text))


def _type_errors(name: str, label: _Label) -> Iterator[dict[str, Any]]:
    if label.valid < MINIMUM_VALUES:
        yield _error("TE001", label=name)
    is_enum = field_type(label.definition) == "enum"
    if len(label.values) < MINIMUM_DISTINCT:
        yield _error("TE004" if is_enum else "TE002", label=name)
    elif is_enum and min(label.values.values()) < MINIMUM_ENUM_SHARE * label.valid:
        yield _error("TE003", label=name)


def _error(code: str, document_id: str | None = None, label: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": MESSAGES[code]}
    if document_id is not None:
        error["documentId"] = document_id
    if label is not None:
        error["label"] = label
    return error


def _described(label: _Label, documents: int) -> dict[str, Any]:
    occurring = label.valid + label.errors
    uniqueness, uniformity = _uniqueness(label.values), _uniformity(label.values)
    characters: Counter[str] = Counter()
    lengths: Counter[int] = Counter()
    for value, number in label.values.items():
        lengths[len(value)] += number
        for character, times in Counter(value).items():
            characters[character] += times * number
    return {
        "numberOfValids": label.valid,
        "numberOfDistinctValids": len(label.values),
        "numberOfErrors": label.errors,
        "errorPercent": 100 * _share(label.errors, occurring),
        "completeness": _share(label.documents_with_value, documents),
        "validity": _share(label.valid, occurring),
        "coverage": _share(label.documents_with_valid, documents),
        "uniqueness": uniqueness,
        "uniformity": uniformity,
        "variation": (uniqueness + uniformity) / 2,
        "characterDistribution": dict(characters.most_common(MAXIMUM_CHARACTERS)),
        "lengthDistribution": {str(length): lengths[length] for length in sorted(lengths)},
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _uniqueness(values: Counter[str]) -> float:
    common = sum(number for _, number in values.most_common(COMMON_VALUES))
    return 1 - common / values.total() if values else 0.0


def _uniformity(values: Counter[str]) -> float:
    """Return the entropy of the values relative to that of as many different ones."""
    total = values.total()
    if total <= 1:
        return 0.0
    shares = [number / total for number in values.values()]
    return min(max(-sum(share * math.log(share) for share in shares) / math.log(total), 0.0), 1.0)


def _aggregate(labels: Mapping[str, Mapping[str, Any]], documents: int) -> dict[str, Any]:
    means = {
        name: sum(label[name] for label in labels.values()) / len(labels) if labels else 0.0
        for name in SCORES
    }
    return {
        "numberOfDocuments": documents,
        **means,
        "overallScore": (means["coverage"] + means["variation"]) / 2,
    }


def _duplicates(documents: Sequence[SummaryDocument], labels: Collection[str]) -> dict[str, Any]:
    """Return the documents with the same content, and the values that a label has in several documents.

    Foreign documents are not looked at: a value beside them would show that they have it.
    """
    contents: defaultdict[str, list[str]] = defaultdict(list)
    values: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for document in documents:
        if document.foreign:
            continue
        if document.content_md5 is not None:
            contents[document.content_md5].append(document.document_id)
        for name, value in _values(document.ground_truth, ""):
            text = as_text(value)
            if name in labels and text is not None:
                values[name, text][document.document_id] = None
    return {"documents": _repeated(contents), "groundTruths": _repeated_values(values)}


def _repeated_values(documents: Mapping[tuple[str, str], Collection[str]]) -> list[dict[str, Any]]:
    """Return values with their documents, those of the most documents first."""
    repeated = sorted(
        ((key, ids) for key, ids in documents.items() if len(ids) > 1),
        key=lambda pair: (-len(pair[1]), pair[0]),
    )
    return [
        {
            "label": label,
            "value": value,
            "numberOfDocuments": len(ids),
            "documentIds": list(ids)[:MAXIMUM_DUPLICATE_DOCUMENTS],
        }
        for (label, value), ids in repeated[:MAXIMUM_DUPLICATE_VALUES]
    ]


def _repeated(groups: Mapping[Any, list[str]]) -> list[list[str]]:
    return [group for group in groups.values() if len(group) > 1]

"""Evaluation of an extractor on documents that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pagemill.extraction.decoding import field_type, normalise, same_value
from pagemill.extraction.inference import SMALLEST
from pagemill.extraction.line_item_alignment import LabelledCell
from pagemill.extraction.preparation import Truth
from pagemill.extraction.tagger_configuration import Calibration, TaggerConfiguration
from pagemill.extraction.types import Extracted, Field, FieldDefinition, Lines

CALIBRATION_BINS = 10
MINIMUM_FOR_CALIBRATION = 8
AUTOMATION_PRECISION = 0.95
AUTOMATION_THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995)


@dataclass(frozen=True, slots=True)
class Judged:
    """One expected or found value. ``confidence`` is None when nothing was found.

    ``classes`` are the expected and the found value of a field that is one of a list; None is no value.
    """

    label: str
    expected: bool
    correct: bool
    exact: bool
    confidence: float | None
    classes: tuple[str | None, str | None] | None = None


@dataclass(frozen=True, slots=True)
class JudgedDocument:
    """The judgements of a document: of its scalar values, and (correct, found, expected) rows by label."""

    document_id: str
    scalars: list[Judged]
    rows: dict[str, tuple[int, int, int]]


def best_fields(extracted: Sequence[Extracted]) -> dict[str, Field]:
    """Return the most confident value of each label over all pages."""
    best: dict[str, Field] = {}
    for item in extracted:
        if isinstance(item, Field) and item.value is not None:
            before = best.get(item.label)
            if before is None or item.confidence > before.confidence:
                best[item.label] = item
    return best


def judge_scalars(
    extracted: Sequence[Extracted], truth: Truth, configuration: TaggerConfiguration
) -> list[Judged]:
    """Judge each scalar label that the ground truth contains."""
    best = best_fields(extracted)
    judged = []
    for label, values in truth.scalars.items():
        found = best.get(label)
        definition, order = configuration.fields[label], configuration.order(label)
        correct = found is not None and any(
            same_value(value, found.value, definition, order) for value in values
        )
        texts = (found.value, found.raw_value) if found else ()
        exact = any(value in texts for value in values)
        if found is not None or values:
            confidence = found.confidence if found else None
            classes = _classes(values, found, definition) if field_type(definition) == "enum" else None
            judged.append(Judged(label, bool(values), correct, exact, confidence, classes))
    return judged


def _classes(
    values: Sequence[str], found: Field | None, definition: FieldDefinition
) -> tuple[str | None, str | None]:
    """Return the expected and the found value, the expected one as the definition spells it."""
    expected = (normalise(values[0], definition) or values[0]) if values else None
    return expected, found.value if found else None


def _same_row(
    row: Sequence[LabelledCell], found: Mapping[str, Field], label: str, configuration: TaggerConfiguration
) -> bool:
    columns = configuration.lines[label]
    return all(
        column in found
        and same_value(text, found[column].value, columns[column], configuration.order(label, column))
        for column, text, _ in row
    )


def judge_rows(
    extracted: Sequence[Extracted], truth: Truth, configuration: TaggerConfiguration
) -> dict[str, tuple[int, int, int]]:
    """Return (correct, found, expected) rows of each lines label that the ground truth contains."""
    result = {}
    for label, rows in truth.rows.items():
        lines = next((item for item in extracted if isinstance(item, Lines) and item.label == label), None)
        left = [{cell.label: cell for cell in row} for row in (lines.rows if lines else [])]
        found, correct = len(left), 0
        for row in rows:
            match = next(
                (at for at, other in enumerate(left) if _same_row(row, other, label, configuration)), None
            )
            if match is not None:
                left.pop(match)
                correct += 1
        result[label] = (correct, found, len(rows))
    return result


def judge_document(
    document_id: str, extracted: Sequence[Extracted], truth: Truth, configuration: TaggerConfiguration
) -> JudgedDocument:
    """Judge the labels that the ground truth of a document contains."""
    return JudgedDocument(
        document_id,
        judge_scalars(extracted, truth, configuration),
        judge_rows(extracted, truth, configuration),
    )


def fit_calibration(judged: Sequence[Judged], labels: Sequence[str]) -> dict[str, Calibration]:
    """Fit Platt scaling: one slope for all labels, and a shift for each that stays near the common one."""
    sample = [item for item in judged if item.confidence is not None]
    if len(sample) < MINIMUM_FOR_CALIBRATION:
        return {}
    place = {label: index for index, label in enumerate(labels)}
    confidences = torch.tensor([item.confidence for item in sample], dtype=torch.float64)
    odds = torch.logit(confidences, eps=SMALLEST)
    correct = torch.tensor([float(item.correct) for item in sample], dtype=torch.float64)
    groups = torch.tensor([place[item.label] for item in sample])
    weights = torch.zeros(2 + len(labels), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        scores = weights[0].exp() * odds + weights[1] + weights[2:][groups]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, correct, reduction="sum")
        loss = loss + 0.5 * weights[0] ** 2 + 0.25 * weights[1] ** 2 + weights[2:].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    slope, shift, *own = [float(weight) for weight in weights.detach()]
    return {label: Calibration(float(np.exp(slope)), shift + own[place[label]]) for label in labels}


def calibration_error(judged: Sequence[Judged]) -> float:
    """Return the expected calibration error: the distance of confidence from accuracy, over bins."""
    bins = calibration_curve(judged)
    total = sum(one["count"] for one in bins)
    distances = (one["count"] * abs(one["confidence"] - one["accuracy"]) for one in bins)
    return sum(distances) / total if total else 0.0


def calibration_curve(judged: Sequence[Judged]) -> list[dict[str, float]]:
    """Return the mean confidence, the accuracy and the count of each bin that has values."""
    sample = [item for item in judged if item.confidence is not None]
    confidences = np.array([item.confidence for item in sample], dtype=float)
    correct = np.array([item.correct for item in sample], dtype=float)
    bins = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "confidence": float(confidences[bins == number].mean()),
            "accuracy": float(correct[bins == number].mean()),
            "count": int((bins == number).sum()),
        }
        for number in range(CALIBRATION_BINS)
        if (bins == number).any()
    ]


def automation_curve(judged: Sequence[Judged]) -> list[dict[str, float]]:
    """Return the share of values that pass each threshold, and the precision of those that do."""
    curve = []
    for threshold in AUTOMATION_THRESHOLDS:
        passed = [item for item in judged if item.confidence is not None and item.confidence >= threshold]
        if passed:
            precision = sum(item.correct for item in passed) / len(passed)
            rate = len(passed) / len(judged)
            curve.append({"threshold": threshold, "rate": rate, "precision": precision})
    return curve


def automation(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the lowest threshold above which enough values are right, and the share that pass it."""
    sample = sorted(
        (item for item in judged if item.confidence is not None), key=lambda item: -(item.confidence or 0)
    )
    best = {"threshold": 1.0, "rate": 0.0, "precision": 1.0}
    correct = 0
    for count, item in enumerate(sample, start=1):
        correct += item.correct
        last = count == len(sample) or sample[count].confidence != item.confidence
        if last and correct / count >= AUTOMATION_PRECISION:
            best = {
                "threshold": item.confidence or 0.0,
                "rate": count / len(judged),
                "precision": correct / count,
            }
    return best


def _measures(correct: int, found: int, expected: int, exact: int) -> dict[str, float]:
    precision = correct / found if found else 0.0
    recall = correct / expected if expected else 0.0
    both = precision + recall
    return {
        "accuracy": recall,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
        "exactMatch": exact / expected if expected else 0.0,
    }


def field_measures(
    judged: Sequence[Judged], rows: Sequence[Mapping[str, tuple[int, int, int]]], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return accuracy, precision, recall, F1 and exact matches of each label; lines labels count rows."""
    result = {}
    for label in labels:
        own = [item for item in judged if item.label == label]
        counted = [counts[label] for counts in rows if label in counts]
        correct = sum(item.correct for item in own) + sum(counts[0] for counts in counted)
        found = sum(item.confidence is not None for item in own) + sum(counts[1] for counts in counted)
        expected = sum(item.expected for item in own) + sum(counts[2] for counts in counted)
        exact = sum(item.exact for item in own) + sum(counts[0] for counts in counted)
        result[label] = _measures(correct, found, expected, exact)
    return result

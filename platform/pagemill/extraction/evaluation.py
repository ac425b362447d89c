"""Evaluation of an extractor on documents that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pagemill.extraction.decoding import same_value
from pagemill.extraction.inference import SMALLEST
from pagemill.extraction.line_item_alignment import LabelledCell
from pagemill.extraction.preparation import Truth
from pagemill.extraction.tagger_configuration import Calibration, TaggerConfiguration
from pagemill.extraction.types import Extracted, Field, Lines

CALIBRATION_BINS = 10
MINIMUM_FOR_CALIBRATION = 8
AUTOMATION_PRECISION = 0.95


@dataclass(frozen=True, slots=True)
class Judged:
    """One expected or found value. ``confidence`` is None when nothing was found."""

    label: str
    expected: bool
    correct: bool
    exact: bool
    confidence: float | None


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
            judged.append(Judged(label, bool(values), correct, exact, found.confidence if found else None))
    return judged


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
    sample = [item for item in judged if item.confidence is not None]
    if not sample:
        return 0.0
    confidences = np.array([item.confidence for item in sample])
    correct = np.array([item.correct for item in sample], dtype=float)
    bins = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    total = 0.0
    for number in range(CALIBRATION_BINS):
        inside = bins == number
        if inside.any():
            total += inside.mean() * abs(confidences[inside].mean() - correct[inside].mean())
    return float(total)


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


def summary(
    measures: Mapping[str, Mapping[str, float]], judged: Sequence[Judged], documents: int
) -> dict[str, Any]:
    """Return the evaluation as it is published, except for the numbers of examples."""
    expected = [item for item in judged if item.expected]
    return {
        "fields": {label: dict(values) for label, values in measures.items()},
        "accuracy": sum(item.correct for item in expected) / len(expected) if expected else 0.0,
        "numberOfDocuments": documents,
        "calibration": {"expectedCalibrationError": calibration_error(judged)},
        "automation": automation(judged),
    }

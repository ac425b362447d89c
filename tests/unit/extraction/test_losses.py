"""Losses are low for what is right, whichever occurrence the network prefers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pagemill.extraction.losses import batch_loss, grouped_logsumexp
from pagemill.extraction.sheets import Batch, Sheet, Targets, collate, read_sheet
from pagemill.extraction.tagger_configuration import NetworkShape, TaggerConfiguration, number_of_outputs
from tests.unit.extraction.printed import page_of

FIELDS: dict[str, dict[str, Any]] = {"total": {"type": "amount"}}
LINES: dict[str, dict[str, dict[str, Any]]] = {"items": {"price": {"type": "amount"}}}
SURE = 10.0


def configuration(lines: dict[str, dict[str, dict[str, Any]]]) -> TaggerConfiguration:
    shape = NetworkShape(number_of_outputs(FIELDS, lines), 1, 4)
    return TaggerConfiguration(shape, FIELDS, lines, {}, {"total": 1})


def batch(targets: Targets, *printed: str) -> Batch:
    pages = [page_of(line, index=index) for index, line in enumerate(printed)]
    read = read_sheet(pages)
    return collate([Sheet(read.pages, read.measurements, targets)])


def loss(scores: list[float], targets: Targets, *printed: str) -> float:
    """The loss when token t has ``scores[t]`` for being the total."""
    emissions = torch.zeros(len(scores), 3)
    emissions[:, 2] = torch.tensor(scores)
    return float(batch_loss(emissions, torch.zeros(1, 4), batch(targets, *printed), configuration({})))


def test_logsumexp_by_group() -> None:
    values = torch.tensor([1.0, 2.0, 500.0])
    groups = torch.tensor([0, 0, 1])
    found = grouped_logsumexp(values, groups, 3)
    expected = [math.log(math.exp(1) + math.exp(2) + 1), 500.0, 0.0]
    assert found.tolist() == pytest.approx(expected)
    without_nothing = grouped_logsumexp(values, groups, 2, None)
    assert without_nothing.tolist() == pytest.approx([math.log(math.exp(1) + math.exp(2)), 500.0])


def test_logsumexp_has_a_gradient_that_sums_to_one() -> None:
    values = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    grouped_logsumexp(values, torch.tensor([0, 0, 0]), 1, None).sum().backward()
    assert values.grad is not None
    assert float(values.grad.sum()) == pytest.approx(1.0)


def test_either_occurrence_will_do() -> None:
    targets = Targets(positives={"total": [(0, 0, 0), (0, 1, 1)]})
    first = loss([SURE, -SURE, -SURE], targets, "9.00 9.00 8.00")
    second = loss([-SURE, SURE, -SURE], targets, "9.00 9.00 8.00")
    wrong = loss([-SURE, -SURE, SURE], targets, "9.00 9.00 8.00")
    assert first == pytest.approx(second, abs=1e-4)
    assert first < 0.01 < 5 < wrong


def test_null_teaches_that_there_is_nothing() -> None:
    nothing = Targets(positives={"total": []})
    assert loss([-SURE, -SURE], nothing, "9.00 8.00") < 0.01
    assert loss([SURE, -SURE], nothing, "9.00 8.00") > 5


def test_a_label_that_is_not_spoken_of_teaches_nothing() -> None:
    assert loss([SURE, -SURE], Targets(), "9.00 8.00") == 0


def test_other_pages_learn_that_they_have_nothing() -> None:
    targets = Targets(positives={"total": [(0, 0, 0)]})
    quiet = loss([2 * SURE, -SURE], targets, "9.00", "8.00")
    loud = loss([2 * SURE, SURE], targets, "9.00", "8.00")
    assert quiet < 0.01 < 1 < loud


def test_rows_are_learned_by_class_and_start() -> None:
    known = [(np.array([0, 1, 0]), np.array([0, 1, 0], dtype=np.float32))]
    taught = batch(Targets(rows={"items": known}), "Tea 4.00 end")
    settings = configuration(LINES)
    right = torch.zeros(3, 7)
    right[:, 4], right[1, 5], right[1, 3] = SURE, 2 * SURE, SURE
    wrong = torch.zeros(3, 7)
    wrong[:, 4], wrong[1, 3] = SURE, -SURE
    bias = torch.zeros(1, 4)
    assert float(batch_loss(right, bias, taught, settings)) < 0.01
    assert float(batch_loss(wrong, bias, taught, settings)) > 1


def test_every_output_has_a_gradient_even_when_nothing_is_taught() -> None:
    emissions = torch.zeros(2, 3, requires_grad=True)
    bias = torch.zeros(1, 4, requires_grad=True)
    batch_loss(emissions, bias, batch(Targets(), "9.00 8.00"), configuration({})).backward()
    assert emissions.grad is not None
    assert bias.grad is not None

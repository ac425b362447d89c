"""Choices that are printed under another name, or follow from the whole document."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from pagemill.extraction.choices import Choice, choice_field
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.sheets import read_sheet
from pagemill.extraction.tagger_training import Prepared, TaggerTrainer, TrainingOptions, prepare
from pagemill.extraction.types import Example, Field, Page
from pagemill.extraction.warm_start import borrow_weights
from tests.unit.extraction.printed import page_of

# The contract's own example.
CONFIG: dict[str, dict[str, Any]] = {
    "currency": {
        "type": "enum",
        "enum": ["NOK", "EUR", "US Dollar"],
        "description": "currency of the total",
    },
    "total": {"type": "amount"},
    "items": {"type": "lines", "fields": {"text": {"type": "string"}, "qty": {"type": "numeric"}}},
}
OPTIONS = TrainingOptions(hidden=16, layers=2, maximum_epochs=8, minimum_steps=160, tokens_per_batch=300)
PRINTED = {"NOK": "kr {},-", "EUR": "{},00 \u20ac", "US Dollar": "${}.00"}


def bill(number: int) -> Example:
    """A bill whose currency is printed as a sign; one in eight has neither a total nor a currency."""
    chance = random.Random(number)
    amount, quantity = chance.randrange(10, 900), chance.randrange(1, 9)
    item = chance.choice(["Tea", "Milk", "Salt"])
    currency = None if number % 8 == 7 else list(PRINTED)[number % 3]
    total = "Total open" if currency is None else f"Total {PRINTED[currency].format(amount)}"
    page = page_of("Northwind", f"Bill {number + 100}", f"{item}   {quantity}", total)
    row = [{"label": "text", "value": item}, {"label": "qty", "value": quantity}]
    truth: list[dict[str, Any]] = [
        {"label": "currency", "value": currency},
        {"label": "total", "value": None if currency is None else f"{amount}.00"},
        {"label": "items", "value": [row]},
    ]
    return Example(f"bill-{number}", [page], truth)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare([bill(number) for number in range(40)], CONFIG, OPTIONS)


@pytest.fixture(scope="module")
def trainer(prepared: Prepared) -> TaggerTrainer:
    torch.set_num_threads(1)
    trainer = TaggerTrainer(prepared, OPTIONS)
    for epoch in range(OPTIONS.maximum_epochs):
        trainer.run_epoch(epoch)
    return trainer


def test_a_choice_is_found_where_its_name_is_not_printed(trainer: TaggerTrainer) -> None:
    predictor = FieldPredictor.load(trainer.finish().artefact)
    documents = [bill(number) for number in range(100, 124)]
    right = 0
    for example, extracted in zip(
        documents, predictor.predict([one.pages for one in documents]), strict=True
    ):
        (found,) = [one for one in extracted if isinstance(one, Field) and one.label == "currency"]
        assert found.value in (None, "NOK", "EUR", "US Dollar")
        assert 0 <= found.confidence <= 1
        assert (found.page is None) == (found.value is None)
        right += found.value == example.ground_truth[0]["value"]
    assert right >= 22


def test_documents_are_classified_together_as_they_are_alone(trainer: TaggerTrainer) -> None:
    predictor = FieldPredictor.load(trainer.finish().artefact)
    documents: list[list[Page]] = [[], [page_of()], *(bill(number).pages for number in range(100, 106))]
    for pages, extracted in zip(documents, predictor.predict(documents), strict=True):
        (alone,) = predictor.predict([pages])
        first, second = extracted[0], alone[0]
        assert isinstance(first, Field)
        assert isinstance(second, Field)
        assert (first.label, first.value, first.page) == ("currency", second.value, second.page)
        assert first.confidence == pytest.approx(second.confidence, abs=1e-4)


def test_documents_that_print_their_choices_are_not_classified(prepared: Prepared) -> None:
    printed = [
        Example(
            f"{number}", [page_of("Bill", f"Total {number} {code}")], [{"label": "currency", "value": code}]
        )
        for number, code in enumerate(["NOK", "EUR"] * 6)
    ]
    assert prepare(printed, CONFIG, OPTIONS).configuration.classified == {}
    assert prepared.configuration.classified == {"currency": ["EUR", "NOK", "US Dollar"]}


def test_a_choice_that_is_printed_all_the_same_has_its_place() -> None:
    sheet = read_sheet([page_of("Bill 7", "Total 9.00 Eur")])
    found = choice_field("currency", sheet, Choice("EUR", 0.8, 0), CONFIG["currency"])
    assert (found.value, found.raw_value, found.page, found.confidence) == ("EUR", "Eur", 0, 0.8)
    assert found.location is not None
    assert choice_field("currency", sheet, Choice("NOK", 0.8, 0), CONFIG["currency"]).location is None
    assert choice_field("currency", sheet, Choice(None, 0.6, 0), CONFIG["currency"]).value is None


def test_strict_fields_and_those_with_several_values_are_not_classified() -> None:
    bills = [bill(number) for number in range(12)]
    for option in ("strict", "isMultivalue"):
        config = {"currency": CONFIG["currency"] | {option: True}}
        assert prepare(bills, config, OPTIONS).configuration.classified == {}


def test_a_warm_start_keeps_what_was_learned_of_choices(trainer: TaggerTrainer, prepared: Prepared) -> None:
    other = TaggerTrainer(prepared, OPTIONS)
    artefact = trainer.finish().artefact
    borrow_weights(other.network, prepared.configuration, artefact)
    outputs = prepared.configuration.choice_outputs("currency")
    learned = FieldPredictor.load(artefact)._reader.network.leave.weight[outputs]
    assert torch.equal(other.network.leave.weight[outputs], learned)
    with pytest.raises(KeyError):
        prepared.configuration.choice_outputs("total")

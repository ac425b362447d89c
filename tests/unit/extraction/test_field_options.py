"""Options of fields: the longest value, its format, strictness, and several values."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pagemill.extraction.conventions import DocumentValues, Reading, ValueReader
from pagemill.extraction.field_options import MISFIT, conventions_of
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, prepare
from pagemill.extraction.types import Example, Field
from tests.unit.extraction.printed import page_of

READER = ValueReader(DocumentValues([]), {})


def read(text: str, **definition: Any) -> Reading | None:
    return READER.read("field", text, definition)


def test_longer_values_than_the_longest_are_none() -> None:
    assert read("AB-1", type="string", maxLength=4) == Reading("AB-1")
    assert read("AB-12", type="string", maxLength=4) is None
    assert read("123456", type="digits", maxLength=5) is None
    assert read("12.50", type="amount", maxLength=4) is None
    assert read("x" * 2000, type="string") == Reading("x" * 1024)


def test_a_format_doubts_what_does_not_have_it_and_strictness_refuses_it() -> None:
    number: dict[str, Any] = {"type": "string", "format": r"[A-Z]{2}-\d+"}
    assert read("AB-12", **number) == read("AB-12", **number, strict=True) == Reading("AB-12")
    assert read("order 12", **number) == Reading("order 12", MISFIT)
    assert read("order 12", **number, strict=True) is None
    assert read("No. 1234", type="digits", format=r"\d{4}", strict=True) == Reading("1234")
    assert read("No. 123", type="digits", format=r"\d{4}", strict=True) is None


@pytest.mark.parametrize("text", ["[", "(?=x)", "", None, 7])
def test_what_is_no_expression_says_nothing(text: Any) -> None:
    assert read("anything", type="string", format=text, strict=True) == Reading("anything")


def test_strict_choices_are_those_that_are_printed() -> None:
    choices: dict[str, Any] = {"type": "enum", "enum": ["NOK", "EUR", "US Dollar"]}
    assert read("us-dollar", **choices, strict=True) == Reading("US Dollar")
    assert read("US Dolar", **choices) == Reading("US Dollar")
    assert read("US Dolar", **choices, strict=True) is None


@pytest.mark.parametrize(
    ("kind", "text", "conventions"),
    [
        ("date", "DD.MM.YYYY", ["day"]),
        ("date", "MM/DD/YYYY", ["month"]),
        ("date", "%m/%d/%y", ["month"]),
        ("date", "d MMMM yyyy", ["day"]),
        ("date", "YYYY-MM-DD", []),
        ("date", "the day and the month", []),
        ("amount", "#.##0,00", ["comma"]),
        ("amount", "#,##0.00", ["point"]),
        ("numeric", "0.0", ["point"]),
        ("amount", "0", []),
        ("string", "DD.MM.YYYY", []),
    ],
)
def test_formats_of_dates_and_numbers_say_how_they_are_printed(
    kind: str, text: str, conventions: list[str]
) -> None:
    assert conventions_of({"type": kind, "format": text}) == conventions


def test_the_format_decides_what_nothing_else_does() -> None:
    first = read("05/12/2018", type="date", format="MM/DD/YYYY")
    assert first is not None
    assert (first.value, first.certainty > 0.99) == ("2018-05-12", True)
    second = read("1.234", type="numeric", format="#,##0.00")
    assert second is not None
    assert (second.value, second.certainty > 0.99) == ("1.234", True)


def references(count: int) -> list[Example]:
    """Documents with two or three references."""
    examples = []
    for number in range(count):
        values = [f"R{7 * number + place + 1000}" for place in range(2 + number % 2)]
        page = page_of("Northwind", *(f"Reference {value}" for value in values), f"Total {number}.50")
        truth: list[dict[str, Any]] = [{"label": "reference", "value": value} for value in values]
        examples.append(Example(f"document-{number}", [page], truth))
    return examples


def test_a_field_with_several_values_has_them_all() -> None:
    torch.set_num_threads(1)
    options = TrainingOptions(hidden=16, layers=2, maximum_epochs=8, minimum_steps=160, tokens_per_batch=200)
    config: dict[str, dict[str, Any]] = {"reference": {"type": "string", "isMultivalue": True}}
    trainer = TaggerTrainer(prepare(references(16), config, options), options)
    for epoch in range(options.maximum_epochs):
        trainer.run_epoch(epoch)
    predictor = FieldPredictor.load(trainer.finish().artefact)
    documents = references(20)[16:]
    for example, extracted in zip(
        documents, predictor.predict([one.pages for one in documents]), strict=True
    ):
        found = {one.value for one in extracted if isinstance(one, Field) and one.several}
        assert found == {item["value"] for item in example.ground_truth}

"""Predicting: a field for every label, whatever the pages; alone or together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.errors import ModelDamaged, ModelTooNew
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.inference import calibrated
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.tagger_configuration import Calibration
from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, prepare
from pagemill.extraction.types import Field, Lines, Page, Word
from tests.unit.extraction.printed import INVOICES, invoices, page_of

OPTIONS = TrainingOptions(hidden=16, layers=2, maximum_epochs=4, minimum_steps=40, tokens_per_batch=400)


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    torch.set_num_threads(1)
    trainer = TaggerTrainer(prepare(invoices(16), INVOICES, OPTIONS), OPTIONS)
    for epoch in range(OPTIONS.maximum_epochs):
        trainer.run_epoch(epoch)
    return trainer.finish().artefact


@pytest.fixture(scope="module")
def predictor(artefact: Artefact) -> FieldPredictor:
    return FieldPredictor.load(artefact)


def test_every_label_has_an_answer(predictor: FieldPredictor) -> None:
    results = predictor.predict([[], [page_of()], [page_of("nothing of the kind")], invoices(1)[0].pages])
    assert len(results) == 4
    for extracted in results:
        assert [one.label for one in extracted] == list(INVOICES)
    for label in results[0]:
        if isinstance(label, Field):
            assert label.value is None
            # Every invoice has each value: one that is not found was hardly not there.
            assert label.confidence < 0.6
        else:
            assert label == Lines("items", [])
    assert predictor.predict([]) == []


def test_documents_are_read_together_as_they_are_alone(predictor: FieldPredictor) -> None:
    documents = [one.pages for one in invoices(6, seed=3)]
    together = predictor.predict(documents)
    for pages, extracted in zip(documents, together, strict=True):
        (alone,) = predictor.predict([pages])
        assert [describe(one) for one in alone] == [describe(one) for one in extracted]


def describe(extracted: Field | Lines) -> object:
    if isinstance(extracted, Lines):
        return [[(cell.label, cell.value, cell.page) for cell in row] for row in extracted.rows]
    return extracted.label, extracted.value, extracted.page, round(extracted.confidence, 4)


def test_each_page_has_its_own_candidate(predictor: FieldPredictor) -> None:
    first, second = (one.pages[0] for one in invoices(2, seed=4))
    pages = [first, Page(5, second.aspect, second.source, second.words)]
    (extracted,) = predictor.predict([pages])
    totals = [one for one in extracted if isinstance(one, Field) and one.label == "total"]
    assert [one.page for one in totals] == [0, 5]
    assert len({one.value for one in totals}) == 2


def test_the_order_of_words_from_the_reader_does_not_matter(predictor: FieldPredictor) -> None:
    (page,) = invoices(1, seed=5)[0].pages
    backwards = Page(page.index, page.aspect, page.source, page.words[::-1])
    first, second = predictor.predict([[page], [backwards]])
    assert [describe(one) for one in first] == [describe(one) for one in second]


def test_what_is_no_artefact_is_refused(artefact: Artefact, tmp_path: Path) -> None:
    configuration = msgspec.json.decode(artefact.configuration)
    shape = configuration["shape"]
    wider = msgspec.json.encode(configuration | {"shape": shape | {"hidden": shape["hidden"] * 2}})
    for weights, described in (
        (b"\x80\x04\x95", artefact.configuration),
        (artefact.weights[:-1], artefact.configuration),
        (artefact.weights, b"\x80\x04\x95"),
        (artefact.weights, b"{}"),
        (artefact.weights, wider),
    ):
        with pytest.raises(ModelDamaged):
            FieldPredictor.load(Artefact(weights, described))
        path = tmp_path / "weights"
        path.write_bytes(weights)
        with pytest.raises(ModelDamaged):
            FieldPredictor.load_file(path, described)


def test_weights_of_a_later_release_are_named(artefact: Artefact) -> None:
    with pytest.raises(ModelTooNew):
        FieldPredictor.load(Artefact(artefact.weights, b'{"format":2,"shape":"another"}'))


def test_a_file_predicts_as_the_artefact_does(
    artefact: Artefact, predictor: FieldPredictor, tmp_path: Path
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(artefact.weights)
    from_file = FieldPredictor.load_file(path, artefact.configuration)
    path.unlink()
    from_file.warm_up()
    documents = [one.pages for one in invoices(3, seed=9)]
    assert from_file.predict(documents) == predictor.predict(documents)


def test_a_predictor_says_what_it_holds(artefact: Artefact, predictor: FieldPredictor) -> None:
    assert len(artefact.weights) < predictor.size < len(artefact.weights) + 200_000


coordinates = st.floats(0, 1)
words = st.builds(
    Word,
    st.text(min_size=1, max_size=8) | st.sampled_from(["9.00", "01/02/2020", "Total", "Invoice", "$"]),
    coordinates,
    coordinates,
    coordinates,
    coordinates,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(words, max_size=12), max_size=3))
def test_any_page_is_read(predictor: FieldPredictor, printed: list[list[Word]]) -> None:
    pages = [Page(index, 1.0, "ocr", texts) for index, texts in enumerate(printed)]
    (extracted,) = predictor.predict([pages])
    assert {one.label for one in extracted} == set(INVOICES)
    for one in extracted:
        if isinstance(one, Field):
            assert 0 <= one.confidence <= 1
            assert (one.value is None) == (one.location is None)


def test_calibration_stays_between_zero_and_one() -> None:
    assert calibrated(0.5, Calibration()) == pytest.approx(0.5)
    assert calibrated(0.5, Calibration(shift=1.0)) > 0.5
    for confidence in (0.0, 1.0):
        assert 0 <= calibrated(confidence, Calibration(100.0, -50.0)) <= 1

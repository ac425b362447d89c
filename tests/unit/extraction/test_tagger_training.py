"""Training learns, stops, goes on where it was, and delivers weights that cannot run code."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load

from pagemill.extraction.artefact import Artefact
from pagemill.extraction.predictor import FieldPredictor
from pagemill.extraction.tagger_configuration import TaggerConfiguration
from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, TrainingOutcome, prepare
from pagemill.extraction.training_progress import Progress
from pagemill.extraction.types import Example, Field, Lines
from tests.unit.extraction.printed import INVOICES, invoices, page_of

SMALL = TrainingOptions(
    maximum_epochs=12, minimum_steps=120, hidden=24, layers=2, tokens_per_batch=400, learning_rate=6e-3
)
TINY = msgspec.structs.replace(SMALL, hidden=8, layers=1, maximum_epochs=3, minimum_steps=3)
TRAINED = 40


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trainer(options: TrainingOptions = TINY, count: int = 8, **more: Any) -> TaggerTrainer:
    return TaggerTrainer(prepare(invoices(count), INVOICES, options), options, **more)


def run(own: TaggerTrainer, epoch: int = 0) -> TrainingOutcome:
    while True:
        own.run_epoch(epoch)
        if own.done(epoch):
            return own.finish()
        epoch += 1


@pytest.fixture(scope="module")
def outcome() -> TrainingOutcome:
    torch.set_num_threads(1)
    return run(trainer(SMALL, TRAINED))


def weights(artefact: Artefact) -> dict[str, torch.Tensor]:
    return load(artefact.weights)


def same(first: Artefact, second: Artefact) -> bool:
    mine, other = weights(first), weights(second)
    return mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)


def test_a_few_dozen_documents_are_enough_to_read_others(outcome: TrainingOutcome) -> None:
    unseen = invoices(20, seed=9)
    predictor = FieldPredictor.load(outcome.artefact)
    right = wrong = 0
    for example, extracted in zip(unseen, predictor.predict([one.pages for one in unseen]), strict=True):
        values = {one.label: one.value for one in extracted if isinstance(one, Field)}
        (lines,) = [one for one in extracted if isinstance(one, Lines)]
        for item in example.ground_truth:
            if item["label"] == "items":
                rows = [{cell.label: cell.value for cell in row} for row in lines.rows]
                correct = rows == [{cell["label"]: cell["value"] for cell in row} for row in item["value"]]
            else:
                correct = values[item["label"]] == item["value"]
            right, wrong = right + correct, wrong + (not correct)
    assert right / (right + wrong) >= 0.95


def test_five_documents_are_enough_to_begin_with() -> None:
    outcome = run(trainer(msgspec.structs.replace(SMALL, minimum_steps=240), 5))
    unseen = invoices(12, seed=9)
    found = FieldPredictor.load(outcome.artefact).predict([one.pages for one in unseen])
    right = sum(
        item["value"] == value.value
        for example, extracted in zip(unseen, found, strict=True)
        for item in example.ground_truth
        for value in extracted
        if isinstance(value, Field) and value.label == item["label"]
    )
    assert right / (3 * len(unseen)) >= 0.7
    assert outcome.evaluation["numberOfDocuments"] == 1
    assert outcome.evaluation["fields"]["total"]["numberOfExamples"] == 5


def test_values_say_where_they_stand_and_how_sure_they_are(outcome: TrainingOutcome) -> None:
    (example,) = invoices(1, seed=10)
    (extracted,) = FieldPredictor.load(outcome.artefact).predict([example.pages])
    (total,) = [one for one in extracted if isinstance(one, Field) and one.label == "total"]
    (word,) = [word for word in example.pages[0].words if word.text == total.raw_value]
    assert total.location == pytest.approx((word.x0, word.y0, word.x1, word.y1))
    assert total.page == 0
    assert 0.5 < total.confidence <= 1


def test_the_evaluation_says_how_well_each_field_is_read(outcome: TrainingOutcome) -> None:
    evaluation = outcome.evaluation
    assert evaluation["numberOfDocuments"] == 6
    assert set(evaluation["fields"]) == set(INVOICES)
    assert evaluation["accuracy"] > 0.9
    total = evaluation["fields"]["total"]
    assert (total["numberOfExamples"], total["numberOfUnlocated"]) == (TRAINED, 0)
    assert all(0 <= total[name] <= 1 for name in ("accuracy", "precision", "recall", "f1", "exactMatch"))
    assert 0 <= evaluation["automation"]["rate"] <= 1
    assert evaluation["calibration"]["expectedCalibrationError"] < 0.5
    assert json.loads(msgspec.json.encode(evaluation)) == evaluation


def test_an_artefact_is_safetensors_and_json(outcome: TrainingOutcome) -> None:
    content = outcome.artefact.weights
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    assert {entry["dtype"] for entry in tensors} == {"F32"}
    assert max(entry["data_offsets"][1] for entry in tensors) == len(content) - 8 - size
    json.loads(outcome.artefact.configuration)
    for part in (content, outcome.artefact.configuration):
        assert not part.startswith((b"\x80", b"PK"))


def test_training_is_the_same_every_time() -> None:
    assert same(run(trainer()).artefact, run(trainer()).artefact)
    other = msgspec.structs.replace(TINY, seed=1)
    assert not same(run(trainer()).artefact, run(trainer(other)).artefact)


def test_a_state_goes_on_exactly_where_it_was() -> None:
    without_break = run(trainer())
    first = trainer()
    first.run_epoch(0)
    state = first.state()
    second = trainer()
    second.load_state(state)
    assert same(run(second, epoch=1).artefact, without_break.artefact)


def test_a_state_holds_nothing_that_could_run() -> None:
    own = trainer()
    own.run_epoch(0)
    state = own.state()
    (size,) = struct.unpack("<Q", state[:8])
    header = json.loads(state[8 : 8 + size])
    end = 8 + size + max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    footer = json.loads(state[end:-4])
    curve = [value for point in footer.pop("curve") for value in point]
    assert all(isinstance(value, int | float) for value in [*curve, *footer.values()])


def test_the_progress_is_told_after_each_step_and_the_curve_after_each_epoch() -> None:
    now = [0.0]
    told: list[Progress] = []

    def clock() -> float:
        now[0] += 1
        return now[0]

    def should_stop() -> bool:
        told.append(own.progress)
        return False

    options = msgspec.structs.replace(TINY, maximum_epochs=4, minimum_steps=12, time_budget_seconds=1e6)
    own = trainer(options, clock=clock, should_stop=should_stop)
    own.run_epoch(0)
    assert [one.step for one in told] == list(range(len(told)))
    assert (told[0].f1, told[1].f1, told[1].steps) == (None, None, 4 * len(told))
    assert own.progress.f1 is not None
    own.run_epoch(1)
    assert [point.step for point in own.curve] == [len(told) // 2, len(told)]
    assert own.progress.step * 2 == own.progress.steps == 2 * len(told)
    assert own.progress.seconds_left is not None
    state, resumed = own.state(), trainer(options)
    resumed.load_state(state)
    assert resumed.curve == own.curve


def test_time_that_was_spent_before_a_break_counts() -> None:
    now = [0.0]
    options = msgspec.structs.replace(TINY, time_budget_seconds=100.0, maximum_epochs=50)

    def clock() -> float:
        return now[0]

    first = trainer(options, clock=clock)
    first.run_epoch(0)
    now[0] = 60.0
    state = first.state()
    now[0] = 1000.0
    second = trainer(options, clock=clock)
    second.load_state(state)
    second.run_epoch(1)
    assert not second.done(1)
    now[0] = 1030.0
    assert second.done(1)


@pytest.mark.parametrize(("seconds", "epochs"), [(10.0, 9), (25.0, 3), (1000.0, 1)])
def test_no_epoch_is_begun_that_would_not_end_in_time(seconds: float, epochs: int) -> None:
    now = [0.0]
    options = msgspec.structs.replace(
        TINY, time_budget_seconds=100.0, maximum_epochs=50, patience=50, minimum_steps=1
    )
    own = trainer(options, count=5, clock=lambda: now[0])
    done = 0
    while True:
        own.run_epoch(done)
        now[0] += seconds
        if own.done(done):
            break
        done += 1
    assert done + 1 in (epochs, epochs + 1)


def test_it_stops_between_steps_when_asked_to() -> None:
    asked = iter([False, True, True, True])
    own = trainer(msgspec.structs.replace(TINY, minimum_steps=30), should_stop=lambda: next(asked))
    own.run_epoch(0)
    assert own.done(0)
    assert own._steps == 1


def test_it_stops_when_nothing_gets_better() -> None:
    options = msgspec.structs.replace(TINY, maximum_epochs=50, patience=3, learning_rate=0.0)
    own = trainer(options)
    ends = []
    for epoch in range(4):
        own.run_epoch(epoch)
        ends.append(own.done(epoch))
    assert ends == [False, False, False, True]


def test_epochs_of_few_documents_have_enough_steps() -> None:
    own = trainer(msgspec.structs.replace(TINY, minimum_steps=300, maximum_epochs=3, tokens_per_batch=10_000))
    own.run_epoch(0)
    assert own._steps == 7


def test_warm_start_begins_with_what_is_known(outcome: TrainingOutcome) -> None:
    def first_loss(warm_start: Artefact | None) -> float:
        options = msgspec.structs.replace(SMALL, maximum_epochs=1, learning_rate=1e-5)
        return trainer(options, 10, warm_start=warm_start).run_epoch(0)["loss"]

    assert first_loss(outcome.artefact) < 0.2 * first_loss(None)


@pytest.mark.parametrize(
    "examples",
    [
        [],
        [Example("empty", [], [])],
        [Example("blank", [page_of()], [{"label": "total", "value": "9.00"}])],
        [Example("unlabelled", [page_of("Total 9.00")], [])],
        [Example("null", [page_of("Total 9.00")], [{"label": "total", "value": None}])],
    ],
)
@pytest.mark.parametrize("repeats", [1, 6])
def test_documents_that_teach_little_still_end_in_an_artefact(examples: list[Example], repeats: int) -> None:
    repeated = [
        Example(f"{one.document_id}-{at}", one.pages, one.ground_truth)
        for at in range(repeats)
        for one in examples
    ]
    options = msgspec.structs.replace(TINY, maximum_epochs=1)
    ended = run(TaggerTrainer(prepare(repeated, INVOICES, options), options))
    (extracted,) = FieldPredictor.load(ended.artefact).predict([[page_of("Total 9.00")]])
    assert {one.label for one in extracted} == set(INVOICES)


def test_nothing_to_learn_at_all() -> None:
    options = msgspec.structs.replace(TINY, maximum_epochs=1)
    ended = run(TaggerTrainer(prepare(invoices(2), {}, options), options))
    assert FieldPredictor.load(ended.artefact).predict([[page_of("Total 9.00")]]) == [[]]


def test_the_configuration_of_an_artefact_names_the_fields(outcome: TrainingOutcome) -> None:
    configuration = msgspec.json.decode(outcome.artefact.configuration, type=TaggerConfiguration)
    assert list(configuration.fields) == ["number", "issued", "total"]
    assert configuration.order("issued") == "day"
    assert set(configuration.calibration) <= set(configuration.fields)

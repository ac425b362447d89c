"""Cross-fitting judges every document by weights that have not seen it, and learns from all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load

from pagemill.extraction.cross_fitting import CrossFittingTrainer
from pagemill.extraction.preparation import TrainingOptions, prepare_folds
from pagemill.extraction.tagger_training import TrainingOutcome
from tests.unit.extraction.printed import INVOICES, invoices

TINY = TrainingOptions(
    folds=2, hidden=8, layers=1, maximum_epochs=3, minimum_steps=3, tokens_per_batch=400, learning_rate=6e-3
)
PHASES = [0, 0, 1, 1, 2, 2, 2]
"""Two epochs of each fold, then three of all documents."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trainer(count: int = 8, **more: Any) -> CrossFittingTrainer:
    options: dict[str, Any] = {"clock": lambda: 0.0, "should_stop": lambda: False, **more}
    return CrossFittingTrainer(prepare_folds(invoices(count), INVOICES, TINY), TINY, **options)


def run(own: CrossFittingTrainer, epoch: int = 0) -> TrainingOutcome:
    while True:
        own.run_epoch(epoch)
        if own.done(epoch):
            return own.finish()
        epoch += 1


def test_each_document_is_held_out_once_and_then_learned_from() -> None:
    *folds, whole = prepare_folds(invoices(8), INVOICES, TINY)
    held = [document for fold in folds for document in fold.held_out_ids]
    assert sorted(held) == sorted(one.document_id for one in invoices(8))
    assert [len(fold.training) + len(fold.held_out) for fold in folds] == [8, 8]
    assert (len(whole.training), whole.held_out, whole.number_held_out) == (8, [], 0)


def test_too_few_documents_have_no_folds() -> None:
    (whole,) = prepare_folds(invoices(4), INVOICES, TINY)
    assert len(whole.training) == 4
    outcome = run(trainer(4))
    assert outcome.evaluation["numberOfDocuments"] == 0


def test_all_documents_are_evaluated_and_the_run_goes_on_where_it_was() -> None:
    first = trainer()
    for epoch in range(3):
        first.run_epoch(epoch)
        assert not first.done(epoch)
    state = first.state()
    resumed = trainer()
    resumed.load_state(state)
    assert resumed.curve == first.curve
    outcome, without_break = run(resumed, 3), run(trainer())
    assert outcome.evaluation == without_break.evaluation
    assert outcome.evaluation["numberOfDocuments"] == 8
    mine, other = (load(one.artefact.weights) for one in (outcome, without_break))
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_the_progress_grows_through_all_phases() -> None:
    own = trainer()
    steps, shares = [], []
    for epoch in range(len(PHASES)):
        own.run_epoch(epoch)
        steps.append(own.progress.step)
        shares.append(own.progress.step / own.progress.steps)
        assert own.done(epoch) == (epoch == len(PHASES) - 1)
    assert steps == sorted(set(steps)) == [point.step for point in own.curve]
    assert shares[-1] == 1.0
    assert [point.f1 is None for point in own.curve] == [phase == 2 for phase in PHASES]


def test_it_stops_between_phases_when_asked_to() -> None:
    asked = [False]
    own = trainer(should_stop=lambda: asked[0])
    own.run_epoch(0)
    asked[0] = True
    assert own.done(0)


def test_folds_begin_without_the_warm_start() -> None:
    earlier = run(trainer()).artefact
    cold, warm = trainer(), trainer(warm_start=earlier)
    losses = []
    for epoch, _phase in enumerate(PHASES):
        losses.append([one.run_epoch(epoch)["loss"] for one in (cold, warm)])
        for one in (cold, warm):
            one.done(epoch)
    assert all(theirs == own for theirs, own in losses[: PHASES.index(2)])
    begun_cold, begun_warm = losses[PHASES.index(2)]
    assert begun_warm < begun_cold

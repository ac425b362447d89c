"""A model that is trained in a second: what it finds is not the question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.extraction.printed import INVOICES, invoices

if TYPE_CHECKING:
    from pagemill.extraction.artefact import Artefact


def small_artefact() -> Artefact:
    """Train one on a few invoices."""
    from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, prepare

    options = TrainingOptions(hidden=16, layers=2, maximum_epochs=2, minimum_steps=10, tokens_per_batch=400)
    trainer = TaggerTrainer(prepare(invoices(8), INVOICES, options), options)
    for epoch in range(options.maximum_epochs):
        trainer.run_epoch(epoch)
    return trainer.finish().artefact

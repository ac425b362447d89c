"""Cross-fitting: each document is judged by weights that have not seen its issuer, then all are learned from.

The folds' judgements calibrate the confidences and are the evaluation; the weights are those of a last
training on every document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pagemill.extraction.artefact import Artefact
from pagemill.extraction.evaluation import JudgedDocument
from pagemill.extraction.preparation import Prepared, TrainingOptions
from pagemill.extraction.ranks import Ranks, SingleRank, any_rank
from pagemill.extraction.tagger_training import (
    TaggerTrainer,
    TrainingOutcome,
    join_state,
    split_state,
    training_outcome,
)
from pagemill.extraction.training_progress import CurvePoint, Progress

FOLD_EFFORT = 0.6
"""Epochs of a fold, as a share of those of the last training: its weights are judged, and thrown away."""


class _Phase(msgspec.Struct, frozen=True):
    """What came before the training of this fold: epochs, steps, judgements and curve."""

    number: int = 0
    epochs: int = 0
    steps: int = 0
    judged: list[JudgedDocument] = []
    curve: list[CurvePoint] = []


class CrossFittingTrainer:
    """Trainer of each of the folds, then on all documents; used like a ``TaggerTrainer``.

    ``parts`` are the folds, and last the whole. The folds share the time by their documents. They begin
    without the warm start, whose training may have seen the documents that they are judged by.
    """

    def __init__(
        self,
        parts: Sequence[Prepared],
        options: TrainingOptions,
        *,
        warm_start: Artefact | None = None,
        device: str = "cpu",
        ranks: Ranks | None = None,
        clock: Callable[[], float],
        should_stop: Callable[[], bool],
    ) -> None:
        self._parts, self._options, self._warm_start = parts, options, warm_start
        self.ranks: Ranks = ranks or SingleRank()
        self._device, self._clock, self._should_stop = device, clock, should_stop
        folds = len(parts) - 1
        effort = [*[FOLD_EFFORT * (folds - 1) / max(folds, 1)] * folds, 1.0]
        self._shares = [one / sum(effort) for one in effort]
        self._begin(_Phase())

    def _begin(self, phase: _Phase) -> None:
        """Begin the training of a phase."""
        is_last = phase.number == len(self._parts) - 1
        epochs = self._options.maximum_epochs
        options = msgspec.structs.replace(
            self._options,
            maximum_epochs=epochs if is_last else max(1, round(FOLD_EFFORT * epochs)),
            time_budget_seconds=self._options.time_budget_seconds * self._shares[phase.number],
            patience=epochs,
        )
        self._phase = phase
        self._trainer = TaggerTrainer(
            self._parts[phase.number],
            options,
            warm_start=self._warm_start if is_last else None,
            device=self._device,
            ranks=self.ranks,
            clock=self._clock,
            should_stop=self._should_stop,
        )

    @property
    def curve(self) -> list[CurvePoint]:
        """The points of all phases, one after the other."""
        return [*self._phase.curve, *self._shifted(self._trainer.curve)]

    def _shifted(self, points: Sequence[CurvePoint]) -> list[CurvePoint]:
        before = self._phase.curve[-1].seconds if self._phase.curve else 0.0
        return [
            CurvePoint(round(before + point.seconds, 1), self._phase.steps + point.step, point.loss, point.f1)
            for point in points
        ]

    @property
    def progress(self) -> Progress:
        """The progress of all phases together; in the last, F1 is that of the last fold."""
        own, phase = self._trainer.progress, self._phase
        done = sum(self._shares[: phase.number]) + self._shares[phase.number] * own.step / max(own.steps, 1)
        step = phase.steps + own.step
        known = [point.f1 for point in phase.curve if point.f1 is not None]
        left = own.seconds_left
        if left is not None:
            left += self._options.time_budget_seconds * sum(self._shares[phase.number + 1 :])
        f1 = own.f1 if own.f1 is not None else (known[-1] if known else None)
        return Progress(step, max(step, round(step / done)) if done else step, own.loss, f1, left)

    def run_epoch(self, epoch: int) -> dict[str, float]:
        """Run an epoch; ``epoch`` counts those of all phases."""
        return self._trainer.run_epoch(epoch - self._phase.epochs)

    def done(self, epoch: int) -> bool:
        """Return whether to stop after ``epoch``; after the last one of a fold, begin the next."""
        if not self._trainer.done(epoch - self._phase.epochs):
            return False
        if self._phase.number == len(self._parts) - 1 or any_rank(self.ranks, self._should_stop()):
            return True
        self._begin(
            _Phase(
                self._phase.number + 1,
                epoch + 1,
                self._phase.steps + self._trainer.progress.step,
                [*self._phase.judged, *self._trainer.judge_best()],
                self.curve,
            )
        )
        return False

    def state(self) -> bytes:
        """Return everything needed to go on with the training."""
        return join_state(self._trainer.state(), self._phase)

    def load_state(self, state: bytes) -> None:
        """Go on from ``state``."""
        body, footer = split_state(state)
        self._begin(msgspec.convert(footer, _Phase))
        self._trainer.load_state(body)

    def finish(self) -> TrainingOutcome:
        """Return the last weights, calibrated and evaluated by the folds. Every rank has to call it."""
        return training_outcome(self._parts[-1], self._trainer.best_weights, self._phase.judged)

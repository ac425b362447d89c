"""Training of a tagger: epochs, early stopping, checkpoints, and the artefact at the end."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from pagemill.extraction.artefact import Artefact
from pagemill.extraction.evaluation import (
    Judged,
    JudgedDocument,
    field_measures,
    fit_calibration,
    judge_document,
)
from pagemill.extraction.evaluation_report import evaluation_report
from pagemill.extraction.inference import SheetReader, calibrated
from pagemill.extraction.losses import batch_loss
from pagemill.extraction.network import Tagger
from pagemill.extraction.preparation import Prepared, TrainingOptions, prepare
from pagemill.extraction.ranks import Ranks, SingleRank, any_rank
from pagemill.extraction.sheets import batches, collate
from pagemill.extraction.tagger_configuration import TaggerConfiguration
from pagemill.extraction.training_progress import CurvePoint, Progress, progress_at
from pagemill.extraction.warm_start import borrow_weights

__all__ = ["Prepared", "TaggerTrainer", "TrainingOptions", "TrainingOutcome", "prepare"]

GRADIENT_LIMIT = 5.0
WARM_UP_SHARE = 0.05
FINAL_RATE = 0.02


class TrainingOutcome(msgspec.Struct, frozen=True):
    """A finished training: its artefact and its evaluation on held-out documents."""

    artefact: Artefact
    evaluation: dict[str, Any]


def _never() -> bool:
    return False


def _still() -> float:
    return 0.0


class TaggerTrainer:
    """Trainer on the documents of one rank.

    All ranks take the same number of steps, each with the gradient of all their documents, so that their
    weights stay the same. Each judges its own held-out documents; all decide by the judgements of all, and by
    the latest of their clocks.
    """

    def __init__(
        self,
        prepared: Prepared,
        options: TrainingOptions,
        *,
        warm_start: Artefact | None = None,
        device: str = "cpu",
        ranks: Ranks | None = None,
        clock: Callable[[], float] = _still,
        should_stop: Callable[[], bool] = _never,
    ) -> None:
        self.prepared, self.options = prepared, options
        self.ranks: Ranks = ranks or SingleRank()
        self.device = torch.device(device)
        self.should_stop, self._clock, self._begun = should_stop, clock, clock()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.network = Tagger(prepared.configuration.shape)
        if warm_start is not None:
            borrow_weights(self.network, prepared.configuration, warm_start)
        self.network.to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self._average = self._copy_weights()
        self._best = self._copy_weights()
        self._steps = 0
        self._best_score, self._best_epoch, self._improved_epoch, self._spent = -1.0, -1, -1, 0.0
        self.progress, self.curve = Progress(), list[CurvePoint]()
        self._taught = [
            sheet
            for sheet in prepared.training
            if sheet.size and (sheet.targets.positives or sheet.targets.rows or sheet.targets.choices)
        ]
        self._teaches = any_rank(self.ranks, bool(self._taught))

    def _copy_weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def _elapsed(self) -> float:
        return self._spent + self._clock() - self._begun

    def _plan(self, epoch: int) -> list[list[int]]:
        """Return the documents of each step: as many steps on every rank, the last of which repeat some.

        A rank without documents to learn from takes empty steps.
        """
        order = list(range(len(self._taught)))
        random.Random(f"{self.options.seed}:{epoch}").shuffle(order)
        tokens = self.options.tokens_per_batch
        total = sum(sheet.size for sheet in self._taught)
        wanted = max(self._minimum_batches(), 1)
        parts = list(batches(self._taught, order, max(1, min(tokens, math.ceil(total / wanted)))))
        steps = max(self.ranks.gather(len(parts)))
        return [parts[at % len(parts)] if parts else [] for at in range(steps)]

    def _minimum_batches(self) -> int:
        """Return the fewest batches of an epoch, so that few documents still give enough steps."""
        return min(len(self._taught), math.ceil(self.options.minimum_steps / self.options.maximum_epochs))

    def _set_rate(self, progress: float) -> None:
        if progress < WARM_UP_SHARE:
            factor = 0.1 + 0.9 * progress / WARM_UP_SHARE
        else:
            through = (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)
            factor = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(through, 1.0)))
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.learning_rate * factor

    def run_epoch(self, epoch: int) -> dict[str, float]:
        """Run one epoch over this rank's batches, then validate. Stop between steps when asked to."""
        plan = self._plan(epoch)
        spent = max(self.ranks.gather(self._elapsed() / max(self.options.time_budget_seconds, 1e-9)))
        share = 1 / max(self.options.maximum_epochs, 1)
        begin = max(epoch * share, spent)
        losses: list[float] = []
        torch.manual_seed(hash((self.options.seed, epoch, self.ranks.rank)) & 0x7FFFFFFF)
        for step, part in enumerate(plan):
            self._set_rate(min(begin + share * step / len(plan), 1.0))
            loss = self._step(part)
            if loss is None:
                break
            losses.append(loss)
            self._tell(epoch + (step + 1) / len(plan), loss, self.progress.f1)
        score = self._validate()
        self._keep_best(epoch, score)
        loss = sum(losses) / len(losses) if losses else 0.0
        f1 = score if self.prepared.number_held_out else None
        self._tell(epoch + 1, loss, f1)
        self.curve.append(CurvePoint(round(self._elapsed(), 1), self._steps, round(loss, 5), f1))
        return {"loss": loss, "score": score, "epoch": float(epoch), "elapsed": self._elapsed()}

    def _tell(self, epochs: float, loss: float, f1: float | None) -> None:
        """Set the progress after a number of epochs."""
        done = epochs / max(self.options.maximum_epochs, 1)
        budget = self.options.time_budget_seconds
        self.progress = progress_at(done, self._steps, self._elapsed(), budget, round(loss, 5), f1)

    def _keep_best(self, epoch: int, score: float) -> None:
        """Keep the best weights; of equal ones the later, which does not count as an improvement."""
        if score > self._best_score:
            self._improved_epoch = epoch
        if score >= self._best_score:
            self._best_score, self._best_epoch = score, epoch
            self._best = {name: value.clone() for name, value in self._average.items()}

    def _step(self, part: list[int]) -> float | None:
        """Take a step and return the loss of ``part``; return None when a rank is asked to stop."""
        stop = self.should_stop()
        if stop and self.ranks.size == 1:
            return None
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._backward(part) if part else 0.0
        if self.ranks.size > 1 and self._share_gradients(len(part), stop):
            return None
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_LIMIT)
        self.optimiser.step()
        self._steps += 1
        decay = min(self.options.averaging, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self._average[name].lerp_(value, 1 - decay)
        return loss

    def _backward(self, part: list[int]) -> float:
        """Compute the gradients of the mean loss of some documents, and return the loss."""
        self.network.train()
        batch = collate([self._taught[position] for position in part])
        emissions, length_bias = self.network(batch.table.to(self.device))
        loss = batch_loss(emissions, length_bias, batch, self.prepared.configuration)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _share_gradients(self, documents: int, stop: bool) -> bool:
        """Make the gradients those of the mean over all ranks' documents; return whether to stop.

        The wish to stop travels with the gradients: a rank that just left would have the others wait.
        """
        parameters = list(self.network.parameters())
        own = [torch.zeros_like(each) if each.grad is None else each.grad * documents for each in parameters]
        counts = torch.tensor([float(documents), float(stop)], device=self.device)
        total = self.ranks.add(torch.cat([*(gradient.flatten() for gradient in own), counts]))
        everyone, stops = float(total[-2]), float(total[-1])
        begin = 0
        for parameter in parameters:
            part = total[begin : begin + parameter.numel()]
            parameter.grad = (part / max(everyone, 1.0)).view_as(parameter)
            begin += parameter.numel()
        return stops > 0

    @contextlib.contextmanager
    def _with_weights(self, weights: Mapping[str, Tensor]) -> Any:
        own = self._copy_weights()
        self.network.load_state_dict(weights)
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def _judge(self, configuration: TaggerConfiguration) -> list[JudgedDocument]:
        """Return the judgements of all held-out documents; each rank judges its own."""
        reader = SheetReader(self.network, configuration, self.device)
        prepared = self.prepared
        extracted = reader.read(prepared.held_out)
        judged = [
            judge_document(document_id, found, truth, configuration)
            for document_id, found, truth in zip(
                prepared.held_out_ids, extracted, prepared.held_out_truth, strict=True
            )
        ]
        return [one for own in self.ranks.gather(judged) for one in own]

    def _validate(self) -> float:
        """Return the mean F1 of the labels on the held-out part, with the averaged weights."""
        if not self.prepared.number_held_out:
            return 0.0
        configuration = self.prepared.configuration
        with self._with_weights(self._average):
            documents = self._judge(configuration)
        measures = field_measures(
            [item for document in documents for item in document.scalars],
            [document.rows for document in documents],
            configuration.labels,
        )
        return sum(values["f1"] for values in measures.values()) / max(len(measures), 1)

    def done(self, epoch: int) -> bool:
        """Return whether to stop after ``epoch``: no better for long, out of epochs, or out of time."""
        ended = epoch + 1 >= self.options.maximum_epochs or not self._teaches
        stale = bool(self.prepared.number_held_out) and epoch - self._improved_epoch >= self.options.patience
        elapsed = self._elapsed()
        late = elapsed * (epoch + 2) / (epoch + 1) > self.options.time_budget_seconds
        stop = ended or stale or late or self.should_stop()
        return any_rank(self.ranks, stop)

    def state(self) -> bytes:
        """Return everything needed to go on with the training, as safetensors."""
        tensors: dict[str, Tensor] = {}
        groups = {"network": self.network.state_dict(), "average": self._average, "best": self._best}
        for group, weights in groups.items():
            tensors |= {f"{group}/{name}": value.contiguous() for name, value in weights.items()}
        for index, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{name}": value.contiguous() for name, value in values.items()}
        progress = {
            "steps": self._steps,
            "best_score": self._best_score,
            "best_epoch": self._best_epoch,
            "improved_epoch": self._improved_epoch,
            "spent": self._elapsed(),
            "curve": self.curve,
        }
        return join_state(save({name: value.cpu().clone() for name, value in tensors.items()}), progress)

    def load_state(self, state: bytes) -> None:
        """Go on from ``state``."""
        body, progress = split_state(state)
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "best": {}}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in load(body).items():
            group, _, rest = name.partition("/")
            if group == "optimiser":
                index, _, key = rest.partition("/")
                moments.setdefault(int(index), {})[key] = value
            else:
                groups[group][rest] = value.to(self.device)
        self.network.load_state_dict(groups["network"])
        self._average, self._best = groups["average"], groups["best"]
        optimiser = self.optimiser.state_dict()
        self.optimiser.load_state_dict({"state": moments, "param_groups": optimiser["param_groups"]})
        self._steps = int(progress["steps"])
        self._best_score, self._best_epoch = float(progress["best_score"]), int(progress["best_epoch"])
        self._improved_epoch = int(progress["improved_epoch"])
        self._spent, self._begun = float(progress["spent"]), self._clock()
        # A former release did not write it.
        self.curve = msgspec.convert(progress.get("curve", []), list[CurvePoint])

    def judge_best(self) -> list[JudgedDocument]:
        """Return the judgements of the held-out documents by the best weights. Every rank has to call it."""
        with self._with_weights(self.best_weights):
            return self._judge(self.prepared.configuration)

    @property
    def best_weights(self) -> dict[str, Tensor]:
        """The weights that were best on held-out documents; without any, the last."""
        return self._best if self._best_epoch >= 0 else self._average

    def finish(self) -> TrainingOutcome:
        """Return the best weights, calibrated, and their evaluation. Every rank has to call it."""
        return training_outcome(self.prepared, self.best_weights, self.judge_best())


def training_outcome(
    prepared: Prepared, weights: Mapping[str, Tensor], documents: Sequence[JudgedDocument]
) -> TrainingOutcome:
    """Return the artefact of some weights, calibrated by judgements, and the evaluation of these."""
    configuration = prepared.configuration
    judged = [item for document in documents for item in document.scalars]
    calibration = fit_calibration(judged, list(configuration.fields))
    configuration = msgspec.structs.replace(configuration, calibration=calibration)
    settled = [
        replace(document, scalars=[_calibrated(item, configuration) for item in document.scalars])
        for document in documents
    ]
    artefact = Artefact(
        weights=save({name: value.cpu().contiguous() for name, value in weights.items()}),
        configuration=msgspec.json.encode(configuration),
    )
    return TrainingOutcome(
        artefact, evaluation_report(settled, configuration.labels, prepared.examples, prepared.unlocated)
    )


def _calibrated(item: Judged, configuration: TaggerConfiguration) -> Judged:
    calibration = configuration.calibration.get(item.label)
    if item.confidence is None or calibration is None:
        return item
    return replace(item, confidence=calibrated(item.confidence, calibration))


def join_state(body: bytes, footer: Any) -> bytes:
    """Return bytes with JSON after them."""
    text = msgspec.json.encode(footer)
    return body + text + len(text).to_bytes(4, "big")


def split_state(state: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return what ``join_state`` was given."""
    size = int.from_bytes(state[-4:], "big")
    footer: dict[str, Any] = msgspec.json.decode(state[-4 - size : -4])
    return state[: -4 - size], footer

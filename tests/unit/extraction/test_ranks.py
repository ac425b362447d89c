"""Two ranks, each with its own documents, train what one rank trains with all of them."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load

from pagemill.extraction.preparation import Prepared, TrainingOptions, prepare
from pagemill.extraction.ranks import Ranks, TorchRanks
from pagemill.extraction.tagger_configuration import TaggerConfiguration
from pagemill.extraction.tagger_training import TaggerTrainer
from pagemill.extraction.types import Example
from tests.unit.extraction.printed import INVOICES, invoices

OPTIONS = TrainingOptions(
    maximum_epochs=8, minimum_steps=80, hidden=24, layers=2, tokens_per_batch=400, learning_rate=1e-2
)
SHORT = msgspec.structs.replace(OPTIONS, hidden=8, layers=1, maximum_epochs=2, minimum_steps=10)
COUNT = 40
SEVERAL = 2
STEPS_BEFORE_STOP = 3


@dataclass(frozen=True, slots=True)
class Trained:
    """A rank's outcome: the documents it prepared, and what it trained."""

    weights: bytes
    evaluation: dict[str, Any]
    configuration: TaggerConfiguration
    documents: int
    held_out: list[str]
    steps: int


def train(
    examples: Sequence[Example],
    options: TrainingOptions,
    ranks: Ranks | None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    torch.set_num_threads(1)
    prepared = prepare(examples, INVOICES, options, ranks)
    trainer = TaggerTrainer(prepared, options, ranks=ranks, should_stop=should_stop)
    for epoch in itertools.count():
        trainer.run_epoch(epoch)
        if trainer.done(epoch):
            break
    outcome = trainer.finish()
    return Trained(
        outcome.artefact.weights,
        outcome.evaluation,
        msgspec.json.decode(outcome.artefact.configuration, type=TaggerConfiguration),
        len(prepared.training) + len(prepared.held_out),
        numbers(prepared),
        trainer._steps,
    )


def numbers(prepared: Prepared) -> list[str]:
    """Return the invoice numbers of the held-out documents, which are all different."""
    return [truth.scalars["number"][0] for truth in prepared.held_out_truth]


def run_rank(rank: int, store: str) -> list[Trained]:
    """Run every scenario of this file on one of two ranks."""
    torch.distributed.init_process_group(
        "gloo", f"file://{store}", rank=rank, world_size=SEVERAL, timeout=timedelta(seconds=200)
    )
    ranks, examples = TorchRanks(), invoices(COUNT)
    asked = itertools.count()
    shared = train(examples[:25] if rank == 0 else examples[25:], OPTIONS, ranks)
    alone = train(examples[:12] if rank == 0 else [], SHORT, ranks)
    stopped = train(
        examples[rank:20:SEVERAL], SHORT, ranks, lambda: rank == 1 and next(asked) >= STEPS_BEFORE_STOP
    )
    nothing = train([], SHORT, ranks)
    torch.distributed.destroy_process_group()
    return [shared, alone, stopped, nothing]


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> list[list[Trained]]:
    """For each scenario, the outcomes of both ranks."""
    store = tmp_path_factory.mktemp("ranks") / "store"
    with ProcessPoolExecutor(SEVERAL, mp_context=multiprocessing.get_context("spawn")) as processes:
        runs = list(processes.map(run_rank, range(SEVERAL), [str(store)] * SEVERAL, timeout=280))
    return [list(outcomes) for outcomes in zip(*runs, strict=True)]


@pytest.fixture(scope="module")
def single() -> Trained:
    """The outcome of one rank with all documents."""
    return train(invoices(COUNT), OPTIONS, None)


def tensors(trained: Trained) -> dict[str, torch.Tensor]:
    return load(trained.weights)


def test_the_ranks_share_the_documents_and_hold_out_the_same_ones(
    scenarios: list[list[Trained]], single: Trained
) -> None:
    first, second = scenarios[0]
    assert (first.documents, second.documents) == (25, 15)
    assert sorted(first.held_out + second.held_out) == sorted(single.held_out)


def test_what_is_of_all_documents_is_the_same_on_every_rank(
    scenarios: list[list[Trained]], single: Trained
) -> None:
    first, second = scenarios[0]
    assert first.weights == second.weights
    assert first.evaluation == second.evaluation
    for one in (first, second):
        assert one.configuration.date_orders == single.configuration.date_orders
        assert one.configuration.maximum_tokens == single.configuration.maximum_tokens
    for label, measures in single.evaluation["fields"].items():
        counts = first.evaluation["fields"][label]
        assert counts["numberOfExamples"] == measures["numberOfExamples"]
        assert counts["numberOfUnlocated"] == measures["numberOfUnlocated"]
    assert first.evaluation["numberOfDocuments"] == single.evaluation["numberOfDocuments"]


def test_two_ranks_come_to_the_metric_of_one(scenarios: list[list[Trained]], single: Trained) -> None:
    """Of 24 values that are judged, one may be another."""
    assert scenarios[0][0].evaluation["accuracy"] == pytest.approx(single.evaluation["accuracy"], abs=0.05)
    assert single.evaluation["accuracy"] > 0.9


def test_a_rank_without_documents_changes_nothing(scenarios: list[list[Trained]]) -> None:
    first, second = scenarios[1]
    alone = train(invoices(12), SHORT, None)
    assert (second.documents, first.steps, second.steps) == (0, alone.steps, alone.steps)
    for name, value in tensors(alone).items():
        torch.testing.assert_close(tensors(first)[name], value, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(tensors(second)[name], tensors(first)[name], rtol=0, atol=0)


def test_all_stop_when_one_is_asked_to(scenarios: list[list[Trained]]) -> None:
    assert [one.steps for one in scenarios[2]] == [STEPS_BEFORE_STOP, STEPS_BEFORE_STOP]


def test_nothing_to_learn_from_ends_on_every_rank(scenarios: list[list[Trained]]) -> None:
    assert [one.steps for one in scenarios[3]] == [0, 0]


def test_one_rank_needs_no_process_group(single: Trained, tmp_path: Path) -> None:
    assert not torch.distributed.is_initialized()
    assert train(invoices(COUNT), OPTIONS, None).weights == single.weights

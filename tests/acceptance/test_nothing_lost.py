"""Whatever is killed in the middle: each acknowledged prediction succeeds and is counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import las
import psutil
import pytest

from examples.demo import job
from examples.demo.sample_documents import sample_documents
from examples.local_stack import LocalStack
from tests.acceptance.conftest import Trained
from tests.support.processes import descendants, eventually, kill

pytestmark = pytest.mark.chaos

PREDICTIONS = 20
SCANS_EVERY = 3
RECOVERY_SECONDS = 300.0
COUNTED = (
    "monthlyNumberOfPredictionsCreated",
    "monthlyNumberOfPagePredictionsUsed",
    "monthlyNumberOfFieldPredictionsUsed",
)


@dataclass(frozen=True, slots=True)
class Victim:
    """What is killed, by its command lines."""

    name: str
    seed: int
    matches: Callable[[str], bool]


VICTIMS = (
    Victim("dispatcher", 41, lambda line: line.startswith("ray::Dispatcher")),
    Victim("reading replica", 42, lambda line: "ServeReplica" in line and "PageReading" in line),
    Victim("prediction replica", 43, lambda line: "ServeReplica" in line and "FieldPrediction" in line),
    Victim("Ray head", 44, lambda line: "gcs_server" in line or "/raylet/raylet" in line),
)


def statuses(client: las.Client, prediction_ids: list[str]) -> Counter[str]:
    return Counter(client.get_prediction(prediction_id)["status"] for prediction_id in prediction_ids)


def counted(client: las.Client) -> Counter[str]:
    organization: dict[str, Any] = client.get_organization("me")
    return Counter({name: organization[name] for name in COUNTED})


def fields_of(predictions: list[dict[str, Any]]) -> int:
    """How many fields a prediction found: values, and cells of rows."""
    scalars = [found for found in predictions if not isinstance(found["value"], list)]
    cells = [cell for found in predictions if found not in scalars for row in found["value"] for cell in row]
    return sum(found["value"] is not None for found in (*scalars, *cells))


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: victim.name)
def test_all_succeed_and_are_counted_once(
    victim: Victim, stack: LocalStack, client: las.Client, trained: Trained
) -> None:
    samples = sample_documents(PREDICTIONS, seed=victim.seed, scans_every=SCANS_EVERY)
    uploaded = list(job.upload(client, samples, dataset_id=None))
    before = counted(client)
    submitted = [
        client.create_prediction(document_id, trained.model_id, run_async=True)["predictionId"]
        for _, document_id in uploaded
    ]

    eventually(lambda: statuses(client, submitted)["succeeded"], lambda done: done >= 1, seconds=120)
    pending = statuses(client, submitted)["pending"]
    victims: list[psutil.Process] = descendants(stack.process.pid, victim.matches)
    assert victims, f"no process of the stack is a {victim.name}"
    kill(victims)

    assert pending > 0, "all predictions had ended before anything was killed"
    eventually(
        lambda: statuses(client, submitted),
        lambda found: found["pending"] == 0,
        seconds=RECOVERY_SECONDS,
        pause=1.0,
    )
    assert statuses(client, submitted) == Counter(succeeded=PREDICTIONS)
    answers = [client.get_prediction(prediction_id)["predictions"] for prediction_id in submitted]
    grown = counted(client)
    grown.subtract(before)
    assert grown == {
        "monthlyNumberOfPredictionsCreated": PREDICTIONS,
        "monthlyNumberOfPagePredictionsUsed": sum(document.number_of_pages for document in samples),
        "monthlyNumberOfFieldPredictionsUsed": sum(fields_of(answer) for answer in answers),
    }


def test_the_stack_works_as_before_afterwards(client: las.Client, trained: Trained) -> None:
    [sample] = sample_documents(1, seed=45, scans_every=0)
    document_id = client.create_document(sample.content)["documentId"]

    answer = client.create_prediction(document_id, trained.model_id)

    assert answer["status"] == "succeeded"

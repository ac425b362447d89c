"""Main job through the official client, step by step, without any output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import las

from examples.demo.sample_documents import FIELD_CONFIG, SampleDocument

UPLOAD_CONCURRENCY = 6
PREDICTION_CONCURRENCY = 3
POLL_SECONDS = 1.0
JOB_SECONDS = 420.0
UNFINISHED = ("pending", "preparing", "running", "running-final-evaluation", "waiting-for-approval")
PREPROCESSING = {"maxPages": 3, "imageQuality": "LOW", "autoRotate": False}
POSTPROCESSING = {"strategy": "BEST_N_PAGES", "parameters": {"n": 3, "collapse": True}}

Answer = dict[str, Any]


class JobFailed(Exception):
    """A data bundle or a training did not succeed."""


def create_model(client: las.Client) -> str:
    """Create a model for the fields of the sample documents and return its id."""
    model: Answer = client.create_model(
        FIELD_CONFIG,
        name="Invoices and receipts",
        preprocess_config=PREPROCESSING,
        postprocess_config=POSTPROCESSING,
    )
    return str(model["modelId"])


def upload(
    client: las.Client, documents: Sequence[SampleDocument], *, dataset_id: str | None
) -> Iterable[tuple[SampleDocument, str]]:
    """Upload in threads and return each document with its id. In a dataset, documents get their labels."""

    def create(document: SampleDocument) -> tuple[SampleDocument, str]:
        labels = {"dataset_id": dataset_id, "ground_truth": document.ground_truth} if dataset_id else {}
        answer: Answer = client.create_document(
            document.content, document.content_type, metadata={"name": document.name}, **labels
        )
        return document, str(answer["documentId"])

    with ThreadPoolExecutor(UPLOAD_CONCURRENCY) as threads:
        yield from threads.map(create, documents)


def wait_for(read: Callable[[], Answer], on_status: Callable[[str], None] = lambda status: None) -> Answer:
    """Poll until a data bundle or a training has ended. Raises JobFailed unless it succeeded."""
    deadline = time.monotonic() + JOB_SECONDS
    while (answer := read())["status"] in UNFINISHED:
        on_status(answer["status"])
        if time.monotonic() > deadline:
            raise JobFailed(f"still {answer['status']} after {JOB_SECONDS:g} s: {answer}")
        time.sleep(POLL_SECONDS)
    if answer["status"] != "succeeded":
        raise JobFailed(f"ended {answer['status']}: {answer}")
    return answer


def predict(
    client: las.Client, model_id: str, uploaded: Sequence[tuple[SampleDocument, str]]
) -> Iterable[tuple[SampleDocument, Answer]]:
    """Predict some documents at a time and return each with its prediction."""
    with ThreadPoolExecutor(PREDICTION_CONCURRENCY) as threads:
        answers = threads.map(lambda item: client.create_prediction(item[1], model_id), uploaded)
        yield from zip((document for document, _ in uploaded), answers, strict=True)

"""The main job, with the unmodified official client over HTTPS."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import las
import pytest
from las.client import NotFound

from examples.demo import job
from examples.demo.comparison import compare
from examples.demo.sample_documents import FIELD_CONFIG, sample_documents
from examples.local_stack import LocalStack
from pagemill.ids import TrainingId, slug_of
from tests.acceptance.conftest import TRAINING_DOCUMENTS, Trained
from tests.support.processes import eventually
from tests.support.readme import main_job_program

ROOT = Path(__file__).parents[2]
ARTEFACT_FILES = {
    f"artefact/{name}" for name in ("configuration.json", "digests.json", "weights.safetensors")
}
COUNTED = ("monthlyNumberOfPredictionsCreated", "monthlyNumberOfPagePredictionsUsed")


def counters(client: las.Client) -> dict[str, Any]:
    organization: dict[str, Any] = client.get_organization("me")
    return {name: organization[name] for name in (*COUNTED, "monthlyNumberOfDocumentsCreated")}


def test_a_document_is_stored_listed_changed_and_deleted(client: las.Client) -> None:
    [sample] = sample_documents(1, seed=21, scans_every=0)
    dataset_id = client.create_dataset(name="Other")["datasetId"]

    created = client.create_document(sample.content, metadata={"from": "test"})
    document_id = created["documentId"]
    stored = client.get_document(document_id)
    changed = client.update_document(document_id, ground_truth=sample.ground_truth, dataset_id=dataset_id)
    listed = client.list_documents(dataset_id=dataset_id)

    assert base64.b64decode(stored["content"]) == sample.content
    assert stored["contentType"] == "application/pdf"
    assert stored["metadata"] == {"from": "test"}
    assert {item["label"] for item in changed["groundTruth"]} == set(FIELD_CONFIG)
    assert [document["documentId"] for document in listed["documents"]] == [document_id]
    assert client.get_dataset(dataset_id)["numberOfDocuments"] == 1

    client.delete_document(document_id)

    with pytest.raises(NotFound):
        client.get_document(document_id)
    assert client.list_documents(dataset_id=dataset_id)["documents"] == []
    client.delete_dataset(dataset_id)
    with pytest.raises(NotFound):
        client.get_dataset(dataset_id)


def test_documents_are_listed_page_by_page(client: las.Client, trained: Trained) -> None:
    listed: list[str] = []
    token = None
    while token is not None or not listed:
        page = client.list_documents(dataset_id=trained.dataset_id, max_results=7, next_token=token)
        assert len(page["documents"]) <= 7
        listed += [document["documentId"] for document in page["documents"]]
        token = page["nextToken"]

    assert len(listed) == TRAINING_DOCUMENTS
    assert set(listed) == {document_id for _, document_id in trained.documents}


def test_the_bundle_is_summarised(trained: Trained) -> None:
    bundle = trained.data_bundle

    assert bundle["status"] == "succeeded"
    assert bundle["summary"]["aggregate"]["numberOfDocuments"] == TRAINING_DOCUMENTS
    assert set(bundle["summary"]["labels"]) >= {"supplier", "total"}
    assert [dataset["datasetId"] for dataset in bundle["datasets"]] == [trained.dataset_id]


def test_the_training_is_evaluated_and_the_model_active(client: las.Client, trained: Trained) -> None:
    model = client.get_model(trained.model_id)

    assert model["status"] == "active"
    assert model["trainingId"] == trained.training["trainingId"]
    assert 0 < trained.training["evaluation"]["accuracy"] <= 1


def test_a_training_leaves_weights_that_cannot_run_code(stack: LocalStack, trained: Trained) -> None:
    slug = slug_of(TrainingId(trained.training["trainingId"]))
    [prefix] = (stack.data_directory / "objects").glob(f"organizations/*/trainings/{slug}")
    left = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    # No example, and no checkpoint.
    assert left == {*ARTEFACT_FILES, "evaluation.json", "gpu-seconds.json"}
    weights = (prefix / "artefact/weights.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert all(set(entry) == {"dtype", "shape", "data_offsets"} for entry in header.values())


def test_unseen_documents_are_predicted_at_once_and_counted(client: las.Client, trained: Trained) -> None:
    samples = sample_documents(6, seed=12, scans_every=0)
    before = counters(client)

    uploaded = list(job.upload(client, samples, dataset_id=None))
    answers = list(job.predict(client, trained.model_id, uploaded))

    compared = [
        item
        for document, answer in answers
        for item in compare(answer["predictions"], document.ground_truth, FIELD_CONFIG)
    ]
    assert sum(item.right for item in compared) >= 0.9 * len(compared)
    for _, answer in answers:
        assert answer["status"] == "succeeded"
        assert answer["trainingId"] == trained.training["trainingId"]
        scalars = [found for found in answer["predictions"] if isinstance(found["value"], str)]
        assert scalars
        assert all(len(found["location"]) == 4 and 0 <= found["confidence"] <= 1 for found in scalars)
    pages = sum(document.number_of_pages for document in samples)
    grown = {name: value - before[name] for name, value in counters(client).items()}
    assert grown == {
        "monthlyNumberOfPredictionsCreated": 6,
        "monthlyNumberOfPagePredictionsUsed": pages,
        "monthlyNumberOfDocumentsCreated": 6,
    }


def test_a_scan_is_predicted_in_the_background(client: las.Client, trained: Trained) -> None:
    scan = sample_documents(1, seed=13)[0]
    assert scan.content_type == "image/jpeg"
    document_id = client.create_document(scan.content)["documentId"]

    submitted = client.create_prediction(document_id, trained.model_id, run_async=True)
    ended = eventually(
        lambda: client.get_prediction(submitted["predictionId"]),
        lambda answer: answer["status"] != "pending",
        seconds=120,
    )

    assert submitted["status"] == "pending"
    assert submitted["predictions"] is None
    assert ended["status"] == "succeeded", ended
    assert ended["inferenceTime"] > 0
    compared = compare(ended["predictions"], scan.ground_truth, FIELD_CONFIG)
    assert sum(item.right for item in compared) >= 0.8 * len(compared)
    listed = client.list_predictions(model_id=trained.model_id, max_results=1000)["predictions"]
    assert submitted["predictionId"] in {prediction["predictionId"] for prediction in listed}


def test_a_model_is_switched_off_and_on(client: las.Client, trained: Trained) -> None:
    training_id = trained.training["trainingId"]

    off = client.update_model(trained.model_id, trainingId=None)
    on = client.update_model(trained.model_id, trainingId=training_id)

    assert (off["status"], off["trainingId"]) == ("inactive", None)
    assert (on["status"], on["trainingId"]) == ("active", training_id)


def test_the_command_line_client_sees_the_same(client: las.Client, trained: Trained) -> None:
    command = [str(Path(sys.executable).parent / "las"), "models", "get", trained.model_id]

    done = subprocess.run(command, env=os.environ.copy(), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert trained.training["trainingId"] in done.stdout


def test_the_program_in_the_readme_runs(client: las.Client) -> None:
    done = subprocess.run(
        [sys.executable, "-c", main_job_program()],
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["bundle succeeded", "training succeeded"]
    assert any(line.startswith("total ") and not line.startswith("total None") for line in lines)

"""Datasets and their transformations through the Python SDK."""

from __future__ import annotations

import las
import pytest
from las.client import BadRequest, NotFound

from examples.demo import job
from examples.demo.sample_documents import sample_documents
from tests.support.clients import Answer, listed, pages
from tests.support.processes import eventually

UNKNOWN_DATASET = "las:dataset:" + "0" * 32
REMOVE_DUPLICATES = [{"type": "remove-duplicates", "options": {}}]
TRANSFORMATION_SECONDS = 60


def test_a_dataset_is_created_read_changed_and_deleted(client: las.Client) -> None:
    before = client.get_organization("me")["numberOfDatasetsCreated"]
    created = client.create_dataset(name="Invoices", description="of May", metadata={"month": 5})
    dataset_id = created["datasetId"]

    assert (created["name"], created["description"], created["metadata"]) == (
        "Invoices",
        "of May",
        {"month": 5},
    )
    assert (created["numberOfDocuments"], created["groundTruthSummary"], created["version"]) == (0, {}, 0)
    assert (created["retentionInDays"], created["storageLocation"]) == (1825, "EU")
    assert created["containsPersonallyIdentifiableInformation"] is True
    assert client.get_dataset(dataset_id) == created
    assert client.get_organization("me")["numberOfDatasetsCreated"] == before + 1

    changed = client.update_dataset(
        dataset_id,
        metadata={"month": 6},
        name=None,
        description=None,
        retentionInDays=30,
        containsPersonallyIdentifiableInformation=False,
    )
    assert (changed["name"], changed["description"], changed["metadata"]) == (None, None, {"month": 6})
    assert (changed["retentionInDays"], changed["containsPersonallyIdentifiableInformation"]) == (30, False)
    assert client.get_dataset(dataset_id) == changed

    assert client.delete_dataset(dataset_id)["datasetId"] == dataset_id
    for unknown in (dataset_id, UNKNOWN_DATASET):
        with pytest.raises(NotFound, match=unknown):
            client.get_dataset(unknown)
    assert client.get_organization("me")["numberOfDatasetsCreated"] == before


def test_datasets_are_listed_page_by_page(client: las.Client) -> None:
    created = [client.create_dataset(name=f"{number}")["datasetId"] for number in range(5)]

    found = [dataset["datasetId"] for page in pages(client.list_datasets, "datasets", 2) for dataset in page]

    assert [dataset_id for dataset_id in found if dataset_id in created] == created
    for dataset_id in created:
        client.delete_dataset(dataset_id)
    left = {dataset["datasetId"] for dataset in listed(client.list_datasets, "datasets")}
    assert not left & set(created)


def test_a_dataset_with_documents_is_deleted_along_with_them(client: las.Client) -> None:
    dataset_id = client.create_dataset()["datasetId"]
    samples = sample_documents(3, seed=51, scans_every=0)
    documents = [document_id for _, document_id in job.upload(client, samples, dataset_id=dataset_id)]

    with pytest.raises(BadRequest):
        client.delete_dataset(dataset_id)
    client.delete_dataset(dataset_id, delete_documents=True)

    for document_id in documents:
        with pytest.raises(NotFound, match=document_id):
            client.get_document(document_id)
    with pytest.raises(NotFound, match=dataset_id):
        client.get_dataset(dataset_id)


def test_duplicates_are_removed_and_the_oldest_kept(client: las.Client) -> None:
    dataset_id = client.create_dataset()["datasetId"]
    [once, twice] = [sample.content for sample in sample_documents(2, seed=52, scans_every=0)]
    documents = [
        client.create_document(content, dataset_id=dataset_id)["documentId"]
        for content in (twice, once, twice)
    ]
    before = client.get_organization("me")["monthlyNumberOfTransformationsCreated"]

    created = client.create_transformation(dataset_id, REMOVE_DUPLICATES)
    transformation_id = created["transformationId"]

    def current() -> Answer:
        found = listed(lambda **page: client.list_transformations(dataset_id, **page), "transformations", 1)
        [transformation] = [item for item in found if item["transformationId"] == transformation_id]
        return transformation

    ended = eventually(current, lambda item: item["status"] != "running", seconds=TRANSFORMATION_SECONDS)
    assert created["status"] == "running"
    assert created["operations"] == REMOVE_DUPLICATES
    assert ended["status"] == "succeeded"
    left = listed(lambda **page: client.list_documents(dataset_id=dataset_id, **page), "documents")
    assert [document["documentId"] for document in left] == documents[:2]
    assert client.get_dataset(dataset_id)["numberOfDocuments"] == 2
    assert client.get_organization("me")["monthlyNumberOfTransformationsCreated"] == before + 1

    filtered = client.list_transformations(dataset_id, status=["failed", "succeeded"])
    assert filtered["status"] == ["failed", "succeeded"]
    assert filtered["transformations"] == [ended]
    assert client.list_transformations(dataset_id, status="failed")["transformations"] == []
    client.delete_transformation(dataset_id, transformation_id)
    assert client.list_transformations(dataset_id)["transformations"] == []
    with pytest.raises(NotFound, match=transformation_id):
        client.delete_transformation(dataset_id, transformation_id)
    client.delete_dataset(dataset_id, delete_documents=True)


def test_a_transformation_that_does_not_exist_is_refused(client: las.Client) -> None:
    dataset_id = client.create_dataset()["datasetId"]

    with pytest.raises(BadRequest, match="operations"):
        client.create_transformation(dataset_id, [{"type": "rotate"}])
    with pytest.raises(NotFound, match=UNKNOWN_DATASET):
        client.create_transformation(UNKNOWN_DATASET, REMOVE_DUPLICATES)

    client.delete_dataset(dataset_id)

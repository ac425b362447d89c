"""``las datasets`` and ``documents``."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid

import pytest
from las.client import NotFound

from examples.demo.sample_documents import sample_documents
from examples.local_stack import LocalStack
from tests.support.clients import new_organization
from tests.support.command_line import CommandLine
from tests.support.processes import eventually

OPERATIONS = [{"type": "remove-duplicates", "options": {}}]


def test_documents(cli: CommandLine) -> None:
    [sample] = sample_documents(1, seed=71, scans_every=0)
    path = cli.file("invoice.pdf", sample.content)
    dataset_id = cli("datasets", "create")["datasetId"]
    consent_id = f"las:consent:{uuid.uuid4().hex}"
    created = cli(
        *("documents", "create", path, "--consent-id", consent_id, "--dataset-id", dataset_id),
        *("--ground-truth-fields", "total=1.00", "number=a=b", "--metadata", cli.file("m.json", {"a": 1})),
    )
    document_id = created["documentId"]

    shown = cli("documents", "get", document_id, "-d", cli.directory / "copy.pdf")
    assert "content" not in shown
    assert (cli.directory / "copy.pdf").read_bytes() == sample.content
    assert shown["groundTruth"] == [{"label": "total", "value": "1.00"}, {"label": "number", "value": "a=b"}]
    whole = cli("documents", "get", document_id, "--output-content")
    assert base64.b64decode(whole["content"]) == sample.content
    cli(
        *("documents", "get", document_id, "-d", cli.directory / "copy.jpeg", "--page", 0, "--width", 100),
        *("--height", 120, "--rotation", 180, "--density", 50),
    )
    assert (cli.directory / "copy.jpeg").read_bytes().startswith(b"\xff\xd8")
    cli("documents", "get", document_id, "-d", cli.directory / "low.pdf", "--quality", "low")
    assert (cli.directory / "low.pdf").read_bytes().startswith(b"%PDF-")

    truth = cli.file("truth.json", {"total": None})
    other_dataset_id = cli("datasets", "create")["datasetId"]
    changed = cli(
        "documents", "update", document_id, "--ground-truth-path", truth, "--dataset-id", other_dataset_id
    )
    assert (changed["groundTruth"], changed["datasetId"]) == (
        [{"label": "total", "value": None}],
        other_dataset_id,
    )
    listed = cli(
        *("documents", "list", "--consent-id", consent_id, "--dataset-id", dataset_id, other_dataset_id),
        *("-m", 5, "--sort-by", "createdTime", "--order", "descending"),
    )
    assert [document["documentId"] for document in listed["documents"]] == [document_id]
    assert cli("documents", "delete", document_id)["documentId"] == document_id
    with pytest.raises(NotFound, match=document_id):
        cli("documents", "get", document_id)
    for each in (dataset_id, other_dataset_id):
        cli("datasets", "delete", each)


def test_all_documents_of_an_organization_are_deleted(
    cli: CommandLine, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a filter it means everything: not in the organization that the other tests live in."""
    tenant = new_organization(stack.data_directory)
    monkeypatch.setenv("LAS_CLIENT_ID", tenant.client_id)
    monkeypatch.setenv("LAS_CLIENT_SECRET", tenant.client_secret)
    path = cli.file("d.pdf", b"%PDF-1.7")
    created = [cli("documents", "create", path)["documentId"] for _ in range(3)]

    one = cli("documents", "delete-all", "--max-results", 1)
    assert [document["documentId"] for document in one["documents"]] == created[:1]
    deleted = cli("documents", "delete-all")
    assert [document["documentId"] for document in deleted["documents"]] == created[1:]
    assert deleted["nextToken"] is None
    assert cli("documents", "list")["documents"] == []
    assert cli("documents", "delete-all")["documents"] == []


def test_datasets(cli: CommandLine) -> None:
    metadata = cli.file("metadata.json", {"a": 1})
    created = cli("datasets", "create", "--name", "May", "--description", "d", "--metadata", metadata)
    dataset_id = created["datasetId"]

    changed = cli(
        "datasets", "update", dataset_id, "--name", "null", "--metadata", cli.file("m.json", {"b": 2})
    )
    assert (changed["name"], changed["description"], changed["metadata"]) == (None, "d", {"b": 2})
    assert cli("datasets", "get", dataset_id) == changed
    listed = cli("datasets", "list", "-m", 1000)["datasets"]
    assert dataset_id in {dataset["datasetId"] for dataset in listed}
    assert cli("datasets", "delete", dataset_id)["datasetId"] == dataset_id
    with pytest.raises(NotFound, match=dataset_id):
        cli("datasets", "get", dataset_id)


def test_a_folder_becomes_a_dataset_and_a_dataset_a_folder(cli: CommandLine) -> None:
    samples = sample_documents(4, seed=72, scans_every=0)
    folder = cli.directory / "labelled"
    folder.mkdir()
    for number, sample in enumerate(samples):
        (folder / f"{number}.pdf").write_bytes(sample.content)
        (folder / f"{number}.json").write_text(json.dumps(sample.ground_truth))
    (folder / "3.json").unlink()
    dataset_id = cli("datasets", "create")["datasetId"]
    logs = (
        "--documents-uploaded",
        cli.directory / "up.log",
        "--documents-failed",
        cli.directory / "failed.log",
    )
    upload = ("datasets", "create-documents", dataset_id, folder, *logs)

    assert cli(*upload)["uploaded"] == 4
    dataset = cli("datasets", "get", dataset_id)
    assert dataset["numberOfDocuments"] == 4
    documents = cli("documents", "list", "--dataset-id", dataset_id)["documents"]
    names = {document["metadata"]["originalFilePath"] for document in documents}
    assert names == {str(folder / f"{number}.pdf") for number in range(4)}
    cli("documents", "delete", documents[0]["documentId"])
    (folder / "0.json").write_text(json.dumps([{"label": "total", "value": "9.99"}]))
    (folder / "3.json").write_text(json.dumps([{"label": "total", "value": "9.99"}]))
    cli(*upload)
    assert cli("datasets", "get", dataset_id)["numberOfDocuments"] >= 3

    copies = cli.directory / "copies"
    answer = cli("datasets", "get-documents", dataset_id, copies)
    stored = cli("documents", "list", "--dataset-id", dataset_id)["documents"]
    assert answer == {"Total downloaded documents": len(stored)}
    digests = {hashlib.md5(path.read_bytes()).hexdigest() for path in copies.glob("*.pdf")}
    assert digests == {document["contentMD5"] for document in stored}
    for document in stored:
        assert json.loads((copies / f"{document['documentId']}.json").read_text()) == document["groundTruth"]
    cli("datasets", "delete", dataset_id, "--delete-documents")


def test_transformations(cli: CommandLine) -> None:
    dataset_id = cli("datasets", "create")["datasetId"]
    created = cli("datasets", "create-transformation", dataset_id, json.dumps(OPERATIONS))
    transformation_id = created["transformationId"]

    def statuses() -> list[str]:
        answer = cli("datasets", "list-transformations", dataset_id, "-m", 10)
        return [transformation["status"] for transformation in answer["transformations"]]

    assert created["operations"] == OPERATIONS
    eventually(statuses, lambda found: found == ["succeeded"], seconds=60)
    filtered = cli("datasets", "list-transformations", dataset_id, "--status", "failed", "running")
    assert (filtered["transformations"], filtered["status"]) == ([], ["failed", "running"])
    deleted = cli("datasets", "delete-transformation", dataset_id, transformation_id)
    assert deleted["transformationId"] == transformation_id
    assert statuses() == []
    cli("datasets", "delete", dataset_id)

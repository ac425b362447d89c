"""Documents and their files through the Python SDK."""

from __future__ import annotations

import base64
import hashlib
import io
import uuid

import las
import pytest
from las.client import BadRequest, NotFound
from PIL import Image

from examples.demo.sample_documents import SampleDocument, sample_documents
from tests.support.clients import listed

UNKNOWN_DOCUMENT = "las:document:" + "0" * 32
GROUND_TRUTH = [
    {"label": "total", "value": "12.00", "pages": [0], "confidence": 0.5},
    {"label": "paid", "value": True},
    {"label": "items", "value": [[{"label": "text", "value": "Tea"}, {"label": "qty", "value": 2}]]},
]


@pytest.fixture(scope="module")
def sample() -> SampleDocument:
    [sample] = sample_documents(1, seed=61, scans_every=0)
    return sample


def new_consent() -> str:
    return f"las:consent:{uuid.uuid4().hex}"


def test_a_document_is_created_read_changed_and_deleted(client: las.Client, sample: SampleDocument) -> None:
    before = client.get_organization("me")["monthlyNumberOfDocumentsCreated"]
    consent_id = new_consent()
    created = client.create_document(
        sample.content,
        consent_id=consent_id,
        ground_truth=GROUND_TRUTH,
        retention_in_days=7,
        metadata={"from": "test"},
    )
    document_id = created["documentId"]

    assert (created["consentId"], created["retentionInDays"]) == (consent_id, 7)
    assert created["contentType"] is None
    stored = client.get_document(document_id)
    assert base64.b64decode(stored["content"]) == sample.content
    assert stored["contentMD5"] == hashlib.md5(sample.content).hexdigest()
    assert (stored["contentType"], stored["groundTruth"]) == ("application/pdf", GROUND_TRUTH)
    assert (stored["metadata"], stored["fileUrl"]) == ({"from": "test"}, created["fileUrl"])
    changed = client.update_document(document_id, ground_truth=GROUND_TRUTH[:1], metadata={"from": "us"})
    assert (changed["groundTruth"], changed["metadata"]) == (GROUND_TRUTH[:1], {"from": "us"})
    assert client.get_organization("me")["monthlyNumberOfDocumentsCreated"] == before + 1

    assert client.delete_document(document_id)["documentId"] == document_id
    for unknown in (document_id, UNKNOWN_DOCUMENT):
        with pytest.raises(NotFound, match=unknown):
            client.get_document(unknown)
        with pytest.raises(NotFound, match=unknown):
            client.delete_document(unknown)
    assert client.get_organization("me")["monthlyNumberOfDocumentsCreated"] == before + 1


def test_a_document_moves_between_datasets(client: las.Client, sample: SampleDocument) -> None:
    first, second = (client.create_dataset()["datasetId"] for _ in range(2))
    document_id = client.create_document(
        sample.content, dataset_id=first, ground_truth=[{"label": "total", "value": "1.00"}]
    )["documentId"]

    assert client.get_dataset(first)["groundTruthSummary"] == {"total": 1}
    assert client.update_document(document_id, dataset_id=second)["datasetId"] == second
    summaries = [client.get_dataset(dataset_id)["groundTruthSummary"] for dataset_id in (first, second)]
    assert summaries == [{}, {"total": 1}]
    with pytest.raises(BadRequest, match="datasetId"):
        client.update_document(document_id, dataset_id="las:dataset:" + "0" * 32)

    client.delete_document(document_id)
    for dataset_id in (first, second):
        assert client.delete_dataset(dataset_id)["numberOfDocuments"] == 0


def test_documents_are_filtered_ordered_and_paged(client: las.Client, sample: SampleDocument) -> None:
    dataset_id = client.create_dataset()["datasetId"]
    consents = [new_consent(), new_consent()]
    documents = [
        client.create_document(sample.content, consent_id=consents[number % 2], dataset_id=dataset_id)[
            "documentId"
        ]
        for number in range(5)
    ]

    def found(**filters: object) -> list[str]:
        items = listed(lambda **page: client.list_documents(**filters, **page), "documents", 2)
        assert all("content" not in item for item in items)
        return [item["documentId"] for item in items]

    assert found(dataset_id=dataset_id) == documents
    assert found(dataset_id=[dataset_id], sort_by="createdTime", order="descending") == documents[::-1]
    assert found(consent_id=consents[0]) == documents[::2]
    assert found(consent_id=consents) == documents
    assert found(consent_id=consents[1], dataset_id=dataset_id) == documents[1::2]
    answer = client.list_documents(dataset_id=dataset_id, consent_id=consents, order="ascending")
    assert (answer["datasetId"], answer["consentId"]) == ([dataset_id], consents)
    assert (answer["order"], answer["nextToken"]) == ("ascending", None)
    with pytest.raises(BadRequest, match="nextToken"):
        client.list_documents(next_token="foo")
    with pytest.raises(BadRequest, match="order"):
        client.list_documents(order="sideways")
    with pytest.raises(BadRequest, match="maxResults"):
        client.list_documents(max_results=0)

    one = client.delete_documents(consent_id=consents[0], max_results=1)
    assert [document["documentId"] for document in one["documents"]] == documents[:1]
    assert one["nextToken"] is not None
    rest = client.delete_documents(consent_id=consents[0], next_token=one["nextToken"])
    assert [document["documentId"] for document in rest["documents"]] == documents[2::2]
    assert rest["nextToken"] is None
    assert found(dataset_id=dataset_id) == documents[1::2]
    everything = client.delete_documents(dataset_id=dataset_id, delete_all=True)
    assert [document["documentId"] for document in everything["documents"]] == documents[1::2]
    assert client.delete_dataset(dataset_id)["numberOfDocuments"] == 0


@pytest.mark.parametrize(
    ("parameters", "width", "height"),
    [
        ({"width": 60}, 60, None),
        ({"height": 90}, None, 90),
        ({"width": 60, "height": 90, "rotation": 90, "page": -1}, 60, 90),
        ({"density": 30, "page": 0}, None, None),
    ],
)
def test_a_document_is_shown_as_a_picture(
    client: las.Client,
    sample: SampleDocument,
    parameters: dict[str, int],
    width: int | None,
    height: int | None,
) -> None:
    document_id = client.create_document(sample.content)["documentId"]

    picture = Image.open(
        io.BytesIO(base64.b64decode(client.get_document(document_id, **parameters)["content"]))
    )

    assert picture.format == "JPEG"
    assert width is None or picture.width == width
    assert height is None or picture.height == height
    client.delete_document(document_id)


def test_a_document_of_low_quality_is_still_a_pdf(client: las.Client, sample: SampleDocument) -> None:
    document_id = client.create_document(sample.content)["documentId"]

    content = base64.b64decode(client.get_document(document_id, quality="low")["content"])

    assert content.startswith(b"%PDF-")
    with pytest.raises(BadRequest, match="page"):
        client.get_document(document_id, page=99)
    client.delete_document(document_id)

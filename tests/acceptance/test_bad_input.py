"""Bad input is refused with its documented answer that names the cause, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import las
import pytest
import requests
from las.client import BadRequest, InvalidCredentialsException, NotFound
from las.credentials import Credentials

from examples.demo import job
from examples.demo.sample_documents import sample_documents
from tests.acceptance.conftest import Trained
from tests.support.processes import eventually
from tests.unit.extraction.documents import text_pdf

UNKNOWN_DOCUMENT = "las:document:" + "0" * 32
MEBIBYTE = 1024 * 1024


def number_of_predictions(client: las.Client, model_id: str) -> int:
    return len(client.list_predictions(model_id=model_id, max_results=1000)["predictions"])


@contextmanager
def nothing_left(client: las.Client, model_id: str) -> Iterator[None]:
    """No prediction and nothing counted comes out of what happens inside."""
    names = (
        "monthlyNumberOfPredictionsCreated",
        "monthlyNumberOfPagePredictionsUsed",
        "numberOfModelsCreated",
    )

    def seen() -> dict[str, Any]:
        organization = client.get_organization("me")
        return {name: organization[name] for name in names} | {
            "predictions": number_of_predictions(client, model_id)
        }

    before = seen()
    yield
    eventually(seen, lambda now: now == before, seconds=60)


def upload_raw(http: httpx.Client, content: bytes) -> tuple[dict[str, Any], httpx.Response]:
    """A new document and the answer to storing its bytes."""
    document = http.post("/documents", json={}).json()
    return document, http.put(document["fileUrl"], content=content)


def test_a_wrong_secret_gets_no_token(client: las.Client) -> None:
    good = client.credentials
    wrong = Credentials(good.client_id, "wrong", good.auth_endpoint, good.api_endpoint)

    with pytest.raises(requests.HTTPError) as refusal:
        las.Client(wrong).list_documents()

    assert refusal.value.response.status_code == 400


def test_a_wrong_token_is_forbidden(client: las.Client) -> None:
    good = client.credentials
    wrong = Credentials(good.client_id, good.client_secret, good.auth_endpoint, good.api_endpoint)
    wrong._token = ("not-a-token", 2**33)

    with pytest.raises(InvalidCredentialsException):
        las.Client(wrong).list_documents()


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b'"text"'])
def test_a_body_that_is_no_json_object(http: httpx.Client, content: bytes) -> None:
    answer = http.post("/datasets", content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["message"]


def test_an_unknown_field_is_named(http: httpx.Client, client: las.Client, trained: Trained) -> None:
    with nothing_left(client, trained.model_id):
        answer = http.post("/models", json={"fieldConfig": {"total": {"type": "amount"}}, "colour": "red"})

    assert answer.status_code == 400
    assert "colour" in answer.json()["message"]


def test_unknown_ids_are_not_found(client: las.Client, trained: Trained) -> None:
    with nothing_left(client, trained.model_id), pytest.raises(NotFound):
        client.create_prediction(UNKNOWN_DOCUMENT, trained.model_id)
    with pytest.raises(NotFound):
        client.create_prediction(trained.documents[0][1], "las:model:no-such-model")


def test_a_document_without_content_is_not_predicted(
    http: httpx.Client, client: las.Client, trained: Trained
) -> None:
    document = http.post("/documents", json={}).json()

    with nothing_left(client, trained.model_id), pytest.raises(BadRequest):
        client.create_prediction(document["documentId"], trained.model_id)


def test_bytes_that_are_no_document(http: httpx.Client, client: las.Client, trained: Trained) -> None:
    """Refused when they are stored or when they are to be read, and in both cases with a reason."""
    document, stored = upload_raw(http, b"this is no document at all" * 100)

    if stored.is_success:
        with nothing_left(client, trained.model_id), pytest.raises(BadRequest, match=r"(?i)document"):
            client.create_prediction(document["documentId"], trained.model_id)
    else:
        assert stored.status_code == 400
        assert stored.json()["message"]


def test_an_encrypted_pdf_is_refused_and_says_why(client: las.Client, trained: Trained) -> None:
    document_id = client.create_document(text_pdf(password="secret"))["documentId"]

    with nothing_left(client, trained.model_id), pytest.raises(BadRequest, match=r"(?i)encrypted"):
        client.create_prediction(document_id, trained.model_id)


def test_an_encrypted_pdf_in_the_background_fails_and_is_not_counted(
    client: las.Client, trained: Trained
) -> None:
    document_id = client.create_document(text_pdf(password="secret"))["documentId"]
    before = client.get_organization("me")["monthlyNumberOfPredictionsCreated"]

    submitted = client.create_prediction(document_id, trained.model_id, run_async=True)
    ended = eventually(
        lambda: client.get_prediction(submitted["predictionId"]),
        lambda answer: answer["status"] != "pending",
        seconds=60,
    )

    assert ended["status"] == "failed"
    assert "encrypted" in ended["error"].lower()
    assert client.get_organization("me")["monthlyNumberOfPredictionsCreated"] == before


@pytest.mark.parametrize("size", [0, 65 * MEBIBYTE], ids=["empty", "65 MB"])
def test_a_file_of_no_bytes_or_too_many_is_refused(http: httpx.Client, size: int) -> None:
    document, stored = upload_raw(http, b"%PDF-1.7\n".ljust(size, b"0") if size else b"")

    assert stored.status_code in (400, 413)
    assert stored.json()["message"]
    after = http.get(f"/documents/{document['documentId']}").json()
    assert after["contentType"] is None
    assert "content" not in after
    assert http.get(document["fileUrl"]).status_code in (400, 404)


def test_an_inactive_model_predicts_nothing(client: las.Client, trained: Trained) -> None:
    model_id = job.create_model(client)

    with nothing_left(client, trained.model_id), pytest.raises(BadRequest, match=r"(?i)active"):
        client.create_prediction(trained.documents[0][1], model_id)

    assert number_of_predictions(client, model_id) == 0
    client.delete_model(model_id)


def test_a_damaged_document_harms_no_bundle(client: las.Client, trained: Trained) -> None:
    """One unreadable document among good ones is reported, the bundle succeeds."""
    dataset_id = client.create_dataset(name="With a damaged one")["datasetId"]
    [good] = sample_documents(1, seed=31, scans_every=0)
    damaged = dataclasses.replace(good, content=b"%PDF-1.7\nnothing that makes sense")
    list(job.upload(client, [good, damaged], dataset_id=dataset_id))

    bundle = client.create_data_bundle(trained.model_id, [dataset_id])
    ended = job.wait_for(lambda: client.get_data_bundle(trained.model_id, bundle["dataBundleId"]))

    assert ended["summary"]["aggregate"]["numberOfDocuments"] == 2

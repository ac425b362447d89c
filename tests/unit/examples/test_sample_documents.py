"""The demo's documents: always the same, of all kinds, and saying what their labels say."""

from __future__ import annotations

import io
from collections import Counter

import pypdfium2
import pytest
from PIL import Image

from examples.demo.sample_documents import FIELD_CONFIG, SampleDocument, sample_documents
from examples.demo.templates import TEMPLATES


@pytest.fixture(scope="module")
def documents() -> list[SampleDocument]:
    return sample_documents(len(TEMPLATES) * 3, seed=5)


def test_the_same_seed_draws_the_same_bytes(documents: list[SampleDocument]) -> None:
    again = sample_documents(4, seed=5)

    assert [document.content for document in again] == [document.content for document in documents[:4]]


def test_another_seed_draws_other_documents(documents: list[SampleDocument]) -> None:
    others = sample_documents(3, seed=6)

    assert not {document.content for document in others} & {document.content for document in documents}
    assert others[0].ground_truth != documents[0].ground_truth


def test_all_types_occur_and_a_third_are_scans(documents: list[SampleDocument]) -> None:
    types = Counter(document.content_type for document in documents)

    assert set(types) == {"application/pdf", "image/jpeg", "image/png", "image/tiff"}
    assert types["application/pdf"] == len(documents) * 2 // 3


def test_no_scans_when_none_are_wanted() -> None:
    documents = sample_documents(len(TEMPLATES), seed=5, scans_every=0)

    assert {document.content_type for document in documents} == {"application/pdf"}


def test_a_pdf_prints_every_value_of_its_labels_in_its_text_layer() -> None:
    for document in sample_documents(len(TEMPLATES), seed=7, scans_every=0):
        pages = pypdfium2.PdfDocument(document.content)
        text = "".join(page.get_textpage().get_text_range() for page in pages)

        assert len(pages) == document.number_of_pages
        for label in ("supplier", "customer", "number"):
            value = next(item["value"] for item in document.ground_truth if item["label"] == label)
            assert value is None or value in text, document.name
        rows = next((item["value"] for item in document.ground_truth if item["label"] == "items"), [])
        descriptions = [cell["value"] for row in rows for cell in row if cell["label"] == "description"]
        assert all(description in text for description in descriptions), document.name


def test_a_tiff_holds_all_pages(documents: list[SampleDocument]) -> None:
    tiffs = [document for document in documents if document.content_type == "image/tiff"]

    assert tiffs
    for document in tiffs:
        with Image.open(io.BytesIO(document.content)) as image:
            assert image.n_frames == document.number_of_pages > 1


def test_labels_are_those_of_the_field_config(documents: list[SampleDocument]) -> None:
    for document in documents:
        labels = [item["label"] for item in document.ground_truth]
        assert len(labels) == len(set(labels))
        assert set(labels) <= set(FIELD_CONFIG)
        assert set(FIELD_CONFIG) - set(labels) <= {"items"}


def test_the_sums_of_a_document_agree(documents: list[SampleDocument]) -> None:
    for document in documents:
        values = {item["label"]: item["value"] for item in document.ground_truth}
        cents = {label: round(float(values[label]) * 100) for label in ("net", "tax", "total")}
        assert cents["net"] + cents["tax"] == cents["total"]
        if "items" in values:
            amounts = [cell["value"] for row in values["items"] for cell in row if cell["label"] == "amount"]
            assert sum(round(float(amount) * 100) for amount in amounts) == cents["net"]

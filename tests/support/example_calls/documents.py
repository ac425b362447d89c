"""Calls about documents, files, datasets and their transformations."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from msgspec import UNSET

from tests.support.example_calls.recorder import Recorder

PDF = b"%PDF-1.7\n% an invoice\n%%EOF\n"
CONSENT = f"las:consent:{'5c0f' * 8}"
GROUND_TRUTH = [
    {"label": "total", "value": "128.50"},
    {"label": "due_date", "value": "2026-03-31", "pages": [0]},
    {
        "label": "items",
        "value": [
            [{"label": "text", "value": "Tea"}, {"label": "amount", "value": "28.50"}],
            [{"label": "text", "value": "Coffee"}, {"label": "amount", "value": "100.00"}],
        ],
    },
]


async def manage_datasets(recorder: Recorder) -> str:
    """Return the id of a dataset with enough documents to train on."""
    created = await recorder.call(
        "createDataset",
        {
            "name": "Invoices 2026",
            "description": "Checked by the accounting department",
            "retentionInDays": 365,
            "containsPersonallyIdentifiableInformation": True,
            "metadata": {"source": "mailbox"},
        },
    )
    dataset_id = str(created["datasetId"])
    for number in range(8):
        truth = [{"label": "total", "value": f"{number + 1}0.00"}]
        await recorder.prepare("POST", "/documents", {"datasetId": dataset_id, "groundTruth": truth})
    await recorder.call("listDatasets")
    await recorder.call("getDataset", datasetId=dataset_id)
    await recorder.call(
        "updateDataset", {"metadata": {"source": "mailbox", "year": 2026}}, datasetId=dataset_id
    )
    empty = await recorder.prepare("POST", "/datasets", {"name": "Invoices 2019"})
    await recorder.call("deleteDataset", datasetId=empty["datasetId"])
    return dataset_id


async def manage_documents(recorder: Recorder, dataset_id: str) -> str:
    """Return the id of a document that has its content."""
    created = await recorder.call(
        "createDocument",
        {
            "content": base64.b64encode(PDF).decode(),
            "contentType": "application/pdf",
            "name": "invoice-4711.pdf",
            "datasetId": dataset_id,
            "consentId": CONSENT,
            "groundTruth": GROUND_TRUTH,
            "metadata": {"supplier": "4711"},
            "retentionInDays": 90,
        },
    )
    document_id = str(created["documentId"])
    response = await recorder.app_client.put(f"/v1/files/{document_id}", content=PDF)
    recorder.keep("putFile", None, response.json(), path={"documentId": document_id})
    await recorder.call("getDocument", documentId=document_id)
    await recorder.call(
        "listDocuments", query={"datasetId": dataset_id, "maxResults": "2", "order": "descending"}
    )
    await recorder.call("updateDocument", {"groundTruth": GROUND_TRUTH[:2]}, documentId=document_id)
    query = {"page": "0", "width": "600"}
    recorder.keep("getFile", None, UNSET, path={"documentId": document_id}, query=query)
    body = {"name": "draft.pdf", "consentId": CONSENT.replace("5c", "7d")}
    drafts = [(await recorder.prepare("POST", "/documents", body))["documentId"] for _ in range(2)]
    await recorder.call("deleteDocument", documentId=drafts[0])
    await recorder.call("deleteDocuments", query={"consentId": body["consentId"]})
    return document_id


async def transform(recorder: Recorder, dataset_id: str, work: Callable[[], Awaitable[None]]) -> None:
    """Transform a dataset; ``work`` does what the transformation's worker does."""
    body = {"operations": [{"type": "remove-duplicates"}]}
    created = await recorder.call("createTransformation", body, datasetId=dataset_id)
    await work()
    await recorder.call("listTransformations", datasetId=dataset_id)
    await recorder.call(
        "deleteTransformation", datasetId=dataset_id, transformationId=created["transformationId"]
    )

"""Calls about models, data bundles, trainings and predictions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.example_calls.recorder import Recorder

Work = Callable[[], Awaitable[None]]

FIELD_CONFIG = {
    "total": {"type": "amount", "description": "The amount to pay"},
    "due_date": {"type": "date"},
    "currency": {"type": "enum", "enum": ["EUR", "NOK", "SEK"]},
    "items": {"type": "lines", "fields": {"text": {"type": "string"}, "amount": {"type": "amount"}}},
}
PREPROCESS_CONFIG = {"imageQuality": "HIGH", "autoRotate": True, "maxPages": 3}
POSTPROCESS_CONFIG = {"strategy": "BEST_N_PAGES", "parameters": {"n": 3, "collapse": True}}


async def create_model(recorder: Recorder) -> str:
    """Return the id of a new model."""
    created = await recorder.call(
        "createModel",
        {
            "name": "Invoices",
            "description": "Total, due date and items of invoices",
            "fieldConfig": FIELD_CONFIG,
            "preprocessConfig": PREPROCESS_CONFIG,
            "postprocessConfig": POSTPROCESS_CONFIG,
            "metadata": {"owner": "accounting"},
        },
    )
    return str(created["modelId"])


async def bundle(recorder: Recorder, model_id: str, dataset_id: str, work: Work) -> str:
    """Return the id of a finished data bundle."""
    body = {"name": "March", "description": None, "datasetIds": [dataset_id]}
    created = await recorder.call("createDataBundle", body, modelId=model_id)
    ids = {"modelId": model_id, "dataBundleId": created["dataBundleId"]}
    await work()
    await recorder.call("getDataBundle", **ids)
    await recorder.call("updateDataBundle", {"name": "Invoices of March"}, **ids)
    await recorder.call("listDataBundles", query={"status": "succeeded"}, modelId=model_id)
    other = await recorder.prepare("POST", f"/models/{model_id}/dataBundles", {"datasetIds": [dataset_id]})
    await recorder.call("deleteDataBundle", modelId=model_id, dataBundleId=other["dataBundleId"])
    return str(ids["dataBundleId"])


async def train(
    recorder: Recorder, model_id: str, data_bundle_id: str, deployment_environment_id: str, work: Work
) -> str:
    """Return the id of a finished training."""
    created = await recorder.call(
        "createTraining",
        {
            "name": "First",
            "dataBundleIds": [data_bundle_id],
            "instanceType": "small-gpu",
            "metadata": {"reason": "first invoices"},
        },
        modelId=model_id,
    )
    ids = {"modelId": model_id, "trainingId": str(created["trainingId"])}
    await work()
    await recorder.call("getTraining", **ids)
    await recorder.call("updateTraining", {"deploymentEnvironmentId": deployment_environment_id}, **ids)
    await recorder.call("listTrainings", query={"status": "succeeded"}, modelId=model_id)
    return ids["trainingId"]


async def manage_models(recorder: Recorder, model_id: str, training_id: str) -> None:
    """Activate the model, and delete another."""
    await recorder.call("updateModel", {"trainingId": training_id}, modelId=model_id)
    await recorder.call("listModels", query={"owner": "me"})
    other = await recorder.prepare("POST", "/models", {"name": "Receipts", "fieldConfig": FIELD_CONFIG})
    await recorder.call("deleteModel", modelId=other["modelId"])


async def predict(recorder: Recorder, document_id: str, model_id: str, work: Callable[[], Any]) -> None:
    """Predict; ``work`` begins what the worker does in the background."""
    body = {
        "documentId": document_id,
        "modelId": model_id,
        "preprocessConfig": {"maxPages": 2},
        "postprocessConfig": {"strategy": "BEST_FIRST"},
    }
    working = work()
    created = await recorder.call("createPrediction", body)
    await working
    await recorder.call("getPrediction", predictionId=created["predictionId"])
    await recorder.call("listPredictions", query={"modelId": model_id, "order": "descending"})
    await recorder.call("getModel", modelId=model_id)

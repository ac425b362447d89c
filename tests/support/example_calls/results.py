"""Results of workers in the examples, in the shape that workers give them."""

from __future__ import annotations

from pagemill.extraction.summary import SummaryDocument, summarise
from pagemill.work.data_bundles import DataBundleResult
from pagemill.work.predictions import PredictionResult
from pagemill.work.trainings import TrainingResult
from tests.support.example_calls.models import FIELD_CONFIG, PREPROCESS_CONFIG

PAGE = {"page": 0, "source": "model"}


def prediction_result() -> PredictionResult:
    """Return what a prediction finds: values, one that is not there, and lines."""
    return PredictionResult(
        predictions=[
            {
                "label": "total",
                "value": "128.50",
                "rawValue": "128,50",
                "confidence": 0.982,
                "location": [0.611, 0.824, 0.702, 0.841],
                **PAGE,
            },
            {"label": "due_date", "value": None, "confidence": 0.912, **PAGE},
            {
                "label": "items",
                "page": 0,
                "value": [
                    [
                        {"label": "text", "value": "Tea", "rawValue": "Tea", "confidence": 0.94, **PAGE},
                        {
                            "label": "amount",
                            "value": "28.50",
                            "rawValue": "28,50",
                            "confidence": 0.97,
                            **PAGE,
                        },
                    ]
                ],
            },
        ],
        inference_time=1.84,
        next_page=None,
        preprocess_config={**PREPROCESS_CONFIG, "maxPages": 2, "startPage": 0},
        pages=1,
        fields=3,
    )


def data_bundle_result() -> DataBundleResult:
    """Return the summary of twelve documents with different totals."""
    documents = [
        SummaryDocument(f"las:document:{number:032x}", None, [{"label": "total", "value": f"{number}7.50"}])
        for number in range(12)
    ]
    return DataBundleResult(
        summary=summarise(documents, {"total": FIELD_CONFIG["total"]}), object_key="data-bundle"
    )


def training_result() -> TrainingResult:
    """Return the evaluation of a training."""
    field = {
        "accuracy": 0.95,
        "precision": 0.9744,
        "recall": 0.95,
        "f1": 0.962,
        "exactMatch": 0.925,
        "support": 40,
        "numberOfExamples": 160,
        "wrongDocuments": [],
    }
    return TrainingResult(
        evaluation={
            "fields": {"total": field},
            "accuracy": 0.95,
            "numberOfDocuments": 40,
            "calibration": {"expectedCalibrationError": 0.021},
            "automation": {"threshold": 0.83, "rate": 0.9, "precision": 0.9722},
        },
        artefact_key="training/",
        gpu_hours=0.25,
    )

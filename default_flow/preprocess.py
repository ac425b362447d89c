"""First step: predict a document, and decide whether a person has to validate it.

Environment: ``MODEL_ID``, ``FORM_CONFIG_ASSET_ID``, and those of the official client. Run as a module.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

import las

from default_flow.fields import Prediction, doubtful_fields, thresholds_of, within_bounds

MOST_PAGES = 100
"""Pages of a document unless the model's metadata has ``maxPredictionPages``."""
POLL_SECONDS = (0.5, 1.0, 2.0, 4.0)
PREDICTION_SECONDS = 1500.0
"""Longest wait for one prediction; a step of the default flow has half an hour."""
TRIES = 6
AGAIN_SECONDS = 30.0

logger = logging.getLogger(__name__)


def preprocess(client: las.Client, event: dict[str, Any]) -> dict[str, Any]:
    """Return the input with ``predictions`` and ``needsValidation``. Raises what the client raises."""
    document_id = event["documentId"]
    form = json.loads(base64.b64decode(client.get_asset(os.environ["FORM_CONFIG_ASSET_ID"])["content"]))
    model = client.get_model(os.environ["MODEL_ID"])
    predictions = predict(client, document_id, model)
    doubtful = doubtful_fields(predictions, thresholds_of(form))
    if doubtful:
        logger.info("%s: a person has to look at %s", document_id, ", ".join(doubtful))
    return {
        **event,
        "documentId": document_id,
        "needsValidation": bool(doubtful),
        "predictions": within_bounds(predictions),
    }


def predict(client: las.Client, document_id: str, model: Mapping[str, Any]) -> list[Prediction]:
    """Return the predictions of all pages, as many as the model's metadata allows."""
    left = int((model.get("metadata") or {}).get("maxPredictionPages", MOST_PAGES))
    configured = {
        name: value
        for name, value in (model.get("preprocessConfig") or {}).items()
        if name in ("autoRotate", "imageQuality", "rotation") and value is not None
    }
    predictions: list[Prediction] = []
    start: int | None = 0
    while start is not None and left > 0:
        pages = {"startPage": start, "maxPages": min(left, MOST_PAGES)}
        answer = _ended(client, _create(client, document_id, model["modelId"], {**configured, **pages}))
        predictions += answer["predictions"]
        following = answer.get("nextPage")
        # A page that does not follow would have no end.
        left -= (following or 0) - start
        start = following if following is not None and following > start else None
    return predictions


def _create(
    client: las.Client, document_id: str, model_id: str, configuration: dict[str, Any]
) -> dict[str, Any]:
    """Ask for a prediction, and again while too many others do."""
    for attempt in range(1, TRIES + 1):
        try:
            created: dict[str, Any] = client.create_prediction(
                document_id, model_id, preprocess_config=configuration, run_async=True
            )
        except las.client.TooManyRequestsException:
            if attempt == TRIES:
                raise
            logger.info("%s: too many predictions are asked for, again in %g s", document_id, AGAIN_SECONDS)
            time.sleep(AGAIN_SECONDS)
        else:
            return created
    raise AssertionError


def _ended(client: las.Client, prediction: dict[str, Any]) -> dict[str, Any]:
    """Wait for a prediction and return it. Raises RuntimeError when it fails, TimeoutError."""
    deadline = time.monotonic() + PREDICTION_SECONDS
    waits = iter(POLL_SECONDS)
    pause = POLL_SECONDS[0]
    while prediction["status"] == "pending":
        if time.monotonic() > deadline:
            raise TimeoutError(f"{prediction['predictionId']} takes longer than {PREDICTION_SECONDS:g} s")
        pause = next(waits, pause)
        time.sleep(pause)
        prediction = client.get_prediction(prediction["predictionId"])
    if prediction["status"] != "succeeded":
        raise RuntimeError(f"{prediction['predictionId']} has failed: {prediction.get('error')}")
    return prediction


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    las.transition_handler(preprocess)()

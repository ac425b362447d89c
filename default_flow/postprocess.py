"""Last step: keep what is right of a document as its ground truth, and tell others.

Environment: ``DATASET_ID``, ``WEBHOOK_ENDPOINTS`` and ``WEBHOOK_URI``, each of which may be missing, and
those of the official client. Run as a module.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import certifi
import las

from default_flow.fields import Prediction, best_of_fields

POST_SECONDS = 30.0
PAUSES = (1.0, 5.0, 25.0)
"""Seconds between the attempts to tell one endpoint."""

logger = logging.getLogger(__name__)


class EndpointFailed(Exception):
    """An endpoint did not take the result."""


def postprocess(client: las.Client, event: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` and what they were made of. Raises what the client raises, and EndpointFailed."""
    document_id, dataset_id = event["documentId"], os.environ.get("DATASET_ID")
    items = validated_items(event.get("predictions") or [], event.get("verified"))
    client.update_document(document_id, ground_truth=items, dataset_id=dataset_id or None)
    output = {
        "documentId": document_id,
        "values": {item["label"]: item["value"] for item in items},
        "validatedPredictions": items,
        "predictions": event.get("predictions") or [],
        **({"metadata": event["metadata"]} if "metadata" in event else {}),
        **({"datasetId": dataset_id} if dataset_id else {}),
    }
    for endpoint in endpoints_of(os.environ):
        tell(endpoint, output)
    return output


def validated_items(
    predictions: list[Prediction], verified: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Return the ground truth: the best predictions, and what a person has verified in their place.

    ``verified`` has the values by label; null says that the document has none. What a person has verified
    has no confidence but certainty, and stands on the page of the prediction, if it is the same.
    """
    best = best_of_fields(predictions)
    items = {label: _item_of(one) for label, one in best.items()}
    for label, value in (verified or {}).items():
        before = items.get(label)
        same = before is not None and before["value"] == value
        pages = before["pages"] if before is not None and same and "pages" in before else None
        items[label] = {"label": label, "value": value, "confidence": 1.0}
        if pages is not None:
            items[label]["pages"] = pages
    return [items[label] for label in sorted(items)]


def _item_of(prediction: Prediction) -> dict[str, Any]:
    """Return a predicted value, or predicted rows, as ground truth."""
    value, label = prediction["value"], prediction["label"]
    if isinstance(value, list):
        return {"label": label, "value": [[_item_of(cell) for cell in row] for row in value]}
    item = {"label": label, "value": value, "confidence": prediction["confidence"]}
    page = prediction.get("page")
    return item if page is None else {**item, "pages": [page]}


def endpoints_of(environment: Mapping[str, str]) -> list[str]:
    """Return the URLs that are told: of a list with commas or spaces between, or of one in JSON."""
    listed = environment.get("WEBHOOK_ENDPOINTS", "").strip()
    urls = json.loads(listed) if listed.startswith("[") else listed.replace(",", " ").split()
    single = environment.get("WEBHOOK_URI", "").strip()
    return list(dict.fromkeys([*urls, *([single] if single else [])]))


def tell(url: str, output: Mapping[str, Any]) -> None:
    """Post the result to an endpoint, several times if need be. Raises EndpointFailed."""
    if not url.startswith(("https://", "http://")):
        raise EndpointFailed(f"{url} is no URL of the web")
    request = urllib.request.Request(
        url, data=json.dumps(output).encode(), headers={"Content-Type": "application/json"}
    )
    for pause in (*PAUSES, None):
        try:
            with urllib.request.urlopen(request, timeout=POST_SECONDS, context=_trust()):
                return
        except OSError as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            if pause is None or refused:
                raise EndpointFailed(f"{url}: {error}") from error
            logger.warning("%s: %s; again in %g s", url, error, pause)
            time.sleep(pause)


def _trust() -> ssl.SSLContext:
    """Return what is trusted: the authorities of the web, and the one of the API."""
    context = ssl.create_default_context(cafile=certifi.where())
    if own := os.environ.get("REQUESTS_CA_BUNDLE"):
        context.load_verify_locations(cafile=own)
    return context


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    las.transition_handler(postprocess)()

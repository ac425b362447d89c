"""Predictions through the Python SDK, as far as the main job does not tell."""

from __future__ import annotations

import las
import pytest
from las.client import BadRequest, NotFound

from examples.demo.sample_documents import FIELD_CONFIG
from tests.acceptance.conftest import Trained
from tests.support.clients import listed

UNKNOWN_PREDICTION = "las:prediction:" + "0" * 32


def test_a_prediction_follows_its_configuration(client: las.Client, trained: Trained) -> None:
    document_id = trained.documents[0][1]
    organization_id = client.get_organization("me")["organizationId"]
    composite = f"{organization_id}/{trained.model_id}"

    answer = client.create_prediction(
        document_id,
        composite,
        training_id=trained.training["trainingId"],
        preprocess_config={"pages": [0], "imageQuality": "HIGH"},
        postprocess_config={"strategy": "BEST_FIRST", "outputFormat": "v2"},
    )

    assert (answer["modelId"], answer["documentId"]) == (composite, document_id)
    assert answer["trainingId"] == trained.training["trainingId"]
    assert answer["preprocessConfig"]["pages"] == [0]
    assert answer["preprocessConfig"]["imageQuality"] == "HIGH"
    assert answer["postprocessConfig"] == {"strategy": "BEST_FIRST", "outputFormat": "v2"}
    assert set(answer["predictions"]) <= set(FIELD_CONFIG)
    for label, candidates in answer["predictions"].items():
        if FIELD_CONFIG[label]["type"] != "lines":
            assert candidates == sorted(candidates, key=lambda found: -found["confidence"])
    assert not {"timestamp"} & answer.keys()
    assert client.get_prediction(answer["predictionId"]) == answer


def test_predictions_are_listed_in_both_orders(client: las.Client, trained: Trained) -> None:
    created = [
        client.create_prediction(document_id, trained.model_id)["predictionId"]
        for _, document_id in trained.documents[:3]
    ]

    def found(order: str) -> list[str]:
        items = listed(
            lambda **page: client.list_predictions(
                model_id=trained.model_id, sort_by="createdTime", order=order, **page
            ),
            "predictions",
            2,
        )
        return [item["predictionId"] for item in items]

    assert found("ascending")[-3:] == created
    assert found("descending") == found("ascending")[::-1]
    answer = client.list_predictions(model_id=trained.model_id, sort_by="createdTime", order="descending")
    assert (answer["modelId"], answer["sortBy"], answer["order"]) == (
        trained.model_id,
        "createdTime",
        "descending",
    )


def test_predictions_that_cannot_be_made_are_refused(client: las.Client, trained: Trained) -> None:
    document_id = trained.documents[0][1]

    with pytest.raises(NotFound, match=UNKNOWN_PREDICTION):
        client.get_prediction(UNKNOWN_PREDICTION)
    with pytest.raises(BadRequest, match="preprocessConfig"):
        client.create_prediction(document_id, trained.model_id, preprocess_config={})
    with pytest.raises(BadRequest, match="trainingId"):
        client.create_prediction(document_id, trained.model_id, training_id="las:model-training:none")
    with pytest.raises(BadRequest, match="postprocessConfig"):
        client.create_prediction(document_id, trained.model_id, postprocess_config={"strategy": "GUESS"})

"""All pages are predicted, as many as the model allows, and too many requests are waited out."""

from __future__ import annotations

from typing import Any

import las
import pytest

from default_flow import preprocess
from default_flow.preprocess import predict


class Client:
    """As much of the official client as predicts: a document of several pages, a few at a time."""

    def __init__(self, pages: int, at_once: int = 100, busy: int = 0, endless: bool = False) -> None:
        self.pages, self.at_once, self.busy, self.endless = pages, at_once, busy, endless
        self.asked: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}

    def create_prediction(
        self, document_id: str, model_id: str, *, preprocess_config: dict[str, Any], run_async: bool
    ) -> dict[str, Any]:
        assert (document_id, model_id, run_async) == ("document", "model", True)
        if self.busy:
            self.busy -= 1
            raise las.client.TooManyRequestsException("Too Many Requests")
        self.asked.append(preprocess_config)
        start = preprocess_config["startPage"]
        end = min(self.pages, start + min(self.at_once, preprocess_config["maxPages"]))
        name = f"prediction-{len(self.asked)}"
        self.answers[name] = {
            "predictionId": name,
            "status": "succeeded",
            "predictions": [{"label": "page", "value": str(page)} for page in range(start, end)],
            "nextPage": start if self.endless else None if end == self.pages else end,
        }
        return {"predictionId": name, "status": "pending", "predictions": None}

    def get_prediction(self, prediction_id: str) -> dict[str, Any]:
        return self.answers[prediction_id]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(preprocess.time, "sleep", made.append)
    return made


def model(**members: Any) -> dict[str, Any]:
    return {"modelId": "model", "metadata": None, "preprocessConfig": None, **members}


def test_pages_are_asked_for_until_none_follows() -> None:
    client = Client(7, at_once=3)
    found = predict(client, "document", model())
    assert [one["value"] for one in found] == [str(page) for page in range(7)]
    assert [(one["startPage"], one["maxPages"]) for one in client.asked] == [(0, 100), (3, 97), (6, 94)]


def test_no_more_pages_than_the_model_allows() -> None:
    client = Client(50, at_once=10)
    found = predict(client, "document", model(metadata={"maxPredictionPages": 12}))
    assert len(found) == 12
    assert [one["maxPages"] for one in client.asked] == [12, 2]


def test_the_models_own_configuration_counts_but_for_its_pages() -> None:
    client = Client(1)
    configured = {"autoRotate": True, "imageQuality": "HIGH", "rotation": None, "maxPages": 1, "pages": [4]}
    predict(client, "document", model(preprocessConfig=configured))
    assert client.asked == [{"autoRotate": True, "imageQuality": "HIGH", "startPage": 0, "maxPages": 100}]


def test_a_page_that_does_not_follow_ends_it() -> None:
    client = Client(2, endless=True)
    assert len(predict(client, "document", model())) == 2
    assert len(client.asked) == 1


def test_too_many_requests_are_waited_out_a_few_times(pauses: list[float]) -> None:
    assert len(predict(Client(1, busy=5), "document", model())) == 1
    assert pauses.count(preprocess.AGAIN_SECONDS) == 5
    with pytest.raises(las.client.TooManyRequestsException):
        predict(Client(1, busy=6), "document", model())


def test_a_prediction_that_fails_is_named() -> None:
    client = Client(1)
    client.get_prediction = lambda name: {"predictionId": name, "status": "failed", "error": "no pages"}  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="prediction-1 has failed: no pages"):
        predict(client, "document", model())

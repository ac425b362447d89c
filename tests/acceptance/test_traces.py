"""One trace shows a prediction from its request to its answer, through all processes."""

from __future__ import annotations

import itertools
import uuid

import httpx
import las

from examples.demo.sample_documents import sample_documents
from tests.acceptance.conftest import Trained
from tests.support.collector import Collector, ReceivedSpan
from tests.support.processes import eventually

CLIENTS_SPAN = "00f067aa0ba902b7"
CLOCKS = 0.005
"""Postgres and the processes read one clock, at different moments of what they tell of."""
PREDICTION = {
    "POST /v1/predictions": ("pagemill-api", None),
    "submit": ("pagemill-api", "POST /v1/predictions"),
    "queue prediction": ("pagemill-dispatcher", "POST /v1/predictions"),
    "run prediction": ("pagemill-dispatcher", "POST /v1/predictions"),
    "call reading": ("pagemill-dispatcher", "run prediction"),
    "read pages": ("pagemill-reading", "call reading"),
    "fetch content": ("pagemill-reading", "read pages"),
    "read part": ("pagemill-reading", "read pages"),
    "parse page": ("pagemill-reading", "read part"),
    "recognise page": ("pagemill-reading", "read part"),
    "store words": ("pagemill-reading", "read pages"),
    "call prediction": ("pagemill-dispatcher", "run prediction"),
    "find fields": ("pagemill-prediction", "call prediction"),
    "run model": ("pagemill-prediction", "find fields"),
    "post-process": ("pagemill-prediction", "find fields"),
    "write outcome": ("pagemill-dispatcher", "POST /v1/predictions"),
    "answer": ("pagemill-api", "POST /v1/predictions"),
}
"""Spans that each prediction of a new document has: their service, and what they belong to."""
HEARD_LATER = ("write outcome",)
"""The API hears of a commit at the same time as who has committed, and may have answered before."""
INSIDE_ONE_ANOTHER = [name for name, (_, parent) in PREDICTION.items() if parent is not None]
ONE_AFTER_THE_OTHER = [
    ("queue prediction", "run prediction", "write outcome"),
    ("call reading", "call prediction"),
    ("fetch content", "read part", "store words"),
    ("parse page", "recognise page"),
    ("run model", "post-process"),
]


def received(collector: Collector, trace_id: str, *names: str) -> list[ReceivedSpan]:
    """The spans of a trace, once those of these names are among them."""
    return eventually(
        lambda: collector.of_trace(trace_id),
        lambda spans: {*names} <= {span.name for span in spans},
        seconds=60,
    )


def test_a_trace_shows_a_prediction_from_its_request_to_its_answer(
    http: httpx.Client, client: las.Client, trained: Trained, collector: Collector
) -> None:
    [sample] = sample_documents(1, seed=77, scans_every=0)
    document_id = client.create_document(sample.content)["documentId"]
    trace_id = uuid.uuid4().hex

    answer = http.post(
        "/predictions",
        json={"documentId": document_id, "modelId": trained.model_id},
        headers={"traceparent": f"00-{trace_id}-{CLIENTS_SPAN}-01"},
    )

    assert answer.status_code == 200
    spans = received(collector, trace_id, *PREDICTION)
    found = {name: [span for span in spans if span.name == name] for name in PREDICTION}
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys(PREDICTION, 1)
    one = {name: each[0] for name, each in found.items()}
    assert {name: span.service for name, span in one.items()} == {
        name: service for name, (service, _) in PREDICTION.items()
    }
    request = one["POST /v1/predictions"]
    assert (request.parent_id, answer.headers["traceresponse"]) == (
        CLIENTS_SPAN,
        f"00-{trace_id}-{request.span_id}-01",
    )
    for name in INSIDE_ONE_ANOTHER:
        parent = one[PREDICTION[name][1] or ""]
        assert one[name].parent_id == parent.span_id, name
        assert parent.start - CLOCKS <= one[name].start <= one[name].end, name
        assert one[name].end <= parent.end + CLOCKS or name in HEARD_LATER, name
    for chain in ONE_AFTER_THE_OTHER:
        for first, second in itertools.pairwise(chain):
            assert one[first].end <= one[second].start + CLOCKS, (first, second)
    assert one["submit"].start <= one["queue prediction"].start + CLOCKS
    assert one["write outcome"].start <= one["answer"].start
    parts = ("submit", "queue prediction", "run prediction", "write outcome", "answer")
    whole = request.end - request.start
    assert sum(one[name].end - one[name].start for name in parts) <= 1.5 * whole
    assert one["run prediction"].attributes["pagemill.subject.id"] == answer.json()["predictionId"]
    assert not any(span.failed for span in spans)


def test_a_training_and_its_bundle_have_traces_too(trained: Trained, collector: Collector) -> None:
    for route, names in (
        ("POST /v1/models/{modelId}/dataBundles", {"run data-bundle", "bundle documents", "read documents"}),
        (
            "POST /v1/models/{modelId}/trainings",
            {"run training", "train", "gather", "fit", "work", "run epochs", "evaluate", "collect"},
        ),
    ):
        traces = [span.trace_id for span in collector.named(route)]
        assert any(names <= {span.name for span in collector.of_trace(trace)} for trace in traces), route


def test_traces_hold_nothing_of_documents_and_no_secret(
    client: las.Client, trained: Trained, collector: Collector
) -> None:
    secret = client.credentials.client_secret
    private = [str(secret), str(client.credentials.access_token)]
    for sample, _ in trained.documents:
        private += [str(label["value"]) for label in sample.ground_truth if isinstance(label["value"], str)]
    sent = b"\n".join(collector.bodies)
    assert len(private) > len(trained.documents)
    assert [text for text in private if len(text) > 6 and text.encode() in sent] == []

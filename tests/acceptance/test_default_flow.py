"""The flow of ``las workflows create-default`` runs to its end, with our own programs as its steps.

The programs are run as the container would run them, but as processes of this machine.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import las
import pytest

from tests.acceptance.conftest import Trained
from tests.support.command_line import CommandLine

ROOT = Path(__file__).parents[2]
Answer = dict[str, Any]


class Receiver(BaseHTTPRequestHandler):
    """Endpoint of a webhook, which refuses the first request of all."""

    received: list[Answer] = []  # noqa: RUF012 - of the server, which makes one of these for each request

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(json.loads(body))
        self.send_response(503 if len(self.received) == 1 else 200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def receiver() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Receiver) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/results"
        listening.shutdown()
        thread.join()


def run_step(client: las.Client, execution: Answer, transition_id: str, program: str) -> Answer:
    """Run the program of the newest step of a transition, and return how the step has ended."""
    execution = client.get_workflow_execution(execution["workflowId"], execution["executionId"])
    step_id = execution["transitionExecutions"][transition_id][-1]
    parameters = client.get_transition(transition_id)["parameters"]
    environment = {"TRANSITION_ID": transition_id, "EXECUTION_ID": step_id, **parameters["environment"]}
    done = subprocess.run(
        [sys.executable, "-m", f"default_flow.{program}"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    step: Answer = client.get_transition_execution(transition_id, step_id)
    assert step["status"] == "succeeded", done.stderr
    return step


def test_the_default_flow_runs_to_its_end(
    client: las.Client, cli: CommandLine, trained: Trained, receiver: str
) -> None:
    created = cli("workflows", "create-default", "Flow", "--from-model-id", trained.model_id)
    ours = {
        one["name"].split()[0]: one
        for one in client.list_transitions(max_results=1000)["transitions"]
        if one["description"] == created["description"]
    }
    read, write, review = (ours[name]["transitionId"] for name in ("Preprocess", "Postprocess", "Flow"))
    environment = ours["Postprocess"]["parameters"]["environment"]
    asset_id, dataset_id = environment["FORM_CONFIG_ASSET_ID"], environment["DATASET_ID"]
    client.update_transition(write, environment={**environment, "WEBHOOK_URI": receiver})
    sample, document_id = trained.documents[0]
    form = json.loads(base64.b64decode(client.get_asset(asset_id)["content"]))

    # Nobody is asked: no confidence is too low.
    set_threshold(client, asset_id, form, 0.0)
    execution = client.execute_workflow(created["workflowId"], {"documentId": document_id, "title": "One"})
    first = run_step(client, execution, read, "preprocess")
    labels = {one["label"] for one in first["output"]["predictions"]}
    assert (first["output"]["needsValidation"], first["output"]["title"]) == (False, "One")
    assert labels <= form["config"]["fields"].keys()
    last = run_step(client, execution, write, "postprocess")
    assert last["output"]["values"].keys() == labels
    ended = client.get_workflow_execution(created["workflowId"], execution["executionId"])
    assert (ended["status"], ended["output"]) == ("succeeded", last["output"])
    assert review not in ended["transitionExecutions"]
    assert Receiver.received == [last["output"]] * 2

    # A person is asked: none is high enough.
    set_threshold(client, asset_id, form, 1.01)
    execution = client.execute_workflow(created["workflowId"], {"documentId": document_id})
    assert run_step(client, execution, read, "preprocess")["output"]["needsValidation"] is True
    claimed = client.execute_transition(review)
    label = next(iter(form["config"]["fields"]))
    output = {**claimed["input"], "verified": {label: "as a person reads it"}}
    client.update_transition_execution(review, claimed["executionId"], "succeeded", output=output)
    last = run_step(client, execution, write, "postprocess")
    assert last["output"]["values"][label] == "as a person reads it"
    document = client.get_document(document_id)
    truth = {one["label"]: one for one in document["groundTruth"]}
    assert truth[label] == {"label": label, "value": "as a person reads it", "confidence": 1.0}
    assert (document["datasetId"], truth.keys()) == (dataset_id, labels | {label})
    ended = client.get_workflow_execution(created["workflowId"], execution["executionId"])
    assert ended["status"] == "succeeded"

    # What it has made goes, and the document goes back to where others look for it.
    client.update_document(document_id, ground_truth=sample.ground_truth, dataset_id=trained.dataset_id)
    client.delete_workflow(created["workflowId"])
    for one in ours.values():
        client.delete_transition(one["transitionId"])


def set_threshold(client: las.Client, asset_id: str, form: Answer, threshold: float) -> None:
    for field in form["config"]["fields"].values():
        field["confidenceLevels"]["automated"] = threshold
    client.update_asset(asset_id, content=json.dumps(form).encode())

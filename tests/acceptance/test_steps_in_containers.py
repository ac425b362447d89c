"""``pagemill up`` with an engine: a step from the API to its log, and the default flow in its own images.

They need an engine, and the flow a base image: ``PAGEMILL_CONTAINER_BASE``.
"""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import las
import pytest

from examples.local_stack import LocalStack, local_stack
from tests.acceptance.conftest import Trained, train_model
from tests.acceptance.test_default_flow import Receiver, set_threshold
from tests.support.command_line import CommandLine
from tests.support.directories import temporary_directory
from tests.support.manifests.documents import DEPLOY, ROOT
from tests.support.manifests.engine import Engine, EngineMissing
from tests.support.processes import eventually
from tests.support.step_engine import IMAGE, NETWORK, ULIMITS, StepEngine, missing_engine, step_engine

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
Answer = dict[str, Any]
STEPS = {"preprocess": "localhost/pagemill-preprocess:1", "postprocess": "localhost/pagemill-postprocess:1"}
FLOW_SECONDS = 300.0


@pytest.fixture(scope="module")
def podman() -> Iterator[StepEngine]:
    if reason := missing_engine():
        pytest.skip(reason)
    with step_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def own_stack(podman: StepEngine) -> Iterator[LocalStack]:
    """A stack with an engine; the official clients in this process use it."""
    settings = {
        "PAGEMILL_TRAINING_BUDGET": "40",
        "PAGEMILL_CONTAINER_ENGINE_URL": podman.url,
        "PAGEMILL_CONTAINER_NETWORK": NETWORK,
        "PAGEMILL_CONTAINER_ULIMITS": ULIMITS,
        "PAGEMILL_STEP_IMAGES": ",".join(f"lucidtechai/{name}={image}" for name, image in STEPS.items()),
    }
    with (
        temporary_directory("pagemill-") as directory,
        local_stack(directory / "data", settings=settings) as running,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in running.environment.items():
            environment.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def own_client(own_stack: LocalStack) -> las.Client:
    return las.Client()


@pytest.fixture(scope="module")
def step_images(podman: StepEngine) -> None:
    """The images of the default flow, of this repository, in the engine."""
    with temporary_directory("pagemill-images-") as directory:
        builder = Engine("podman", directory, options=podman.options)
        try:
            base = builder.base()
        except EngineMissing as missing:
            pytest.skip(str(missing))
        tree = directory / "tree"
        shutil.copytree(DEPLOY / "containers", tree / "deploy" / "containers")
        shutil.copytree(ROOT / "default_flow", tree / "default_flow")
        file = tree / "deploy" / "containers" / "Containerfile.default-flow"
        for step, image in STEPS.items():
            builder.build(file, tree, image.removeprefix("localhost/"), BASE=base, STEP=step)


@pytest.fixture
def receiver(podman: StepEngine, own_stack: LocalStack) -> Iterator[str]:
    """Endpoint of a webhook, on the address by which containers reach this machine."""
    Receiver.received.clear()
    with HTTPServer(("0.0.0.0", 0), Receiver) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://{podman.gateway}:{listening.server_port}/results"
        listening.shutdown()
        thread.join()


def log_of(client: las.Client, log_id: str) -> list[str]:
    return [event["message"] for event in client.get_log(log_id)["events"]]


def test_a_step_runs_from_the_api_to_its_log(own_stack: LocalStack, own_client: las.Client) -> None:
    part = own_stack.status()["parts"]["containers"]
    assert part["status"] == "up"
    assert part["detail"].startswith(("Podman ", "Docker "))
    program = """
import las

@las.transition_handler
def handler(client, event):
    print('adds to', event['number'])
    return {'number': event['number'] + 1}

handler()
"""
    parameters = {"imageUrl": IMAGE, "cpu": 1024, "environment": {"PROGRAM": program}}
    transition_id = own_client.create_transition("docker", parameters=parameters)["transitionId"]
    states = {"Add": {"Type": "Task", "Resource": transition_id, "End": True}}
    workflow = own_client.create_workflow({"definition": {"StartAt": "Add", "States": states}})
    execution = own_client.execute_workflow(workflow["workflowId"], {"number": 1})
    ended = until_ended(own_client, execution)

    assert ended["status"] == "succeeded"
    assert ended["output"] == {"number": 2}
    [step_id] = ended["transitionExecutions"][transition_id]
    step = own_client.get_transition_execution(transition_id, step_id)
    # It has reported before its container has ended.
    eventually(lambda: log_of(own_client, step["logId"]), lambda log: "adds to 1" in log, seconds=60)


def until_ended(client: las.Client, execution: Answer) -> Answer:
    def current() -> Answer:
        found: Answer = client.get_workflow_execution(execution["workflowId"], execution["executionId"])
        return found

    return eventually(current, lambda found: found["status"] != "running", seconds=FLOW_SECONDS, pause=0.5)


def test_the_default_flow_runs_in_containers(
    podman: StepEngine,
    step_images: None,
    own_client: las.Client,
    receiver: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways through it: a document that nobody has to look at, and one that a person validates."""
    monkeypatch.setenv("HOME", str(tmp_path))
    cli = CommandLine(tmp_path)
    trained: Trained = train_model(own_client)
    created = cli("workflows", "create-default", "Flow", "--from-model-id", trained.model_id)
    ours = {
        one["name"].split()[0]: one
        for one in cli("transitions", "list", "-m", 1000)["transitions"]
        if one["description"] == created["description"]
    }
    write, review = (ours[name]["transitionId"] for name in ("Postprocess", "Flow"))
    environment = ours["Postprocess"]["parameters"]["environment"]
    variables = cli.file("environment.json", {**environment, "WEBHOOK_URI": receiver})
    cli("transitions", "update", write, "--environment", variables)
    asset = own_client.get_asset(environment["FORM_CONFIG_ASSET_ID"])
    form = json.loads(base64.b64decode(asset["content"]))
    _, document_id = trained.documents[0]
    data = cli.file("input.json", {"documentId": document_id, "title": "One"})

    set_threshold(own_client, environment["FORM_CONFIG_ASSET_ID"], form, 0.0)
    execution = cli("workflows", "execute", created["workflowId"], data)
    ended = until_ended(own_client, execution)
    assert ended["status"] == "succeeded", explained(own_client, ended)
    assert review not in ended["transitionExecutions"]
    # The first request of all is refused.
    assert Receiver.received == [ended["output"]] * 2

    set_threshold(own_client, environment["FORM_CONFIG_ASSET_ID"], form, 1.01)
    execution = cli("workflows", "execute", created["workflowId"], data)
    claimed = eventually(lambda: claim(own_client, review), bool, seconds=FLOW_SECONDS, pause=0.5)
    assert claimed["input"]["needsValidation"] is True
    label = next(iter(form["config"]["fields"]))
    output = {**claimed["input"], "verified": {label: "as a person reads it"}}
    own_client.update_transition_execution(review, claimed["executionId"], "succeeded", output=output)
    ended = until_ended(own_client, execution)
    assert ended["status"] == "succeeded", explained(own_client, ended)
    assert ended["output"]["values"][label] == "as a person reads it"
    assert Receiver.received[2:] == [ended["output"]]
    truth = {one["label"]: one for one in own_client.get_document(document_id)["groundTruth"]}
    assert truth[label] == {"label": label, "value": "as a person reads it", "confidence": 1.0}
    eventually(podman.containers, lambda left: left == [], seconds=60)


def claim(client: las.Client, transition_id: str) -> Answer | None:
    """Take the next manual step, None while there is none."""
    try:
        claimed: Answer = client.execute_transition(transition_id)
    except las.client.NotFound:
        return None
    return claimed


def explained(client: las.Client, execution: Answer) -> str:
    """Return what its steps have said."""
    return "\n".join(
        json.dumps(client.get_transition_execution(transition_id, step_id).get("error"))
        for transition_id, steps in execution["transitionExecutions"].items()
        for step_id in steps
    )

"""Transitions and their executions through the Python SDK."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import las
import pytest
from las.client import BadRequest, NotFound

from tests.support.clients import Answer, listed, pages

UNKNOWN_TRANSITION = "las:transition:" + "0" * 32
UNKNOWN_EXECUTION = "las:transition-execution:" + "0" * 32
IMAGE = "registry.example.com/team/step:v1"


@pytest.fixture
def secret_id(client: las.Client) -> Iterator[str]:
    secret: Answer = client.create_secret({"username": "u", "password": "p"})
    yield secret["secretId"]
    client.delete_secret(secret["secretId"])


@dataclass(frozen=True)
class Queue:
    """A manual transition, and the workflow whose executions wait for it."""

    client: las.Client
    transition_id: str
    workflow_id: str

    def claim(self) -> Answer:
        """Start an execution of the workflow and claim its only step."""
        self.client.execute_workflow(self.workflow_id, {})
        claimed: Answer = self.client.execute_transition(self.transition_id)
        return claimed


@pytest.fixture
def queue(client: las.Client) -> Iterator[Queue]:
    transition_id = client.create_transition("manual")["transitionId"]
    task = {"Type": "Task", "Resource": transition_id, "End": True}
    definition = {"StartAt": "Only", "States": {"Only": task}}
    workflow_id = client.create_workflow({"definition": definition})["workflowId"]
    yield Queue(client, transition_id, workflow_id)
    for execution in listed(
        lambda **page: client.list_workflow_executions(workflow_id, **page), "executions"
    ):
        client.delete_workflow_execution(workflow_id, execution["executionId"])
    client.delete_workflow(workflow_id)
    client.delete_transition(transition_id)


def test_a_docker_transition_is_created_changed_and_deleted(client: las.Client, secret_id: str) -> None:
    before = client.get_organization("me")["numberOfTransitionsCreated"]
    parameters = {
        "imageUrl": IMAGE,
        "cpu": 256,
        "memory": 512,
        "environment": {"A": "1"},
        "environmentSecrets": [secret_id],
        "secretId": secret_id,
    }
    created = client.create_transition("docker", parameters=parameters, name="Step", timeoutInSeconds=60)
    transition_id = created["transitionId"]

    assert (created["transitionType"], created["name"]) == ("docker", "Step")
    assert (created["parameters"], created["timeoutInSeconds"]) == (parameters, 60)
    assert client.get_transition(transition_id) == created
    assert client.get_organization("me")["numberOfTransitionsCreated"] == before + 1
    with pytest.raises(BadRequest):
        client.delete_secret(secret_id)

    bigger = client.update_transition(
        transition_id, cpu=1024, memory=8192, image_url=f"{IMAGE}.1", environment={"B": "2"}, name=None
    )
    assert bigger["name"] is None
    assert bigger["parameters"] == parameters | {
        "cpu": 1024,
        "memory": 8192,
        "imageUrl": f"{IMAGE}.1",
        "environment": {"B": "2"},
    }
    cleared = client.update_transition(
        transition_id, environment=None, environment_secrets=None, secret_id=None, description="plain"
    )["parameters"]
    assert (cleared["cpu"], cleared["memory"], cleared["imageUrl"]) == (1024, 8192, f"{IMAGE}.1")
    assert not any(cleared.get(name) for name in ("environment", "environmentSecrets", "secretId"))
    with pytest.raises(BadRequest, match="imageUrl"):
        client.update_transition(transition_id, image_url="https://")
    with pytest.raises(BadRequest, match="cpu"):
        client.update_transition(transition_id, cpu=3)

    assert client.delete_transition(transition_id)["transitionId"] == transition_id
    for unknown in (transition_id, UNKNOWN_TRANSITION):
        with pytest.raises(NotFound, match=unknown):
            client.get_transition(unknown)
    assert client.get_organization("me")["numberOfTransitionsCreated"] == before


def test_transitions_are_listed_by_type(client: las.Client) -> None:
    asset_id = client.create_asset(b"{}!")["assetId"]
    manual = client.create_transition("manual", parameters={"assets": {"formConfig": asset_id}})[
        "transitionId"
    ]
    function = client.create_transition("lambda", parameters={"lambdaId": "las:lambda:step:1"})[
        "transitionId"
    ]
    mine = {manual, function}

    def found(kind: list[str] | None) -> set[str]:
        items = [
            item
            for page in pages(
                lambda **page: client.list_transitions(transition_type=kind, **page), "transitions", 1
            )
            for item in page
        ]
        return {item["transitionId"] for item in items} & mine

    assert found(None) == mine
    assert found(["manual"]) == {manual}
    assert found(["manual", "lambda"]) == mine
    assert client.list_transitions(transition_type=["docker"])["transitionType"] == ["docker"]
    replaced = client.update_transition(manual, assets={"jsRemoteComponent": asset_id})
    assert replaced["parameters"]["assets"] == {"jsRemoteComponent": asset_id}
    with pytest.raises(BadRequest):
        client.delete_asset(asset_id)
    with pytest.raises(BadRequest, match="assets"):
        client.update_transition(manual, assets={"formConfig": "las:asset:" + "0" * 32})

    for transition_id in sorted(mine):
        client.delete_transition(transition_id)
    client.delete_asset(asset_id)


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("docker", {}, "imageUrl"),
        ("docker", {"imageUrl": IMAGE, "memory": 3}, "memory"),
        (
            "docker",
            {"imageUrl": IMAGE, "environmentSecrets": ["las:secret:" + "0" * 32]},
            "environmentSecrets",
        ),
        ("lambda", {"lambdaId": "step"}, "lambdaId"),
        ("email", None, "transitionType"),
    ],
)
def test_a_transition_that_makes_no_sense_is_refused(
    client: las.Client, kind: str, parameters: dict[str, object] | None, named: str
) -> None:
    with pytest.raises(BadRequest, match=named):
        client.create_transition(kind, parameters=parameters)


def test_an_execution_runs_lives_and_ends(client: las.Client, queue: Queue) -> None:
    before = client.get_organization("me")["monthlyNumberOfTransitionExecutionsCreated"]
    created, manual = queue.claim(), queue.transition_id
    execution_id = created["executionId"]

    assert (created["status"], created["transitionId"]) == ("running", manual)
    assert client.get_transition_execution(manual, execution_id)["status"] == "running"
    assert client.send_heartbeat(manual, execution_id) == {"Your request executed successfully": "204"}
    started = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))
    ended = client.update_transition_execution(
        manual, execution_id, "succeeded", output={"needsValidation": False}, start_time=started
    )

    assert (ended["status"], ended["output"]) == ("succeeded", {"needsValidation": False})
    assert ended["startTime"] == "2024-05-01T17:00:00.000000+0000"
    assert ended["completedBy"] is not None
    assert ended["endTime"] is not None
    with pytest.raises(BadRequest):
        client.update_transition_execution(manual, execution_id, "failed", error={"message": "too late"})
    with pytest.raises(BadRequest):
        client.send_heartbeat(manual, execution_id)
    with pytest.raises(NotFound, match=UNKNOWN_EXECUTION):
        client.get_transition_execution(manual, UNKNOWN_EXECUTION)
    grown = client.get_organization("me")["monthlyNumberOfTransitionExecutionsCreated"]
    assert grown == before + 1


@pytest.mark.parametrize("status", ["failed", "rejected", "retry"])
def test_an_execution_ends_with_an_error(client: las.Client, queue: Queue, status: str) -> None:
    execution_id, manual = queue.claim()["executionId"], queue.transition_id

    with pytest.raises(BadRequest, match="status"):
        client.update_transition_execution(manual, execution_id, "done")
    ended = client.update_transition_execution(manual, execution_id, status, error={"message": "no luck"})

    assert (ended["status"], ended["output"]) == (status, None)


def test_executions_are_filtered_ordered_and_paged(client: las.Client, queue: Queue) -> None:
    created, manual = [queue.claim()["executionId"] for _ in range(4)], queue.transition_id
    for execution_id in created[::2]:
        client.update_transition_execution(manual, execution_id, "succeeded", output={})

    def found(**filters: object) -> list[str]:
        items = listed(
            lambda **page: client.list_transition_executions(manual, **filters, **page), "executions", 1
        )
        return [item["executionId"] for item in items]

    assert found() == created
    assert found(status="running") == created[1::2]
    assert found(status=["running", "succeeded"], sort_by="startTime", order="descending") == created[::-1]
    assert found(execution_id=created[:2]) == created[:2]
    assert found(execution_id=created[:2], status="succeeded") == created[:1]
    assert found(status="succeeded", sort_by="endTime", order="descending") == [created[2], created[0]]
    answer = client.list_transition_executions(manual, status=["failed"])
    assert (answer["status"], answer["transitionId"], answer["executions"]) == (["failed"], manual, [])


def test_nothing_waits_for_a_human(client: las.Client) -> None:
    manual = client.create_transition("manual")["transitionId"]

    with pytest.raises(NotFound):
        client.execute_transition(manual)

    client.delete_transition(manual)

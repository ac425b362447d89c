"""Workflows, their executions and their logs through the Python SDK."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import las
import pytest
from las.client import BadRequest, EmptyRequestError, NotFound

from tests.support.clients import Answer, listed, pages
from tests.support.processes import eventually

UNKNOWN_WORKFLOW = "las:workflow:" + "0" * 32
UNKNOWN_EXECUTION = "las:workflow-execution:" + "0" * 32
UNKNOWN_LOG = "las:log:" + "0" * 32
COMMONS_FAILED = "las:transition:commons-failed"


def one_step(transition_id: str) -> Answer:
    """A state machine of a single task."""
    return {
        "definition": {
            "StartAt": "Only",
            "States": {"Only": {"Type": "Task", "Resource": transition_id, "End": True}},
        }
    }


@pytest.fixture
def manual(client: las.Client) -> Iterator[str]:
    transition: Answer = client.create_transition("manual")
    yield transition["transitionId"]
    client.delete_transition(transition["transitionId"])


@pytest.fixture
def workflow_id(client: las.Client, manual: str) -> Iterator[str]:
    workflow: Answer = client.create_workflow(one_step(manual))
    yield workflow["workflowId"]
    for execution in listed(
        lambda **page: client.list_workflow_executions(workflow["workflowId"], **page), "executions"
    ):
        client.delete_workflow_execution(workflow["workflowId"], execution["executionId"])
    client.delete_workflow(workflow["workflowId"])


def test_a_workflow_is_created_read_changed_and_deleted(client: las.Client, manual: str) -> None:
    before = client.get_organization("me")["numberOfWorkflowsCreated"]
    secret_id = client.create_secret({"LAS_CLIENT_ID": "x"})["secretId"]
    completed = {"imageUrl": "registry.example.com/team/done:v1", "environment": {"A": "1"}}
    created = client.create_workflow(
        one_step(manual),
        name="Approval",
        description="of invoices",
        metadata={"a": 1},
        email_config={"secretId": secret_id, "allowedOrigins": [".+@example.com"]},
        error_config={"email": "ops@example.com", "manualRetry": True},
        completed_config=completed,
    )
    workflow_id = created["workflowId"]

    assert (created["name"], created["description"], created["metadata"]) == (
        "Approval",
        "of invoices",
        {"a": 1},
    )
    assert (created["status"], created["numberOfRunningExecutions"]) == ("development", 0)
    assert created["completedConfig"] == completed
    assert created["errorConfig"] == {"email": "ops@example.com", "manualRetry": True}
    assert created["emailConfig"]["email"]
    assert "specification" not in created
    assert client.get_workflow(workflow_id) == created
    assert client.get_organization("me")["numberOfWorkflowsCreated"] == before + 1
    with pytest.raises(BadRequest):
        client.delete_transition(manual)
    with pytest.raises(BadRequest):
        client.delete_secret(secret_id)

    changed = client.update_workflow(
        workflow_id,
        name=None,
        metadata={"b": 2},
        status="production",
        email_config=None,
        error_config={"manualRetry": False},
        completed_config={"imageUrl": "registry.example.com/team/done:v2"},
    )
    assert (changed["name"], changed["metadata"], changed["status"]) == (None, {"b": 2}, "production")
    assert (changed["emailConfig"], changed["errorConfig"]) == (None, {"manualRetry": False})
    assert changed["completedConfig"] == {"imageUrl": "registry.example.com/team/done:v2"}

    assert client.delete_workflow(workflow_id)["workflowId"] == workflow_id
    for unknown in (workflow_id, UNKNOWN_WORKFLOW):
        with pytest.raises(NotFound, match=unknown):
            client.get_workflow(unknown)
    client.delete_secret(secret_id)
    assert client.get_organization("me")["numberOfWorkflowsCreated"] == before


def test_workflows_are_listed_page_by_page(client: las.Client, manual: str) -> None:
    created = [
        client.create_workflow(one_step(manual), name=f"{number}")["workflowId"] for number in range(3)
    ]

    found = [
        workflow["workflowId"] for page in pages(client.list_workflows, "workflows", 1) for workflow in page
    ]

    assert [workflow_id for workflow_id in found if workflow_id in created] == created
    for workflow_id in created:
        client.delete_workflow(workflow_id)


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"StartAt": "Missing", "States": {"Only": {"Type": "Succeed"}}},
        {
            "StartAt": "Only",
            "States": {"Only": {"Type": "Task", "Resource": "las:transition:" + "0" * 32, "End": True}},
        },
    ],
)
def test_a_definition_that_leads_nowhere_is_refused(client: las.Client, definition: Answer) -> None:
    with pytest.raises(BadRequest, match="definition"):
        client.create_workflow({"definition": definition})


def test_an_execution_is_started_read_and_deleted(client: las.Client, workflow_id: str) -> None:
    before = client.get_organization("me")["monthlyNumberOfWorkflowExecutionsCreated"]
    created = client.execute_workflow(workflow_id, {"title": "May", "documentId": "1"})
    execution_id = created["executionId"]

    assert (created["status"], created["output"], created["workflowId"]) == ("running", None, workflow_id)
    assert created["input"] == {"title": "May", "documentId": "1"}
    shown = client.get_workflow_execution(workflow_id, execution_id)
    assert (shown["executionId"], shown["startTime"]) == (execution_id, created["startTime"])
    assert client.get_workflow(workflow_id)["numberOfRunningExecutions"] == 1
    assert client.get_organization("me")["monthlyNumberOfWorkflowExecutionsCreated"] == before + 1
    with pytest.raises(BadRequest):
        client.delete_workflow(workflow_id)
    with pytest.raises(BadRequest):
        client.update_workflow_execution(workflow_id, execution_id, status="completed")
    with pytest.raises(EmptyRequestError):
        client.update_workflow_execution(workflow_id, execution_id)

    failed = client.update_workflow_execution(workflow_id, execution_id, next_transition_id=COMMONS_FAILED)
    assert failed["status"] == "failed"
    assert failed["endTime"] is not None
    assert client.get_workflow(workflow_id)["numberOfRunningExecutions"] == 0
    assert client.delete_workflow_execution(workflow_id, execution_id)["executionId"] == execution_id
    for unknown in (execution_id, UNKNOWN_EXECUTION):
        with pytest.raises(NotFound, match=unknown):
            client.get_workflow_execution(workflow_id, unknown)


def test_a_person_finishes_an_execution(client: las.Client, workflow_id: str, manual: str) -> None:
    execution_id = client.execute_workflow(workflow_id, {"documentId": "1"})["executionId"]
    claimed = client.execute_transition(manual)

    assert claimed["input"] == {"documentId": "1"}
    assert client.get_workflow_execution(workflow_id, execution_id)["status"] == "running"
    with pytest.raises(NotFound):
        client.execute_transition(manual)
    client.send_heartbeat(manual, claimed["executionId"])
    client.update_transition_execution(manual, claimed["executionId"], "succeeded", output={"verified": True})

    ended = client.get_workflow_execution(workflow_id, execution_id)
    assert (ended["status"], ended["output"]) == ("succeeded", {"verified": True})
    assert ended["transitionExecutions"] == {manual: [claimed["executionId"]]}
    completed = client.update_workflow_execution(workflow_id, execution_id, status="completed")
    assert completed["status"] == "completed"
    assert completed["completedBy"] == [completed["createdBy"]]
    again = client.update_workflow_execution(workflow_id, execution_id, status="succeeded")
    assert again["status"] == "succeeded"


def test_an_execution_that_failed_waits_for_a_person(client: las.Client, manual: str) -> None:
    workflow_id = client.create_workflow(one_step(manual), error_config={"manualRetry": True})["workflowId"]
    execution_id = client.execute_workflow(workflow_id, {"documentId": "1"})["executionId"]
    first = client.execute_transition(manual)["executionId"]

    client.update_transition_execution(manual, first, "failed", error={"message": "no luck"})
    assert client.get_workflow_execution(workflow_id, execution_id)["status"] == "retry"
    resumed = client.update_workflow_execution(workflow_id, execution_id, next_transition_id=manual)
    assert resumed["status"] == "running"
    second = client.execute_transition(manual)["executionId"]
    client.update_transition_execution(manual, second, "rejected", error={"message": "not ours"})

    ended = client.get_workflow_execution(workflow_id, execution_id)
    assert (ended["status"], ended["transitionExecutions"]) == ("rejected", {manual: [first, second]})
    client.delete_workflow_execution(workflow_id, execution_id)
    client.delete_workflow(workflow_id)


def test_executions_are_filtered_ordered_and_paged(client: las.Client, workflow_id: str) -> None:
    created = [client.execute_workflow(workflow_id, {"number": number}) for number in range(4)]
    ids = [execution["executionId"] for execution in created]
    client.update_workflow_execution(workflow_id, ids[0], next_transition_id=COMMONS_FAILED)

    def found(**filters: object) -> list[str]:
        items = listed(
            lambda **page: client.list_workflow_executions(workflow_id, **filters, **page), "executions", 1
        )
        return [item["executionId"] for item in items]

    third = datetime.datetime.strptime(created[2]["startTime"], "%Y-%m-%dT%H:%M:%S.%f%z")
    west = third.astimezone(datetime.timezone(datetime.timedelta(hours=-5)))
    assert found() == ids
    assert found(sort_by="startTime", order="descending") == ids[::-1]
    assert found(status="failed") == ids[:1]
    assert found(status=["failed", "running"]) == ids
    assert found(from_start_time=west) == ids[2:]
    assert set(found(to_start_time=created[1]["startTime"])) >= set(ids[:1])
    assert found(from_start_time=west, to_start_time=west - datetime.timedelta(seconds=60)) == []
    answer = client.list_workflow_executions(
        workflow_id, status=["running"], sort_by="endTime", order="ascending"
    )
    assert (answer["workflowId"], answer["status"]) == (workflow_id, ["running"])
    assert (answer["sortBy"], answer["order"]) == ("endTime", "ascending")


def test_an_input_that_is_too_large_is_refused(client: las.Client, workflow_id: str) -> None:
    with pytest.raises(BadRequest, match="input"):
        client.execute_workflow(workflow_id, {"text": "x" * 300_000})
    assert client.list_workflow_executions(workflow_id)["executions"] == []


def test_an_execution_has_a_log(client: las.Client, workflow_id: str) -> None:
    execution_id = client.execute_workflow(workflow_id, {})["executionId"]

    def logs() -> list[Answer]:
        return listed(
            lambda **page: client.list_logs(
                workflow_id=workflow_id, workflow_execution_id=execution_id, **page
            ),
            "logs",
            1,
        )

    [log, *_] = eventually(logs, bool, seconds=30)
    shown = client.get_log(log["logId"])
    assert (shown["workflowId"], shown["workflowExecutionId"]) == (workflow_id, execution_id)
    assert isinstance(shown["events"], list)
    assert client.list_logs(workflow_id=UNKNOWN_WORKFLOW)["logs"] == []
    filters = {
        "transition_id": "las:transition:" + "0" * 32,
        "transition_execution_id": "las:transition-execution:" + "0" * 32,
    }
    answer = client.list_logs(workflow_id=workflow_id, **filters)
    assert (answer["logs"], answer["workflowId"]) == ([], workflow_id)
    with pytest.raises(NotFound, match=UNKNOWN_LOG):
        client.get_log(UNKNOWN_LOG)
    client.update_workflow_execution(workflow_id, execution_id, next_transition_id=COMMONS_FAILED)

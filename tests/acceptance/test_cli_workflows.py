"""``las transitions``, ``workflows`` and ``logs``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from las.client import BadRequest, NotFound

from tests.support.command_line import CommandLine
from tests.support.processes import eventually

IMAGE = "registry.example.com/team/step:v1"
COMMONS_FAILED = "las:transition:commons-failed"
FIELDS = {"total": {"type": "amount"}, "supplier": {"type": "string", "description": "who sells"}}


def test_transitions(cli: CommandLine) -> None:
    secret_id = cli("secrets", "create", "--secret-data", "username=u", "password=p")["secretId"]
    asset_id = cli("assets", "create", cli.file("form.json", {"version": "v1"}))["assetId"]
    parameters = cli.file("p.json", {"imageUrl": IMAGE, "cpu": 256, "memory": 512})
    docker = cli("transitions", "create", "docker", "-p", parameters, "--name", "S", "--description", "d")
    manual = cli("transitions", "create", "manual")
    docker_id, manual_id = docker["transitionId"], manual["transitionId"]

    changed = cli(
        *("transitions", "update", docker_id, "--name", "null", "--image-url", f"{IMAGE}.1", "--cpu", 1024),
        *("--memory", 8192, "--secret-id", secret_id, "--environment-secrets", secret_id),
        *("--environment", cli.file("e.json", {"A": "1"})),
    )
    assert (changed["name"], changed["description"]) == (None, "d")
    assert changed["parameters"] == {
        "imageUrl": f"{IMAGE}.1",
        "cpu": 1024,
        "memory": 8192,
        "secretId": secret_id,
        "environmentSecrets": [secret_id],
        "environment": {"A": "1"},
    }
    cleared = cli(
        *("transitions", "update", docker_id, "--secret-id", "null", "--environment-secrets", "null"),
        *("--environment", "null"),
    )["parameters"]
    assert not any(cleared.get(name) for name in ("secretId", "environmentSecrets", "environment"))
    assets = cli.file("assets.json", {"formConfig": asset_id})
    assert cli("transitions", "update", manual_id, "--assets", assets)["parameters"]["assets"] == {
        "formConfig": asset_id
    }
    assert cli("transitions", "get", docker_id)["parameters"] == cleared
    listed = cli("transitions", "list", "-m", 1000, "--transition-type", "manual", "docker")
    assert listed["transitionType"] == ["manual", "docker"]
    assert {docker_id, manual_id} <= {item["transitionId"] for item in listed["transitions"]}
    for each in (docker_id, manual_id):
        assert cli("transitions", "delete", each)["transitionId"] == each
    with pytest.raises(NotFound, match=docker_id):
        cli("transitions", "get", docker_id)
    cli("secrets", "delete", secret_id)
    cli("assets", "delete", asset_id)


def test_executions_of_a_transition(cli: CommandLine) -> None:
    transition_id = cli("transitions", "create", "manual")["transitionId"]
    states = {"Only": {"Type": "Task", "Resource": transition_id, "End": True}}
    specification = cli.file("w.json", {"definition": {"StartAt": "Only", "States": states}})
    workflow_id = cli("workflows", "create", specification)["workflowId"]
    started = [
        cli("workflows", "execute", workflow_id, cli.file("i.json", {}))["executionId"] for _ in range(2)
    ]
    first, second = (cli("transitions", "execute", transition_id)["executionId"] for _ in range(2))

    assert cli("transitions", "heartbeat", transition_id, first) == {
        "Your request executed successfully": "204"
    }
    ended = cli(
        *("transitions", "update-execution", transition_id, first, "succeeded"),
        *("--output", cli.file("o.json", {"a": 1}), "--start-time", "2024-05-01T12:00:00-05:00"),
    )
    assert (ended["status"], ended["output"]) == ("succeeded", {"a": 1})
    failed = cli(
        *("transitions", "update-execution", transition_id, second, "failed"),
        *("--error", cli.file("e.json", {"message": "no luck"})),
    )
    assert failed["status"] == "failed"
    assert cli("transitions", "get-execution", transition_id, first)["output"] == {"a": 1}
    listed = cli(
        *("transitions", "list-executions", transition_id, "--execution-id", first, second, "-m", 10),
        *("--status", "failed", "running", "--sort-by", "endTime", "--order", "ascending"),
    )
    assert [execution["executionId"] for execution in listed["executions"]] == [second]
    for execution_id in started:
        cli("workflows", "delete-execution", workflow_id, execution_id)
    cli("workflows", "delete", workflow_id)
    cli("transitions", "delete", transition_id)


def test_workflows_and_their_logs(cli: CommandLine) -> None:
    transition_id = cli("transitions", "create", "manual")["transitionId"]
    secret_id = cli("secrets", "create", "--secret-data", "LAS_CLIENT_ID=x")["secretId"]
    states = {"Only": {"Type": "Task", "Resource": transition_id, "End": True}}
    specification = cli.file("w.json", {"definition": {"StartAt": "Only", "States": states}})
    created = cli(
        *("workflows", "create", specification, "--name", "W", "--description", "d"),
        *("--email-config", f'{{"secretId": "{secret_id}"}}', "--error-config", '{"manualRetry": true}'),
        *("--completed-config", f'{{"imageUrl": "{IMAGE}"}}', "--metadata", '{"a": 1}'),
    )
    workflow_id = created["workflowId"]

    assert created["emailConfig"]["secretId"] == secret_id
    changed = cli(
        *("workflows", "update", workflow_id, "--name", "null", "--email-config", "null"),
        *(
            "--error-config",
            '{"email": "ops@example.com"}',
            "--completed-config",
            f'{{"imageUrl": "{IMAGE}.1"}}',
        ),
        *("--metadata", '{"b": 2}', "--status", "production"),
    )
    assert (changed["name"], changed["description"], changed["emailConfig"]) == (None, "d", None)
    assert (changed["status"], changed["metadata"]) == ("production", {"b": 2})
    assert cli("workflows", "get", workflow_id) == changed
    listed = cli("workflows", "list", "-m", 1000)["workflows"]
    assert workflow_id in {workflow["workflowId"] for workflow in listed}

    execution = cli("workflows", "execute", workflow_id, cli.file("i.json", {"title": "May"}))
    execution_id = execution["executionId"]
    assert execution["status"] == "running"
    assert cli("workflows", "get-execution", workflow_id, execution_id)["input"] == {"title": "May"}
    found = cli(
        *("workflows", "list-executions", workflow_id, "--status", "running", "failed", "-m", 10),
        *("--sort-by", "startTime", "--order", "descending", "--from-start-time", "1 hour ago"),
        *("--to-start-time", "in 1 hour"),
    )
    assert [item["executionId"] for item in found["executions"]] == [execution_id]
    with pytest.raises(BadRequest):
        cli("workflows", "update-execution", workflow_id, execution_id, "--status", "completed")
    logs = eventually(
        lambda: cli(
            "logs", "list", "--workflow-id", workflow_id, "--workflow-execution-id", execution_id, "-m", 10
        )["logs"],
        bool,
        seconds=30,
    )
    log_id = logs[0]["logId"]
    assert cli("logs", "get", log_id)["workflowExecutionId"] == execution_id
    pretty = cli.text("logs", "get", log_id, "--pretty").strip()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line) for line in pretty.splitlines())
    nothing = cli(
        *("logs", "list", "--transition-id", "las:transition:" + "0" * 32),
        *("--transition-execution-id", "las:transition-execution:" + "0" * 32),
    )
    assert nothing["logs"] == []

    ended = cli(
        "workflows", "update-execution", workflow_id, execution_id, "--next-transition-id", COMMONS_FAILED
    )
    assert ended["status"] == "failed"
    deleted = cli("workflows", "delete-execution", workflow_id, execution_id)
    assert deleted["executionId"] == execution_id
    assert cli("workflows", "delete", workflow_id)["workflowId"] == workflow_id
    cli("transitions", "delete", transition_id)
    cli("secrets", "delete", secret_id)


def test_the_default_workflow_of_a_model(cli: CommandLine) -> None:
    """One command that makes a secret, an asset, a dataset, three transitions and a workflow of them."""
    model_id = cli("models", "create", cli.file("fields.json", FIELDS))["modelId"]

    created = cli("workflows", "create-default", "Invoices", "--from-model-id", model_id)

    assert created["name"] == "Invoices"
    tag = created["description"]
    transitions = cli("transitions", "list", "-m", 1000)["transitions"]
    ours = {item["name"]: item for item in transitions if item["description"] == tag}
    pre = ours["Preprocess transition for workflow Invoices"]
    post = ours["Postprocess transition for workflow Invoices"]
    assert pre["parameters"]["imageUrl"] == "lucidtechai/preprocess:v2.3.0"
    assert post["parameters"]["imageUrl"] == "lucidtechai/postprocess:v2.2.0"
    environment = pre["parameters"]["environment"]
    assert environment["MODEL_ID"] == model_id
    [secret_id] = pre["parameters"]["environmentSecrets"]
    form = cli("assets", "get", environment["FORM_CONFIG_ASSET_ID"])
    assert ours["Invoices"]["parameters"]["assets"] == {"formConfig": form["assetId"]}

    cli("workflows", "delete", created["workflowId"])
    for transition in ours.values():
        cli("transitions", "delete", transition["transitionId"])
    cli("secrets", "delete", secret_id)
    cli("assets", "delete", form["assetId"])
    cli("datasets", "delete", environment["DATASET_ID"])
    cli("models", "delete", model_id)


def test_a_default_workflow_that_fails_leaves_nothing_behind(cli: CommandLine) -> None:
    """In a process of its own: in this one the command would clean up what it made before, too."""
    secrets, assets = (cli(kind, "list", "-m", 1000)[kind] for kind in ("secrets", "assets"))
    command = [str(Path(sys.executable).parent / "las"), "workflows", "create-default", "Invoices"]

    done = subprocess.run(
        [*command, "--from-model-id", "las:model:no-such-model"], capture_output=True, text=True, check=True
    )

    assert "Cleaning up resources" in done.stdout
    assert cli("secrets", "list", "-m", 1000)["secrets"] == secrets
    assert cli("assets", "list", "-m", 1000)["assets"] == assets

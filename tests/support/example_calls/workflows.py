"""Calls about workflows, transitions, their executions, and what they use."""

from __future__ import annotations

import base64
from typing import Any

from tests.support.example_calls.recorder import Recorder

FORM = b'{"config": {"fields": {"total": {"type": "amount", "display": "Total"}}}}'


async def manage_assets(recorder: Recorder) -> str:
    """Return the id of an asset."""
    body = {"name": "Form", "description": None, "content": base64.b64encode(FORM).decode()}
    created = await recorder.call("createAsset", body)
    asset_id = str(created["assetId"])
    await recorder.call("getAsset", assetId=asset_id)
    await recorder.call("updateAsset", {"description": "Form of the check of invoices"}, assetId=asset_id)
    await recorder.call("listAssets")
    other = await recorder.prepare("POST", "/assets", {"name": "Old form", "content": body["content"]})
    await recorder.call("deleteAsset", assetId=other["assetId"])
    return asset_id


async def manage_secrets(recorder: Recorder) -> str:
    """Return the id of a secret."""
    body = {
        "name": "ERP",
        "description": "Login of the bookkeeping",
        "data": {"ERP_USER": "pagemill", "ERP_PASSWORD": "correct horse"},
    }
    created = await recorder.call("createSecret", body)
    secret_id = str(created["secretId"])
    await recorder.call(
        "updateSecret",
        {"data": {"ERP_USER": "pagemill", "ERP_PASSWORD": "battery staple"}},
        secretId=secret_id,
    )
    await recorder.call("listSecrets")
    other = await recorder.prepare("POST", "/secrets", {"name": "Old ERP", "data": {}})
    await recorder.call("deleteSecret", secretId=other["secretId"])
    return secret_id


async def manage_transitions(recorder: Recorder, asset_id: str, secret_id: str) -> tuple[str, str]:
    """Return the ids of a transition for people and of one that sends results on."""
    manual = await recorder.prepare(
        "POST",
        "/transitions",
        {"name": "Check", "transitionType": "manual", "parameters": {"assets": {"formConfig": asset_id}}},
    )
    docker = await recorder.call(
        "createTransition",
        {
            "name": "Book",
            "description": "Writes checked invoices to the bookkeeping",
            "transitionType": "docker",
            "timeoutInSeconds": 600,
            "parameters": {
                "imageUrl": "registry.example.com/book-invoice:1.4",
                "cpu": 256,
                "memory": 512,
                "environment": {"ERP_URL": "https://erp.example.com"},
                "environmentSecrets": [secret_id],
            },
        },
    )
    transition_id = str(docker["transitionId"])
    await recorder.call("getTransition", transitionId=transition_id)
    await recorder.call(
        "updateTransition",
        {"parameters": {"imageUrl": "registry.example.com/book-invoice:1.5"}},
        transitionId=transition_id,
    )
    await recorder.call("listTransitions", query={"transitionType": "docker"})
    other = await recorder.prepare("POST", "/transitions", {"name": "Old check", "transitionType": "manual"})
    await recorder.call("deleteTransition", transitionId=other["transitionId"])
    return str(manual["transitionId"]), transition_id


async def manage_workflows(recorder: Recorder, check: str, book: str, secret_id: str) -> str:
    """Return the id of a workflow."""
    definition = {
        "StartAt": "Check",
        "States": {
            "Check": {"Type": "Task", "Resource": check, "Next": "Book"},
            "Book": {"Type": "Task", "Resource": book, "End": True},
        },
    }
    created = await recorder.call(
        "createWorkflow",
        {
            "name": "Invoices",
            "description": "A person checks an invoice, then it is booked",
            "specification": {"language": "ASL", "version": "1.0.0", "definition": definition},
            "status": "development",
            "errorConfig": {"email": "operations@example.com", "manualRetry": True},
            "emailConfig": {"secretId": secret_id, "allowedOrigins": [".*@suppliers\\.example\\.com"]},
            "completedConfig": {"imageUrl": "registry.example.com/tidy-up:2.0"},
            "metadata": {"owner": "accounting"},
        },
    )
    workflow_id = str(created["workflowId"])
    await recorder.call("getWorkflow", workflowId=workflow_id)
    await recorder.call("updateWorkflow", {"status": "production"}, workflowId=workflow_id)
    await recorder.call("listWorkflows")
    body = {"name": "Old", "specification": {"definition": definition}}
    other = await recorder.prepare("POST", "/workflows", body)
    await recorder.call("deleteWorkflow", workflowId=other["workflowId"])
    return workflow_id


async def execute(recorder: Recorder, workflow_id: str, check: str, document_id: str) -> None:
    """Run a workflow up to its second step, and another to its end."""
    given = {"input": {"documentId": document_id, "title": "Invoice 4711"}}
    started = await recorder.call("executeWorkflow", given, workflowId=workflow_id)
    ids = {"workflowId": workflow_id, "executionId": str(started["executionId"])}
    step_id = await do_step(recorder, check)
    await recorder.call("getWorkflowExecution", **ids)
    await recorder.call("listLogs", query={"transitionExecutionId": step_id})
    await recorder.call("getLog", logId=started["logId"])
    query = {"status": "running", "sortBy": "startTime"}
    await recorder.call("listWorkflowExecutions", query=query, workflowId=workflow_id)
    await finish_execution(recorder, check, given)


async def do_step(recorder: Recorder, check: str) -> str:
    """Claim a manual step, put it off, take it up again, and report its result.

    Returns the id of the execution.
    """
    claimed = await recorder.call("executeTransition", {}, transitionId=check)
    ids = {"transitionId": check, "executionId": str(claimed["executionId"])}
    await recorder.call("releaseTransitionExecution", {"reason": "Not my customer"}, **ids)
    await recorder.call("claimTransitionExecution", {}, **ids)
    await recorder.call("deferTransitionExecution", {"reason": "The supplier sends page 2"}, **ids)
    await recorder.prepare("POST", f"/transitions/{check}/executions", {})
    await recorder.call("sendHeartbeat", {}, **ids)
    await recorder.call("getTransitionExecution", **ids)
    output = {"documentId": claimed["input"]["documentId"], "total": "128.50"}
    await recorder.call("updateTransitionExecution", {"status": "succeeded", "output": output}, **ids)
    query = {"status": "succeeded", "sortBy": "endTime"}
    await recorder.call("listTransitionExecutions", query=query, transitionId=check)
    return ids["executionId"]


async def finish_execution(recorder: Recorder, check: str, given: dict[str, Any]) -> None:
    """Run a workflow of one step to its end, mark its result as used, and delete it."""
    definition = {
        "StartAt": "Check",
        "States": {"Check": {"Type": "Task", "Resource": check, "End": True}},
    }
    body = {"name": "Check only", "specification": {"definition": definition}}
    workflow_id = (await recorder.prepare("POST", "/workflows", body))["workflowId"]
    started = await recorder.prepare("POST", f"/workflows/{workflow_id}/executions", given)
    claimed = await recorder.prepare("POST", f"/transitions/{check}/executions", {})
    path = f"/transitions/{check}/executions/{claimed['executionId']}"
    await recorder.prepare("PATCH", path, {"status": "succeeded", "output": {"total": "128.50"}})
    ids = {"workflowId": workflow_id, "executionId": started["executionId"]}
    await recorder.call("updateWorkflowExecution", {"status": "completed"}, **ids)
    await recorder.call("deleteWorkflowExecution", **ids)


async def create_webhook(recorder: Recorder) -> str:
    """Return the id of a webhook that hears of predictions."""
    body = {
        "name": "ERP",
        "description": None,
        "url": "https://erp.example.com/pagemill",
        "eventTypes": ["prediction.succeeded", "prediction.failed"],
    }
    return str((await recorder.call("createWebhook", body))["webhookId"])


async def manage_webhooks(recorder: Recorder, webhook_id: str) -> None:
    await recorder.call("listAttempts", webhookId=webhook_id)
    await recorder.call("getWebhook", webhookId=webhook_id)
    await recorder.call("listWebhooks")
    await recorder.call("updateWebhook", {"status": "disabled"}, webhookId=webhook_id)
    await recorder.call("deleteWebhook", webhookId=webhook_id)

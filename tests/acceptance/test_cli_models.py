"""``las models`` and ``predictions``."""

from __future__ import annotations

import json

import pytest
from las.client import NotFound

from tests.acceptance.conftest import Trained
from tests.support.command_line import CommandLine
from tests.support.processes import eventually

FIELDS = {"total": {"type": "amount", "description": "what is to be paid"}}
BEST_THREE = {"strategy": "BEST_N_PAGES", "parameters": {"n": 3, "collapse": True}}


def test_models(cli: CommandLine) -> None:
    created = cli(
        *("models", "create", cli.file("fields.json", FIELDS), "--name", "Receipts", "--description", "d"),
        *("--preprocess-config", '{"maxPages": 3}', "--postprocess-config", json.dumps(BEST_THREE)),
        *(
            "--metadata",
            cli.file("m.json", {"a": 1}),
            "--base-model",
            "las:organization:cradl/las:model:invoice",
        ),
    )
    model_id = created["modelId"]
    base = {"modelId": "las:model:invoice", "organizationId": "las:organization:cradl"}

    assert (created["fieldConfig"], created["postprocessConfig"]) == (FIELDS, BEST_THREE)
    assert created["metadata"] == {"a": 1, "baseModel": base}
    assert created["preprocessConfig"]["maxPages"] == 3
    other = {"supplier": {"type": "string"}}
    changed = cli(
        *("models", "update", model_id, "--field-config", cli.file("other.json", other), "--name", "null"),
        *("--preprocess-config", '{"imageQuality": "HIGH"}', "--metadata", cli.file("m.json", {"b": 2})),
        *("--postprocess-config", '{"strategy": "BEST_FIRST"}', "--training-id", "null"),
    )
    assert (changed["name"], changed["description"], changed["fieldConfig"]) == (None, "d", other)
    assert (changed["metadata"], changed["status"]) == ({"b": 2}, "inactive")
    shown = cli("models", "get", model_id, "--statistics-last-n-days", 30)
    assert shown["postprocessConfig"] == {"strategy": "BEST_FIRST"}
    listed = cli("models", "list", "-m", 1000)["models"]
    assert model_id in {model["modelId"] for model in listed}
    assert (
        cli("models", "list", "--owner", "las:organization:nobody", "las:organization:other")["models"] == []
    )
    assert cli("models", "delete", model_id)["modelId"] == model_id
    with pytest.raises(NotFound, match=model_id):
        cli("models", "get", model_id)


def test_data_bundles(cli: CommandLine) -> None:
    model_id = cli("models", "create", cli.file("fields.json", FIELDS))["modelId"]
    dataset_id = cli("datasets", "create")["datasetId"]
    created = cli("models", "create-data-bundle", model_id, dataset_id, "--name", "B", "--description", "d")
    bundle_id = created["dataBundleId"]

    ended = eventually(
        lambda: cli("models", "get-data-bundle", model_id, bundle_id),
        lambda bundle: bundle["status"] != "running",
        seconds=60,
    )
    assert ended["status"] == "succeeded"
    changed = cli("models", "update-data-bundle", model_id, bundle_id, "--name", "null")
    assert (changed["name"], changed["description"]) == (None, "d")
    listed = cli("models", "list-data-bundles", model_id, "-m", 10)["dataBundles"]
    assert [bundle["dataBundleId"] for bundle in listed] == [bundle_id]
    everywhere = cli("models", "list-all-data-bundles")
    assert [bundle["dataBundleId"] for bundle in everywhere[model_id]["dataBundles"]] == [bundle_id]
    assert cli("models", "delete-data-bundle", model_id, bundle_id)["dataBundleId"] == bundle_id
    with pytest.raises(NotFound, match=bundle_id):
        cli("models", "get-data-bundle", model_id, bundle_id)
    cli("datasets", "delete", dataset_id)
    cli("models", "delete", model_id)


def test_trainings(cli: CommandLine, trained: Trained) -> None:
    model_id, bundle_id = trained.model_id, trained.data_bundle["dataBundleId"]
    created = cli(
        *("models", "create-training", model_id, bundle_id, "--name", "T", "--description", "d"),
        *("--metadata", cli.file("m.json", {"a": 1}), "--data-scientist-assistance"),
    )
    training_id = created["trainingId"]

    assert (created["status"], created["metadata"]) == ("waiting-for-approval", {"a": 1})
    [environment, *_] = cli("deployment-environments", "list")["deploymentEnvironments"]
    environment_id = environment["deploymentEnvironmentId"]
    deployed = cli(
        "models", "update-training", model_id, training_id, "--deployment-environment-id", environment_id
    )
    assert deployed["deploymentEnvironmentId"] == environment_id
    cancelled = cli(
        *("models", "update-training", model_id, training_id, "--cancel", "--name", "null"),
        *("--metadata", "null", "--deployment-environment-id", "null"),
    )
    assert (cancelled["status"], cancelled["name"], cancelled["deploymentEnvironmentId"]) == (
        "cancelled",
        None,
        None,
    )
    assert not cancelled["metadata"]
    shown = cli("models", "get-training", model_id, training_id, "--statistics-last-n-days", 3)
    assert shown["description"] == "d"
    listed = cli("models", "list-trainings", model_id, "-m", 100)["trainings"]
    assert training_id in {training["trainingId"] for training in listed}


def test_predictions(cli: CommandLine, trained: Trained) -> None:
    document_id = trained.documents[0][1]
    created = cli(
        *(
            "predictions",
            "create",
            document_id,
            trained.model_id,
            "--training-id",
            trained.training["trainingId"],
        ),
        *("--preprocess-config", '{"pages": [0, -1]}', "--postprocess-config", json.dumps(BEST_THREE)),
    )
    waiting = cli("predictions", "create", document_id, trained.model_id, "--async")

    assert (created["status"], created["postprocessConfig"]) == ("succeeded", BEST_THREE)
    assert waiting["status"] == "pending"
    ended = eventually(
        lambda: cli("predictions", "get", waiting["predictionId"]),
        lambda prediction: prediction["status"] != "pending",
        seconds=60,
    )
    assert ended["status"] == "succeeded"
    listed = cli(
        *("predictions", "list", "-m", 2, "--sort-by", "createdTime", "--order", "descending"),
        *("--model-id", trained.model_id),
    )
    found = [prediction["predictionId"] for prediction in listed["predictions"]]
    assert found == [waiting["predictionId"], created["predictionId"]]

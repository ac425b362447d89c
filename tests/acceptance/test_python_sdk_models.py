"""Models, data bundles and trainings through the Python SDK."""

from __future__ import annotations

import las
import psutil
import pytest
from las.client import BadRequest, NotFound

from examples.demo import job
from examples.local_stack import LocalStack
from tests.acceptance.conftest import Trained
from tests.support.clients import listed, pages
from tests.support.processes import descendants, eventually
from tests.support.running import TRAINING_PROCESSES

FIELDS = {
    "total": {"type": "amount", "description": "what is to be paid", "maxLength": 20},
    "currency": {"type": "enum", "enum": ["EUR", "US Dollar"]},
    "items": {"type": "lines", "fields": {"text": {"type": "string"}, "qty": {"type": "numeric"}}},
}
STATUSES = ("running", "succeeded", "failed")
UNKNOWN_BUNDLE = "las:model-data-bundle:" + "0" * 32
DESCENDING_PAGES = {
    "strategy": "BEST_N_PAGES",
    "parameters": {"n": 3, "collapse": False},
    "outputFormat": "v2",
}


def test_a_model_is_created_read_changed_and_deleted(client: las.Client) -> None:
    before = client.get_organization("me")["numberOfModelsCreated"]
    created = client.create_model(
        FIELDS,
        name="Receipts",
        description="of shops",
        metadata={"a": 1},
        base_model={"modelId": "las:model:invoice", "organizationId": "las:organization:cradl"},
        preprocess_config={"maxPages": 2, "imageQuality": "HIGH"},
    )
    model_id = created["modelId"]

    assert (created["status"], created["trainingId"]) == ("inactive", None)
    assert created["fieldConfig"] == FIELDS
    assert created["metadata"]["baseModel"] == {
        "modelId": "las:model:invoice",
        "organizationId": "las:organization:cradl",
    }
    assert created["preprocessConfig"] == {"maxPages": 2, "imageQuality": "HIGH", "autoRotate": False}
    assert (created["numberOfDataBundles"], created["numberOfRunningTrainings"]) == (0, 0)
    assert not {"width", "height"} & created.keys()
    shown = client.get_model(model_id, statistics_last_n_days=30)
    assert {name: shown[name] for name in created if name != "statistics"} == {
        name: created[name] for name in created if name != "statistics"
    }
    assert client.get_organization("me")["numberOfModelsCreated"] == before + 1

    changed = client.update_model(
        model_id,
        field_config={"total": {"type": "amount"}},
        postprocess_config=DESCENDING_PAGES,
        preprocess_config={"pages": [0, -1], "rotation": 90},
        metadata={"b": 2},
        name=None,
        description=None,
    )
    assert (changed["name"], changed["description"], changed["metadata"]) == (None, None, {"b": 2})
    assert changed["fieldConfig"] == {"total": {"type": "amount"}}
    assert changed["postprocessConfig"] == DESCENDING_PAGES
    assert changed["preprocessConfig"]["pages"] == [0, -1]

    assert client.delete_model(model_id)["modelId"] == model_id
    with pytest.raises(NotFound, match=model_id):
        client.get_model(model_id)
    assert client.get_organization("me")["numberOfModelsCreated"] == before


def test_models_are_listed_by_owner(client: las.Client, trained: Trained) -> None:
    mine = [model["modelId"] for page in pages(client.list_models, "models", 1) for model in page]
    organization_id = client.get_organization("me")["organizationId"]

    assert trained.model_id in mine
    assert client.get_model(f"{organization_id}/{trained.model_id}")["modelId"] == trained.model_id
    for owner in (organization_id, "me"):
        owned = listed(lambda owner=owner, **page: client.list_models(owner=owner, **page), "models")
        assert [model["modelId"] for model in owned] == mine
    assert client.list_models(owner=["las:organization:somebody-else"])["models"] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"field_config": {"total": {"type": "phone"}}}, "type"),
        ({"field_config": {"a b": {"type": "string"}}}, "a b"),
        ({"field_config": {"total": {"type": "string"}}, "width": 801}, "width"),
        ({"field_config": {"total": {"type": "string"}}, "preprocess_config": {}}, "preprocessConfig"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(
    client: las.Client, arguments: dict[str, object], named: str
) -> None:
    with pytest.raises(BadRequest, match=named):
        client.create_model(**arguments)


def test_a_data_bundle_is_read_changed_and_deleted(client: las.Client, trained: Trained) -> None:
    model_id = client.create_model(FIELDS)["modelId"]
    dataset_id = client.create_dataset()["datasetId"]
    before = client.get_organization("me")["monthlyNumberOfDataBundlesCreated"]
    created = client.create_data_bundle(model_id, [dataset_id], name="Empty", description="without documents")
    bundle_id = created["dataBundleId"]

    assert (created["status"], created["summary"]) == ("running", None)
    ended = job.wait_for(lambda: client.get_data_bundle(model_id, bundle_id))
    assert ended["summary"]["aggregate"]["numberOfDocuments"] == 0
    assert client.get_model(model_id)["numberOfDataBundles"] == 1
    changed = client.update_data_bundle(model_id, bundle_id, name=None, description="renamed")
    assert (changed["name"], changed["description"]) == (None, "renamed")
    assert client.get_organization("me")["monthlyNumberOfDataBundlesCreated"] == before + 1
    found = list(pages(lambda **page: client.list_data_bundles(model_id, **page), "dataBundles", 1))
    assert [bundle["dataBundleId"] for page in found for bundle in page] == [bundle_id]
    with pytest.raises(NotFound, match=bundle_id):
        client.get_data_bundle(trained.model_id, bundle_id)

    assert client.delete_data_bundle(model_id, bundle_id)["dataBundleId"] == bundle_id
    for unknown in (bundle_id, UNKNOWN_BUNDLE):
        with pytest.raises(NotFound, match=unknown):
            client.get_data_bundle(model_id, unknown)
    with pytest.raises(BadRequest, match="datasetIds"):
        client.create_data_bundle(model_id, ["las:dataset:" + "0" * 32])
    assert client.get_model(model_id)["numberOfDataBundles"] == 0
    client.delete_dataset(dataset_id)
    client.delete_model(model_id)


def test_a_training_is_read_and_changed(client: las.Client, trained: Trained) -> None:
    model_id, training_id = trained.model_id, trained.training["trainingId"]
    [environment, *_] = client.list_deployment_environments()["deploymentEnvironments"]
    environment_id = environment["deploymentEnvironmentId"]

    found = list(pages(lambda **page: client.list_trainings(model_id, **page), "trainings", 1))
    assert training_id in {training["trainingId"] for page in found for training in page}
    changed = client.update_training(
        model_id, training_id, name="First", metadata={"run": 1}, deployment_environment_id=environment_id
    )
    assert (changed["name"], changed["metadata"]) == ("First", {"run": 1})
    assert changed["deploymentEnvironmentId"] == environment_id
    cleared = client.update_training(model_id, training_id, name=None, deployment_environment_id=None)
    assert (cleared["name"], cleared["deploymentEnvironmentId"]) == (None, None)
    shown = client.get_training(model_id, training_id, statistics_last_n_days=7)
    assert (shown["status"], shown["metadata"]) == ("succeeded", {"run": 1})
    assert shown["gpuHours"] is not None
    with pytest.raises(BadRequest, match="status"):
        client.update_training(model_id, training_id, status="cancelled")
    with pytest.raises(BadRequest, match="deploymentEnvironmentId"):
        client.update_training(
            model_id, training_id, deployment_environment_id="las:deployment-environment:nowhere"
        )
    with pytest.raises(NotFound, match="no-such-training"):
        client.get_training(model_id, "las:model-training:no-such-training")


def test_a_training_is_cancelled(stack: LocalStack, client: las.Client, trained: Trained) -> None:
    model_id, bundle_id = trained.model_id, trained.data_bundle["dataBundleId"]
    before = client.get_organization("me")

    created = client.create_training(model_id, [bundle_id], name="Second", metadata={"run": 2})
    cancelled = client.update_training(model_id, created["trainingId"], status="cancelled")

    assert created["status"] in ("preparing", "pending", "running")
    assert (created["dataBundleIds"], created["evaluation"]) == ([bundle_id], {})
    assert cancelled["status"] == "cancelled"
    eventually(
        lambda: client.get_model(model_id)["numberOfRunningTrainings"],
        lambda running: running == 0,
        seconds=60,
    )
    assert client.get_training(model_id, created["trainingId"])["status"] == "cancelled"
    eventually(lambda: training_processes(stack), lambda found: not found, seconds=60)
    after = client.get_organization("me")
    created_before = before["monthlyNumberOfTrainingsCreated"]
    assert after["monthlyNumberOfTrainingsCreated"] == created_before + 1
    assert after["monthlyUsageSummary"]["trainingsCreated"] == created_before + 1
    with pytest.raises(BadRequest, match="dataBundleIds"):
        client.create_training(model_id, [UNKNOWN_BUNDLE])


def training_processes(stack: LocalStack) -> list[psutil.Process]:
    """Processes of the stack that train, or watch over a training."""
    return descendants(
        stack.process.pid,
        lambda line: line.startswith("ray::") and any(title in line for title in TRAINING_PROCESSES),
    )


def test_a_training_with_assistance_waits_for_approval(client: las.Client, trained: Trained) -> None:
    model_id, bundle_id = trained.model_id, trained.data_bundle["dataBundleId"]

    created = client.create_training(model_id, [bundle_id], data_scientist_assistance=True)

    assert (created["status"], created["dataScientistAssistance"]) == ("waiting-for-approval", True)
    ended = client.update_training(model_id, created["trainingId"], status="cancelled")
    assert ended["status"] == "cancelled"

"""A container as Kubernetes is asked for it: confined, bounded, its secrets in a Secret of its own."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pagemill.containers.bounds import bounds_of
from pagemill.containers.engine import ContainerSpec, RegistryLogin
from pagemill.containers.job_manifest import job_manifest, names_of, secret_manifests
from pagemill.settings import Settings
from tests.support.kubernetes.rules import judge_job, judge_secret, unconfined

NAMES = names_of("pagemill-transition-execution-0123456789abcdef0123456789abcdef", "1a2b3c4d")
LABELS = {"io.pagemill.subject": "las:transition-execution:1"}


def spec(**changed: Any) -> ContainerSpec:
    values: dict[str, Any] = {
        "image": "registry.example.com:5000/a/step:1",
        "environment": {"A": "one", "LAS_CLIENT_SECRET": "hidden"},
        "labels": LABELS,
        "cpu": 256,
        "memory": 512,
        "seconds": 100.5,
    }
    return ContainerSpec(**(values | changed))


def job(described: ContainerSpec | None = None, **settings: Any) -> Any:
    used = Settings(database_url="postgresql://unused", objects_url="file:///unused", **settings)
    made = job_manifest(NAMES, described or spec(), bounds_of(used), used.container_grace)
    judge_job(made)
    return made


def pod(described: ContainerSpec | None = None, **settings: Any) -> Any:
    return job(described, **settings)["spec"]["template"]["spec"]


def test_it_is_one_container_that_waits_to_be_started() -> None:
    made = job()
    figures = {key: made["spec"][key] for key in ("suspend", "parallelism", "completions", "backoffLimit")}

    assert made["metadata"]["name"] == NAMES.job
    assert made["metadata"]["annotations"] == LABELS
    assert figures == {"suspend": True, "parallelism": 1, "completions": 1, "backoffLimit": 0}
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_kubernetes_ends_it_when_nobody_else_does_and_keeps_it_until_its_task_is_over() -> None:
    specification = job(container_grace=5.0)["spec"]

    assert specification["activeDeadlineSeconds"] == 166
    assert specification["ttlSecondsAfterFinished"] > 86400
    assert specification["template"]["spec"]["terminationGracePeriodSeconds"] == 5


def test_it_is_confined() -> None:
    confined = pod(container_ca_file="/somewhere/ca.pem", container_temporary=8)

    assert list(unconfined(confined)) == []
    assert confined["volumes"][0] == {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}
    assert confined["containers"][0]["resources"]["limits"] == {"cpu": "250m", "memory": "512Mi"}
    assert "hostUsers" not in confined
    assert pod(container_user_namespace="auto")["hostUsers"] is False


def test_no_value_of_a_variable_stands_in_the_job() -> None:
    described = spec(login=RegistryLogin("somebody", "password"))
    made = json.dumps(job(described))

    assert "hidden" not in made
    assert "password" not in made
    assert "hidden" not in repr(described)
    assert "password" not in repr(described)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("step", "Always"),
        ("example.com/step:1", "Always"),
        ("example.com/step@sha256:" + "0" * 64, "IfNotPresent"),
        ("localhost/step:1", "Never"),
    ],
)
def test_the_registry_is_asked_unless_the_name_has_a_digest(image: str, policy: str) -> None:
    assert pod(spec(image=image))["containers"][0]["imagePullPolicy"] == policy


def test_secrets_have_what_the_job_refers_to_and_go_with_it() -> None:
    described = spec(login=RegistryLogin("somebody", "password"))
    made = pod(described, container_ca_file="/somewhere/ca.pem")
    secrets = secret_manifests(NAMES, described, "CERTIFICATE", "uid-1")
    for one in secrets:
        judge_secret(one)
    variables, registry = secrets
    values = {key: base64.b64decode(value).decode() for key, value in variables["data"].items()}

    references = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in made["containers"][0]["env"]}
    assert {name: values[one["key"]] for name, one in references.items()} == described.environment
    assert {one["name"] for one in references.values()} == {variables["metadata"]["name"]}
    [mounted] = made["volumes"][1]["secret"]["items"]
    assert values[mounted["key"]] == "CERTIFICATE"
    assert made["imagePullSecrets"] == [{"name": registry["metadata"]["name"]}]
    owners = [one["metadata"]["ownerReferences"][0] for one in secrets]
    assert [(one["kind"], one["name"], one["uid"]) for one in owners] == [("Job", NAMES.job, "uid-1")] * 2


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("registry.example.com:5000/a/step:1", "registry.example.com:5000"),
        ("somebody/step:1", "https://index.docker.io/v1/"),
    ],
)
def test_credentials_are_for_the_registry_of_the_image(image: str, registry: str) -> None:
    described = spec(image=image, login=RegistryLogin("somebody", "pass:word"))
    [_, secret] = secret_manifests(NAMES, described, "", "uid-1")
    found = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))

    entry = found["auths"][registry]
    assert (entry["username"], entry["password"]) == ("somebody", "pass:word")
    assert base64.b64decode(entry["auth"]) == b"somebody:pass:word"

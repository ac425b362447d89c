"""Manifests of a container on Kubernetes: a Job with one pod, and the Secrets that it reads.

The Job is made suspended: that is a container that was created and not started. Its Secrets name it as their
owner, so Kubernetes removes them with it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pagemill.containers.bounds import ContainerBounds
from pagemill.containers.engine import ContainerSpec, RegistryLogin
from pagemill.containers.environment import CA_PATH
from pagemill.containers.images import has_digest, is_local, registry_of

CONTAINER: Final = "step"
USER: Final = 10001
"""User in the container, whatever its image says: the namespace admits no root."""
MANAGED: Final = {"app.kubernetes.io/managed-by": "pagemill"}
POD_LABELS: Final = {**MANAGED, "app.kubernetes.io/name": "pagemill-step"}
CA_DIRECTORY, _, CA_KEY = CA_PATH.rpartition("/")
DOCKER_HUB: Final = "https://index.docker.io/v1/"
"""Name by which credentials for Docker's own registry are known."""
LATE_SECONDS: Final = 60.0
"""Time that a Job has beyond its task: whoever follows it ends it before, and reads the rest of its log."""
KEPT_SECONDS: Final = 86400
"""Time that a Job is kept beyond its deadline before Kubernetes removes it. A Job that has ended must not be
missing while its task is open: the task would get a second one."""
STARTED: Final = "io.pagemill.started"
"""Annotation of a Job that has been started: suspended again, by whomever, it is none that can be started."""

Json = dict[str, Any]


class Names(NamedTuple):
    """Names of a Job and of its Secrets. Those of Secrets are new ones: former ones may not be gone yet."""

    job: str
    variables: str
    registry: str


def names_of(job: str, suffix: str) -> Names:
    """Return the names for a Job; ``suffix`` is random."""
    return Names(job, f"{job}-{suffix}", f"{job}-{suffix}-registry")


def job_manifest(names: Names, spec: ContainerSpec, bounds: ContainerBounds, grace: float) -> Json:
    """Return the Job of a container."""
    deadline = math.ceil(spec.seconds + grace + LATE_SECONDS)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": names.job, "labels": dict(MANAGED), "annotations": dict(spec.labels)},
        "spec": {
            "suspend": True,
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            # Never two pods at the same time.
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": deadline + KEPT_SECONDS,
            "template": {
                "metadata": {
                    "labels": dict(POD_LABELS),
                    # Moved to another node it would begin anew.
                    "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
                },
                "spec": _pod(names, spec, bounds, grace),
            },
        },
    }


def _pod(names: Names, spec: ContainerSpec, bounds: ContainerBounds, grace: float) -> Json:
    temporary = {"medium": "Memory", "sizeLimit": f"{bounds.temporary}Mi"}
    pod: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": max(1, round(grace)),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(names, spec, with_ca=bool(bounds.ca_file))],
        "volumes": [{"name": "tmp", "emptyDir": temporary}],
    }
    if bounds.ca_file:
        items = [{"key": CA_KEY, "path": CA_KEY}]
        secret = {"secretName": names.variables, "items": items, "defaultMode": 0o444}
        pod["volumes"].append({"name": "ca", "secret": secret})
    if spec.login is not None:
        pod["imagePullSecrets"] = [{"name": names.registry}]
    if bounds.user_namespace:
        pod["hostUsers"] = False
    return pod


def _container(names: Names, spec: ContainerSpec, *, with_ca: bool) -> Json:
    resources = {"cpu": f"{max(1, spec.cpu * 1000 // 1024)}m", "memory": f"{spec.memory}Mi"}
    mounts: list[Json] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - inside of it
    if with_ca:
        mounts.append({"name": "ca", "mountPath": CA_DIRECTORY, "readOnly": True})
    return {
        "name": CONTAINER,
        "image": spec.image,
        "imagePullPolicy": _pull_policy(spec.image),
        "env": [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": names.variables, "key": key}}}
            for name, key in _keys(spec.environment).items()
        ],
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _pull_policy(image: str) -> str:
    """Return when the registry is asked: as with other engines, each time unless the name has a digest."""
    if is_local(image):
        return "Never"
    return "IfNotPresent" if has_digest(image) else "Always"


def _keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a key of the Secret for each variable: not every name of a variable is one."""
    return {name: f"variable-{index}" for index, name in enumerate(environment)}


def secret_manifests(names: Names, spec: ContainerSpec, ca: str, owner: str) -> list[Json]:
    """Return the Secrets of a Job; ``ca`` is the authority's certificate, ``owner`` the Job's uid."""
    values = {key: spec.environment[name] for name, key in _keys(spec.environment).items()}
    if ca:
        values[CA_KEY] = ca
    secrets = [_secret(names.variables, names.job, owner, "Opaque", values)]
    if spec.login is not None:
        configuration = {".dockerconfigjson": _registry_configuration(spec.image, spec.login)}
        kind = "kubernetes.io/dockerconfigjson"
        secrets.append(_secret(names.registry, names.job, owner, kind, configuration))
    return secrets


def _secret(name: str, job: str, owner: str, kind: str, values: Mapping[str, str]) -> Json:
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": owner}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": dict(MANAGED), "ownerReferences": [reference]},
        "immutable": True,
        "type": kind,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _registry_configuration(image: str, login: RegistryLogin) -> str:
    """Return credentials in the form of Docker's file of configuration."""
    registry = registry_of(image)
    both = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    entry = {"username": login.username, "password": login.password, "auth": both}
    return json.dumps({"auths": {DOCKER_HUB if registry == "docker.io" else registry: entry}})

"""What a cluster refuses: broken bodies, missing rights, and pods that are not confined."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate

from tests.support.manifests.documents import DEPLOY, load, of_kind
from tests.support.manifests.schemas import KUBERNETES

Json = dict[str, Any]
JOB_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SECRET_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
CHANGEABLE = {"suspend", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit", "parallelism"}
"""Members of a Job's specification that may change; its template may while it has not been started."""
LARGEST_SECRET = 1024 * 1024


class Refusal(Exception):
    """An answer of the API server that is none."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def status(self) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "Status",
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
        }


def invalid(message: str) -> Refusal:
    return Refusal(422, "Invalid", message)


@functools.cache
def _rules() -> list[Json]:
    [role] = [one for one in of_kind(load(DEPLOY / "kubernetes"), "Role") if one.name == "pagemill-steps"]
    rules: list[Json] = role.content["rules"]
    return rules


def authorize(verb: str, group: str, resource: str) -> None:
    """Refuse what the Role does not allow."""
    for rule in _rules():
        if group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]:
            return
    raise Refusal(
        403, "Forbidden", f'{resource} is forbidden: User "head" cannot {verb} resource "{resource}"'
    )


def judge(body: Json, kind: str) -> None:
    """Refuse a body that Kubernetes' schema for its kind refuses, or that has a member it does not know."""
    if body.get("kind") != kind:
        raise Refusal(400, "BadRequest", f"{body.get('kind')} in place of {kind}")
    try:
        kubernetes_validate.validate(body, KUBERNETES, strict=True)
    except kubernetes_validate.utils.ValidationError as error:
        raise invalid(f"{'.'.join(map(str, error.absolute_path))}: {error.message}") from error
    for value in (body["metadata"].get("labels") or {}).values():
        if not LABEL_VALUE.fullmatch(value):
            raise invalid(f"metadata.labels: Invalid value: {value}")


def judge_job(body: Json) -> None:
    judge(body, "Job")
    if not JOB_NAME.fullmatch(body["metadata"]["name"]):
        raise invalid(f"metadata.name: Invalid value: {body['metadata']['name']}")
    pod = body["spec"]["template"]["spec"]
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        raise invalid("spec.template.spec.restartPolicy: Required value")
    volumes = {one["name"] for one in pod.get("volumes", [])}
    for container in pod["containers"]:
        for variable in container.get("env", []):
            if not VARIABLE.fullmatch(variable["name"]):
                raise invalid(f"env[].name: Invalid value: {variable['name']!r}")
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                raise invalid(f"volumeMounts[].name: Not found: {mount['name']}")


def judge_secret(body: Json) -> None:
    judge(body, "Secret")
    if not SECRET_NAME.fullmatch(body["metadata"]["name"]):
        raise invalid(f"metadata.name: Invalid value: {body['metadata']['name']}")
    if any(not KEY.fullmatch(key) for key in body["data"]):
        raise invalid("data: Invalid value")
    if sum(len(base64.b64decode(value, validate=True)) for value in body["data"].values()) > LARGEST_SECRET:
        raise invalid("data: Too long: may not be more than 1048576 bytes")
    if body["type"] == "kubernetes.io/dockerconfigjson" and ".dockerconfigjson" not in body["data"]:
        raise invalid("data[.dockerconfigjson]: Required value")


def judge_change(before: Json, after: Json) -> None:
    """Refuse changes of what is immutable."""
    if before["metadata"]["uid"] != after["metadata"]["uid"]:
        raise invalid("metadata.uid: Invalid value: field is immutable")
    changed = {key for key, value in after["spec"].items() if before["spec"].get(key) != value}
    if changed - CHANGEABLE:
        raise invalid(f"spec: Invalid value: {sorted(changed - CHANGEABLE)}: field is immutable")
    if after["spec"].get("activeDeadlineSeconds", 1) < 1:
        raise invalid("spec.activeDeadlineSeconds: must be greater than 0")


def unconfined(pod: Json) -> Iterator[str]:
    """Return what the standard "restricted" for pods says against a pod, and what this project promises."""
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or context.get("runAsUser", 0) == 0:
        yield "runAsNonRoot"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"
    yield from {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(pod)
    for volume in pod.get("volumes", []):
        if not {"emptyDir", "secret"} & set(volume):
            yield f"volume {volume['name']}"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield "allowPrivilegeEscalation"
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
            yield "capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "readOnlyRootFilesystem"
        if container["resources"]["limits"] != container["resources"]["requests"]:
            yield "resources"

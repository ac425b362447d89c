"""State of a container on Kubernetes, as its Job and the Job's pod show it. Pure."""

from __future__ import annotations

import datetime
from typing import Any, Final

from pagemill.containers.engine import ContainerRefused, ContainerState, ImageUnavailable
from pagemill.containers.job_manifest import CONTAINER, STARTED

OF_IMAGES: Final = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""Reasons for which a container waits that lie in its image."""
OF_CONTAINERS: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
NOT_STARTED: Final = frozenset({"ContainerCannotRun", "StartError"})
"""Reasons of a container that has ended before its program began."""
FINISHED: Final = frozenset({"Complete", "Failed"})
DISRUPTED: Final = "DisruptionTarget"
"""Condition of a pod that its node, the scheduler or an operator has ended."""
LOST: Final = 137
"""Exit status of a container of which nothing else is known: that of SIGKILL."""

Json = dict[str, Any]


def id_of(job: Json) -> str:
    """Return the id of a Job's container: a later Job of the same name has another one."""
    return f"{job['metadata']['name']}/{job['metadata']['uid']}"


def was_started(job: Json) -> bool:
    """Return whether a Job has been told to start, whatever has become of it."""
    annotations = job["metadata"].get("annotations") or {}
    return STARTED in annotations or not job["spec"].get("suspend") or _finished(job) is not None


def read_state(job: Json, pod: Json | None) -> ContainerState:
    """Return the state of a container; ``pod`` is None when there is none, or none any more."""
    identifier = id_of(job)
    if not was_started(job):
        return ContainerState(identifier, "created")
    state = container_state(pod)
    ended = state.get("terminated")
    if ended is not None:
        exit_code = int(ended["exitCode"])
        return ContainerState(
            identifier,
            "ended",
            exit_code=exit_code,
            out_of_memory=ended.get("reason") == "OOMKilled",
            started=_time(ended.get("startedAt")),
            lost=_disrupted(pod) if exit_code else "",
        )
    if lost := _failed(pod):
        return ContainerState(identifier, "ended", exit_code=LOST, lost=lost)
    condition = _finished(job)
    if condition is not None and condition["type"] == "Complete":
        return ContainerState(identifier, "ended")
    if condition is not None:
        return ContainerState(identifier, "ended", exit_code=LOST, lost=_said(condition, "its pod is gone"))
    return ContainerState(identifier, "running", started=_time(state.get("running", {}).get("startedAt")))


def has_begun(pod: Json | None) -> bool:
    """Return whether the program of a pod has a log. Raises ImageUnavailable and ContainerRefused."""
    state = container_state(pod)
    waiting, ended = state.get("waiting", {}), state.get("terminated", {})
    if waiting.get("reason") in OF_IMAGES:
        raise ImageUnavailable(f"Image {_image(pod)} cannot be pulled: {_said(waiting, '')}")
    if waiting.get("reason") in OF_CONTAINERS:
        raise ContainerRefused(f"The container cannot be started: {_said(waiting, '')}")
    if ended.get("reason") in NOT_STARTED:
        raise ContainerRefused(f"The container cannot be started: {_said(ended, '')}")
    return "running" in state or "terminated" in state


def container_state(pod: Json | None) -> Json:
    """Return the state of a pod's container, which has one member; empty before there is one."""
    listed = (pod or {}).get("status", {}).get("containerStatuses") or []
    state: Json = next((one.get("state", {}) for one in listed if one["name"] == CONTAINER), {})
    return state


def _image(pod: Json | None) -> str:
    assert pod is not None, "a container that waits has a pod"
    return str(pod["spec"]["containers"][0]["image"])


def _disrupted(pod: Json | None) -> str:
    """Return why a pod was ended from outside, empty when it was not."""
    status = (pod or {}).get("status", {})
    for condition in status.get("conditions") or []:
        if condition["type"] == DISRUPTED and condition["status"] == "True":
            return _said(condition, "its pod was disrupted")
    return _said(status, "") if status.get("reason") else ""


def _failed(pod: Json | None) -> str:
    """Return why a pod has failed before its container had a state, empty when it has not."""
    status = (pod or {}).get("status", {})
    return _said(status, "its pod has failed") if status.get("phase") == "Failed" else ""


def _said(what: Json, otherwise: str) -> str:
    return str(what.get("message") or what.get("reason") or otherwise)


def _finished(job: Json) -> Json | None:
    """Return the condition by which a Job has ended, None while it has not."""
    conditions = job.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] in FINISHED and one["status"] == "True"), None)


def _time(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)

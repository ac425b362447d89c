"""What Kubernetes shows of a Job and its pod is understood."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from pagemill.containers.engine import ContainerRefused, ImageUnavailable
from pagemill.containers.pod_state import has_begun, read_state

BEGUN = "2026-11-28T18:06:31Z"
TIME = datetime.datetime(2026, 11, 28, 18, 6, 31, tzinfo=datetime.UTC)


def job(suspend: bool = False, condition: str = "", started: bool = False, **more: str) -> Any:
    conditions = [{"type": condition, "status": "True", **more}] if condition else []
    annotations = {"io.pagemill.started": "true"} if started else {}
    return {
        "metadata": {"name": "step", "uid": "1", "annotations": annotations},
        "spec": {"suspend": suspend},
        "status": {"conditions": conditions},
    }


def pod(state: dict[str, Any] | None = None, **status: Any) -> Any:
    listed = [] if state is None else [{"name": "step", "state": state}]
    return {
        "spec": {"containers": [{"image": "example.com/step:1"}]},
        "status": {"phase": "Pending", "containerStatuses": listed, **status},
    }


def ended(code: int, reason: str = "Error", **status: Any) -> Any:
    return pod({"terminated": {"exitCode": code, "reason": reason, "startedAt": BEGUN}}, **status)


@pytest.mark.parametrize(
    ("job", "pod", "phase"),
    [
        (job(suspend=True), None, "created"),
        (job(suspend=True, condition="Suspended"), None, "created"),
        (job(suspend=True, started=True), None, "running"),
        (job(), None, "running"),
        (job(), pod(), "running"),
        (job(), pod({"waiting": {"reason": "ContainerCreating"}}), "running"),
        (job(), pod({"running": {"startedAt": BEGUN}}, phase="Running"), "running"),
        (job(condition="FailureTarget"), pod({"running": {"startedAt": BEGUN}}), "running"),
        (job(), ended(0), "ended"),
        (job(condition="Complete"), None, "ended"),
        (job(condition="Failed"), None, "ended"),
        (job(suspend=True, condition="Failed"), None, "ended"),
        (job(), pod(phase="Failed", reason="Evicted"), "ended"),
    ],
)
def test_the_phase_of_a_container(job: Any, pod: Any, phase: str) -> None:
    state = read_state(job, pod)

    assert (state.id, state.phase) == ("step/1", phase)


def test_the_end_of_a_program() -> None:
    state = read_state(job(condition="Failed"), ended(3))
    killed = read_state(job(), ended(137, "OOMKilled"))

    assert (state.exit_code, state.out_of_memory, state.started, state.lost) == (3, False, TIME, "")
    assert (killed.exit_code, killed.out_of_memory) == (137, True)


@pytest.mark.parametrize(
    ("job", "pod", "lost"),
    [
        (job(condition="Failed", reason="DeadlineExceeded"), None, "DeadlineExceeded"),
        (job(condition="Failed", reason="Backoff", message="it has failed"), None, "it has failed"),
        (job(condition="Failed"), None, "its pod is gone"),
        (job(condition="Complete", message="it is complete"), None, ""),
        (job(), pod(phase="Failed", reason="Evicted", message="low on memory"), "low on memory"),
        (job(), ended(137, reason="Error"), ""),
        (
            job(),
            ended(143, conditions=[{"type": "DisruptionTarget", "status": "True", "message": "drained"}]),
            "drained",
        ),
        (
            job(),
            ended(0, conditions=[{"type": "DisruptionTarget", "status": "True", "message": "drained"}]),
            "",
        ),
    ],
)
def test_what_ended_it_from_outside(job: Any, pod: Any, lost: str) -> None:
    assert read_state(job, pod).lost == lost


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"]
)
def test_an_image_that_cannot_be_had(reason: str) -> None:
    with pytest.raises(ImageUnavailable, match=r"^Image example\.com/step:1 cannot be pulled: not found$"):
        has_begun(pod({"waiting": {"reason": reason, "message": "not found"}}))


@pytest.mark.parametrize(
    "state",
    [
        {"waiting": {"reason": "CreateContainerConfigError", "message": "no such program"}},
        {"waiting": {"reason": "RunContainerError", "message": "no such program"}},
        {"terminated": {"reason": "StartError", "message": "no such program", "exitCode": 128}},
    ],
)
def test_a_container_that_cannot_be_started(state: dict[str, Any]) -> None:
    with pytest.raises(ContainerRefused, match="cannot be started: no such program"):
        has_begun(pod(state))


def test_a_log_is_there_once_its_program_runs() -> None:
    assert not has_begun(None)
    assert not has_begun(pod())
    assert not has_begun(pod({"waiting": {"reason": "ContainerCreating"}}))
    assert has_begun(pod({"running": {"startedAt": BEGUN}}))
    assert has_begun(ended(1))

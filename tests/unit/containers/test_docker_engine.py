"""Engines answer a little differently; what they say is understood."""

from __future__ import annotations

import datetime

import pytest

from pagemill.containers.docker_engine import is_name_conflict, read_state, read_version
from pagemill.containers.images import registry_of, with_registry, with_tag
from pagemill.containers.networks import gateway_of

NEVER = "0001-01-01T00:00:00Z"
BEGUN = "2026-11-28T18:06:31.615286766Z"


@pytest.mark.parametrize(
    ("status", "started", "phase"),
    [
        ("created", NEVER, "created"),
        ("configured", NEVER, "created"),
        ("initialized", NEVER, "created"),
        ("running", BEGUN, "running"),
        ("paused", BEGUN, "running"),
        ("restarting", BEGUN, "running"),
        ("exited", BEGUN, "ended"),
        ("exited", NEVER, "created"),
        ("stopped", BEGUN, "ended"),
        ("dead", BEGUN, "ended"),
    ],
)
def test_the_phase_of_a_container(status: str, started: str, phase: str) -> None:
    state = read_state({"Id": "1", "State": {"Status": status, "StartedAt": started}})

    assert state.phase == phase


@pytest.mark.parametrize("begun", [BEGUN, "2026-11-28T18:06:31Z", "2026-11-28T19:06:31.6+01:00"])
def test_the_end_of_a_container(begun: str) -> None:
    shown = {"Status": "exited", "StartedAt": begun, "ExitCode": 137, "OOMKilled": True}
    state = read_state({"Id": "1", "State": shown})

    assert (state.exit_code, state.out_of_memory) == (137, True)
    assert state.started == datetime.datetime(2026, 11, 28, 18, 6, 31, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("status", "message", "is_conflict"),
    [
        (409, 'Conflict. The container name "/x" is already in use by container "1"', True),
        (500, 'creating container storage: the container name "x" is already in use by 1', True),
        (500, "no such image", False),
    ],
)
def test_a_taken_name(status: int, message: str, is_conflict: bool) -> None:
    assert is_name_conflict(status, message) is is_conflict


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("lucidtechai/preprocess:v2.3.0", "docker.io/lucidtechai/preprocess:v2.3.0"),
        ("registry.example.com/a/b@sha256:00", "registry.example.com/a/b@sha256:00"),
        ("localhost/step", "localhost/step"),
        ("host:5000/step", "host:5000/step"),
    ],
)
def test_images_without_a_registry_are_those_of_docker(image: str, full: str) -> None:
    assert with_registry(image) == full
    assert full.startswith(f"{registry_of(image)}/")


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("host:5000/step", "host:5000/step:latest"),
        ("host:5000/step:1", "host:5000/step:1"),
        ("host/step@sha256:00", "host/step@sha256:00"),
        ("host/step:1@sha256:00", "host/step:1@sha256:00"),
        ("step", "step:latest"),
    ],
)
def test_an_image_without_a_tag_is_the_latest(image: str, full: str) -> None:
    assert with_tag(image) == full


@pytest.mark.parametrize(
    ("components", "version"),
    [
        ([{"Name": "Podman Engine", "Version": "4.3.1"}, {"Name": "Conmon"}], "Podman 4.3.1"),
        ([{"Name": "Engine", "Version": "4.3.1"}, {"Name": "containerd"}], "Docker 4.3.1"),
        (None, "Docker 4.3.1"),
    ],
)
def test_the_name_of_an_engine(components: list[dict[str, str]] | None, version: str) -> None:
    assert read_version({"Version": "4.3.1", "Components": components}) == version


@pytest.mark.parametrize(
    ("network", "gateway"),
    [
        ({"IPAM": {"Config": [{"Subnet": "10.89.0.0/24", "Gateway": "10.89.0.1"}]}}, "10.89.0.1"),
        ({"IPAM": {"Config": [{"Gateway": "fd00::1"}, {"Gateway": "10.0.0.1/24"}]}}, "10.0.0.1"),
        ({"IPAM": {"Config": [{"Subnet": "10.89.0.0/24"}]}}, ""),
        ({"IPAM": None}, ""),
    ],
)
def test_the_address_of_this_machine_in_a_network(network: dict[str, object], gateway: str) -> None:
    assert gateway_of(network) == gateway

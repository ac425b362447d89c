"""A container is created with all bounds, and without any privilege."""

from __future__ import annotations

import msgspec
import pytest

from pagemill.containers.bounds import bounds_of, host_entries
from pagemill.containers.create_config import create_config
from pagemill.containers.engine import ContainerSpec, RegistryLogin
from pagemill.settings import Settings, SettingsError, load_settings

SETTINGS = Settings(database_url="postgresql://unused", objects_url="file:///unused")
SPEC = ContainerSpec(
    image="registry.example.com/step@sha256:" + "0" * 64,
    environment={"A": "b=c", "EMPTY": ""},
    labels={"io.pagemill.subject": "las:transition-execution:1"},
    cpu=512,
    memory=1024,
)


def test_it_is_confined() -> None:
    config = create_config(SPEC, bounds_of(SETTINGS), [])
    host = config["HostConfig"]

    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["Tmpfs"] == {"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"}
    assert host["NetworkMode"] == "pagemill"
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["Binds"] == []
    assert config["Tty"] is config["OpenStdin"] is False


def test_it_is_bounded() -> None:
    host = create_config(SPEC, bounds_of(SETTINGS), [])["HostConfig"]

    assert host["NanoCpus"] == 500_000_000
    assert host["Memory"] == host["MemorySwap"] == 1024 * 1024 * 1024
    assert host["PidsLimit"] == 256
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1024, "Hard": 4096}]
    assert host["LogConfig"]["Config"] == {"max-size": "256m"}


def test_settings_are_obeyed() -> None:
    settings = msgspec.structs.replace(
        SETTINGS,
        container_network="own",
        container_processes=7,
        container_temporary=8,
        container_ulimits="nofile=10:20,nproc=30",
        container_user_namespace="auto",
        container_ca_file="/home/pagemill/tls/ca.pem",
    )
    entries = host_entries("10.89.0.1", "pagemill.localhost")
    host = create_config(SPEC, bounds_of(settings), entries)["HostConfig"]

    assert host["NetworkMode"] == "own"
    assert host["PidsLimit"] == 7
    assert host["Tmpfs"]["/tmp"].split(",")[3] == "size=8m"
    assert host["Ulimits"] == [
        {"Name": "nofile", "Soft": 10, "Hard": 20},
        {"Name": "nproc", "Soft": 30, "Hard": 30},
    ]
    assert host["UsernsMode"] == "auto"
    assert host["Binds"] == ["/home/pagemill/tls/ca.pem:/etc/pagemill/ca.pem:ro"]
    assert host["ExtraHosts"] == ["pagemill.localhost:10.89.0.1"]


def test_it_has_its_image_environment_and_labels() -> None:
    config = create_config(SPEC, bounds_of(SETTINGS), [])

    assert config["Image"] == SPEC.image
    assert config["Env"] == ["A=b=c", "EMPTY="]
    assert config["Labels"] == {"io.pagemill.subject": "las:transition-execution:1"}
    assert "Cmd" not in config


@pytest.mark.parametrize(("gateway", "name"), [("", "pagemill.localhost"), ("10.89.0.1", "")])
def test_without_an_address_there_is_no_line_of_hosts(gateway: str, name: str) -> None:
    assert host_entries(gateway, name) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CONTAINER_ENGINE_URL", "/run/podman/podman.sock"),
        ("CONTAINER_ENGINE_URL", "ssh://host"),
        ("CONTAINER_NETWORK", "container:abc"),
        ("CONTAINER_API_URL", "localhost:8443"),
        ("CONTAINER_API_URL", "https://user@host"),
        ("CONTAINER_CA_FILE", "/ca.pem:/etc/passwd"),
        ("CONTAINER_ULIMITS", "nofile"),
        ("CONTAINER_ULIMITS", "nofile=-1"),
        ("CONTAINER_GRACE", "0"),
        ("CONTAINER_CONCURRENCY", "0"),
    ],
)
def test_settings_that_no_engine_takes_are_refused(variable: str, value: str) -> None:
    required = {"PAGEMILL_DATABASE_URL": "postgresql://localhost/x", "PAGEMILL_OBJECTS_URL": "file:///x"}
    with pytest.raises(SettingsError, match=variable.lower()):
        load_settings(required | {f"PAGEMILL_{variable}": value})


def test_secrets_do_not_show_in_descriptions() -> None:
    assert "hidden" not in repr(RegistryLogin("user", "hidden"))
    assert "b=c" not in repr(SPEC)

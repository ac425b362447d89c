"""The engine is the one that the settings name, and where it cannot be one that is said."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pagemill.containers.docker_engine import DockerEngine
from pagemill.containers.engines import check_engine, is_kubernetes, open_engine
from pagemill.containers.kubernetes_access import HOST, PORT, find_access
from pagemill.settings import Settings, SettingsError, load_settings

SETTINGS = Settings(database_url="postgresql://unused", objects_url="file:///unused")


def with_engine(url: str) -> Settings:
    return msgspec.structs.replace(SETTINGS, container_engine_url=url)


async def test_there_is_none_without_an_address() -> None:
    assert open_engine(SETTINGS) is None
    check_engine(SETTINGS)


async def test_an_address_is_that_of_an_engine_of_dockers_kind() -> None:
    engine = open_engine(with_engine("unix:///nowhere.sock"))

    assert isinstance(engine, DockerEngine)
    await engine.close()


async def test_kubernetes_outside_of_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOST, raising=False)
    for refuse in (open_engine, check_engine):
        with pytest.raises(SettingsError, match=r"names Kubernetes, and this is no pod"):
            refuse(with_engine("kubernetes://pagemill-steps"))


def test_the_access_of_a_pod(tmp_path: Path) -> None:
    for name in ("token", "ca.crt"):
        (tmp_path / name).touch()

    assert find_access({HOST: "10.0.0.1", PORT: "6443"}, tmp_path).url == "https://10.0.0.1:6443"
    assert find_access({HOST: "fd00::1"}, tmp_path).url == "https://[fd00::1]:443"
    (tmp_path / "token").unlink()
    with pytest.raises(SettingsError):
        find_access({HOST: "10.0.0.1"}, tmp_path)


@pytest.mark.parametrize(
    ("url", "valid"),
    [
        ("kubernetes://pagemill-steps", True),
        ("kubernetes://", False),
        ("kubernetes://Steps", False),
        ("kubernetes://steps/other", False),
        ("kubernetes://" + "a" * 64, False),
    ],
)
def test_the_address_names_a_namespace(url: str, valid: bool) -> None:
    given = {
        "PAGEMILL_DATABASE_URL": "postgresql://unused",
        "PAGEMILL_OBJECTS_URL": "file:///unused",
        "PAGEMILL_CONTAINER_ENGINE_URL": url,
    }
    if valid:
        assert is_kubernetes(load_settings(given))
    else:
        with pytest.raises(SettingsError):
            load_settings(given)

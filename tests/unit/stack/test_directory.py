"""The data directory: one stack at a time, secrets made once and kept private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from pagemill.stack.directory import Credentials, DataDirectory, StackError


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    return directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_private(directory: DataDirectory) -> None:
    key = directory.token_key()
    secret_keys = directory.secret_keys()
    credentials = directory.credentials_made_once()
    token = directory.write_ray_token().read_text()

    again = DataDirectory(directory.path)

    assert again.token_key() == key
    assert again.secret_keys() == secret_keys
    assert again.credentials_made_once() == credentials
    assert again.write_ray_token().read_text() == token
    assert len({key, token, credentials.client_secret}) == 3
    assert min(len(key), len(token), len(credentials.client_secret)) >= 32
    for name in ("token-key", "secret-keys", "ray-token", "credentials.json"):
        assert mode(directory.path / name) == 0o600


def test_nobody_else_may_look_around(directory: DataDirectory) -> None:
    assert mode(directory.path) & 0o066 == 0
    for path in (directory.objects, directory.logs, directory.tls):
        assert mode(path) == 0o700


def test_before_the_first_up_there_are_no_credentials(directory: DataDirectory) -> None:
    with pytest.raises(StackError, match="run `pagemill up` first"):
        directory.credentials()


def test_a_damaged_file_is_named(directory: DataDirectory) -> None:
    (directory.path / "credentials.json").write_text("{")
    with pytest.raises(StackError, match=r"credentials\.json"):
        directory.credentials()


def test_a_file_that_cannot_be_written_leaves_the_old_one(directory: DataDirectory) -> None:
    before = directory.credentials_made_once()
    with pytest.raises(TypeError):
        directory.write(directory.path / "credentials.json", object())
    assert directory.credentials() == before
    assert [path.name for path in directory.path.glob(".*")] == []


def test_only_one_may_run_it(directory: DataDirectory) -> None:
    with directory.lock():
        assert directory.supervisor() == os.getpid()
        with (
            pytest.raises(StackError, match=rf"already runs in .* \(process {os.getpid()}\)"),
            DataDirectory(directory.path).lock(),
        ):
            pytest.fail("two at a time")
    assert directory.supervisor() is None
    with directory.lock():
        pass


def test_a_dead_supervisor_does_not_hold_the_lock(directory: DataDirectory) -> None:
    (directory.path / "lock").write_text("12345")
    assert directory.supervisor() is None
    with directory.lock():
        assert (directory.path / "lock").read_text() == str(os.getpid())


def test_a_directory_that_is_not_there_runs_nothing(tmp_path: Path) -> None:
    assert DataDirectory(tmp_path / "missing").supervisor() is None
    assert not (tmp_path / "missing").exists()


def test_a_file_in_its_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StackError, match="cannot be used"):
        DataDirectory(tmp_path / "data").prepare()


def test_two_directories_have_two_markers(tmp_path: Path) -> None:
    assert DataDirectory(tmp_path / "a").marker != DataDirectory(tmp_path / "b").marker
    assert DataDirectory(tmp_path / "a").marker == DataDirectory(tmp_path / "b" / ".." / "a").marker


def test_ids_have_the_forms_of_the_api(directory: DataDirectory) -> None:
    credentials = directory.credentials_made_once()
    assert isinstance(credentials, Credentials)
    assert msgspec.structs.asdict(credentials).keys() == {
        "organization_id",
        "app_client_id",
        "client_id",
        "client_secret",
    }
    assert credentials.organization_id.startswith("las:organization:")
    assert credentials.app_client_id.startswith("las:app-client:")
    assert credentials.client_id.isalnum()

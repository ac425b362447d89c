"""What ``pagemill env`` prints is what a shell makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pagemill.stack.client_environment import client_environment, ray_environment, shell_exports
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.state_file import StackState

NAMES = {
    "LAS_CLIENT_ID",
    "LAS_CLIENT_SECRET",
    "LAS_AUTH_ENDPOINT",
    "LAS_API_ENDPOINT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
}


def a_directory(path: Path) -> DataDirectory:
    directory = DataDirectory(path)
    directory.prepare()
    directory.credentials_made_once()
    state = StackState(process_id=1, url="https://localhost:9443", port=9443, parts={})
    directory.write(directory.state, state)
    return directory


@pytest.mark.parametrize("name", ["data", "my data", 'it\'s $HOME; rm -rf `x` "y"'])
def test_a_shell_reads_the_same_values(tmp_path: Path, name: str) -> None:
    environment = client_environment(a_directory(tmp_path / name))
    script = shell_exports(environment) + "\n" + "".join(f'printf "%s\\0" "${key}"\n' for key in environment)
    read = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert read.split("\0")[:-1] == list(environment.values())


def test_the_endpoints_have_the_forms_that_clients_expect(tmp_path: Path) -> None:
    directory = a_directory(tmp_path / "data")
    environment = client_environment(directory)
    assert environment.keys() == NAMES
    assert environment["LAS_AUTH_ENDPOINT"] == "localhost:9443"
    assert environment["LAS_API_ENDPOINT"] == "https://localhost:9443/v1"
    assert environment["LAS_CLIENT_ID"] == directory.credentials().client_id
    assert {environment[name] for name in NAMES if "CA" in name.split("_")} == {str(directory.ca_certificate)}


def test_before_the_first_up_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="pagemill up"):
        client_environment(DataDirectory(tmp_path))
    with pytest.raises(StackError, match="pagemill up"):
        ray_environment(DataDirectory(tmp_path))


def test_a_stack_without_a_ray_of_its_own_says_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no Ray of its own"):
        ray_environment(a_directory(tmp_path))

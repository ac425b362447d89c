"""What a running stack offers to other machines, and to other processes of this one."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import psutil
import pytest

from examples.local_stack import LocalStack
from pagemill.settings import SECRET
from pagemill.stack.directory import DataDirectory
from pagemill.stack.listening import ports_open_to_others
from pagemill.stack.probes import dashboard_json
from tests.acceptance.conftest import Trained
from tests.support.stack import stack_processes

DOCUMENTED = re.compile(r"ray::.*")
"""Programs that may listen on all addresses: workers of Ray. See docs/operations.md, "Where it listens"."""


def test_nothing_but_workers_of_ray_listens_beyond_this_machine(stack: LocalStack) -> None:
    found = ports_open_to_others(DataDirectory(stack.data_directory).marker)
    assert [one for one in found if not DOCUMENTED.fullmatch(one.program)] == []
    servers = {
        one.laddr.port
        for process in stack_processes(stack.data_directory)
        if "granian" in " ".join(process.cmdline()) or "postgres" in process.name()
        for one in connections(process)
        if one.status == psutil.CONN_LISTEN
    }
    assert len(servers) >= 2
    assert [one for one in found if one.port in servers] == []


def test_it_is_said_at_the_start_what_others_can_reach(stack: LocalStack) -> None:
    assert re.search(r"listens beyond this machine[ :,]|nothing listens beyond", stack.log.read_text())


def test_the_processes_that_were_looked_at_are_those_of_the_stack(stack: LocalStack) -> None:
    listening = [
        process
        for process in stack_processes(stack.data_directory)
        if any(one.status == psutil.CONN_LISTEN for one in connections(process))
    ]
    assert len(listening) >= 5


def connections(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections(kind="tcp"))
    except psutil.Error:
        return []


def test_ray_has_no_server_of_its_client(stack: LocalStack) -> None:
    commands = [" ".join(process.cmdline()) for process in stack_processes(stack.data_directory)]
    assert any("gcs_server" in command for command in commands)
    assert [command for command in commands if "ray.util.client.server" in command] == []


@pytest.fixture(scope="module")
def keys(stack: LocalStack) -> dict[str, str]:
    """The keys that one process alone is given."""
    directory = DataDirectory(stack.data_directory)
    return {
        "token key": directory.token_key(),
        "secret keys": directory.secret_keys(),
        "secret key": directory.secret_keys().partition(":")[2],
    }


def test_no_process_of_ray_has_keys_in_its_environment(stack: LocalStack, keys: dict[str, str]) -> None:
    seen = 0
    for process in stack_processes(stack.data_directory):
        name = " ".join(process.cmdline())
        if "granian" in name or "pagemill.cli" in name:
            continue
        environment = process.environ()
        seen += bool(environment)
        assert [key for key, value in keys.items() if value in environment.values()] == [], name
    assert seen >= 5


@pytest.mark.parametrize("kind", ["actors", "tasks", "jobs", "workers", "runtime_envs"])
def test_ray_shows_no_secrets(stack: LocalStack, trained: Trained, keys: dict[str, str], kind: str) -> None:
    url = str(stack.status()["ray"]["dashboardUrl"])
    path = "/api/jobs/" if kind == "jobs" else f"/api/v0/{kind}?detail=true&limit=10000"
    shown = json.dumps(dashboard_json(url, path, stack.data_directory / "ray-token"))
    assert [name for name, value in keys.items() if value in shown] == []
    assert [name for name in SECRET if f"PAGEMILL_{name.upper()}" in shown] == []


def test_ray_shows_no_secrets_of_applications(stack: LocalStack, keys: dict[str, str]) -> None:
    url = str(stack.status()["ray"]["dashboardUrl"])
    shown = json.dumps(dashboard_json(url, "/api/serve/applications/", stack.data_directory / "ray-token"))
    assert "PAGEMILL_" in shown
    assert [name for name in SECRET if f"PAGEMILL_{name.upper()}" in shown] == []
    assert [name for name, value in keys.items() if value in shown] == []


def test_the_logs_have_no_secrets(stack: LocalStack, keys: dict[str, str], trained: Trained) -> None:
    directory = DataDirectory(stack.data_directory)
    values = {
        **keys,
        "client secret": directory.credentials().client_secret,
        "token of Ray": directory.ray_token.read_text().strip(),
    }
    for value in values.values():
        done = subprocess.run(
            ["grep", "-rlF", "--", value, str(directory.logs), str(stack.log)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == ""

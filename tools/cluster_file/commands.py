"""Checks of the commands in ``cluster.yaml``: shells, options, variables and paths."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click
import msgspec
from ray.autoscaler._private.util import fillout_defaults
from ray.scripts.scripts import start as ray_start

from pagemill.cli import main as pagemill
from pagemill.settings import PREFIX, Settings, SettingsError, load_settings
from tools.cluster_file.loading import Json
from tools.cluster_file.ray_names import ray_names

LISTS = (
    *("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands"),
    *("head_start_ray_commands", "worker_start_ray_commands"),
)
HERE_DOCUMENT = re.compile(r"<<'(\w+)'\n(.*?)\n\1$", re.DOTALL | re.MULTILINE)
ASSIGNMENT = re.compile(r"(?<![\w$-])([A-Z]+(?:_\w+)?)=(\S*)")
START = re.compile(r"(?:^|\s)pagemill (node start .*)")
INSTALL = re.compile(r"pip install (.*)")
PATH = re.compile(r"(?:~|\$HOME)/([\w.-]+(?:/[\w.-]+)?)")
OF_RAY_UP = "ray_bootstrap_config.yaml"
"""File that ``ray up`` writes on the head."""
OTHERS = {"PATH"}
ELSEWHERE = {"PAGEMILL_DATABASE_URL": "postgresql://elsewhere", "PAGEMILL_OBJECTS_URL": "s3://elsewhere"}


def commands_of(cluster: Json) -> list[str]:
    """Return all commands of a file."""
    return [command for name in LISTS for command in cluster.get(name, [])]


def faults_of_commands(cluster: Json) -> Iterator[str]:
    """Yield what is wrong in the commands, a line each."""
    commands = commands_of(cluster)
    for command in commands:
        yield from _shell_faults(command)
        yield from _install_faults(command)
    yield from _added_faults(cluster)
    yield from _variable_faults(commands)
    yield from _path_faults(commands, cluster["file_mounts"])
    yield from _start_faults(cluster)


def _added_faults(cluster: Json) -> Iterator[str]:
    """Yield the commands that Ray runs where a list is not in the file: its own for the cloud."""
    filled = fillout_defaults(cluster)
    for name in LISTS:
        for command in filled.get(name, []):
            if command not in cluster.get(name, []):
                yield f"{name}: without it Ray runs its own: {command}"


@functools.cache
def _shell_faults(command: str) -> tuple[str, ...]:
    return tuple(_faults_of_shells(command))


def _faults_of_shells(command: str) -> Iterator[str]:
    for script in (command, *(body for _, body in HERE_DOCUMENT.findall(command))):
        parsed = subprocess.run(
            ["bash", "-n"], input=script, capture_output=True, text=True, check=False, timeout=10
        )
        if parsed.returncode or parsed.stderr:
            yield f"no shell understands {script[:60]!r}: {parsed.stderr.strip()}"
    if re.search(r"\bray stop\b", command):
        yield "`ray stop` ends every Ray of a machine: `pagemill node stop` ends this one"


def _install_faults(command: str) -> Iterator[str]:
    for arguments in INSTALL.findall(command):
        if "--require-hashes" not in arguments and "--no-index" not in arguments:
            yield f"pip installs from an index what has no hash: {arguments}"


def _variable_faults(commands: list[str]) -> Iterator[str]:
    known = {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings)}
    assigned = dict(
        found
        for command in commands
        for line in command.splitlines()
        if not line.lstrip().startswith("#")
        for found in ASSIGNMENT.findall(line)
    )
    for name, value in assigned.items():
        if name.startswith("RAY_"):
            if name not in ray_names():
                yield f"{name} is no variable of Ray's"
            elif not name.startswith("RAY_AUTH_") and not value.isdecimal():
                yield f"{name}={value} is no number"
        elif name not in known | OTHERS:
            yield f"{name} is no setting"
    try:
        load_settings({**ELSEWHERE, **{name: value for name, value in assigned.items() if name in known}})
    except SettingsError as error:
        yield str(error)
    if assigned.get("RAY_AUTH_MODE") != "token":
        yield "RAY_AUTH_MODE is not `token`: everybody who reaches a node could run programs there"


def _path_faults(commands: list[str], mounts: dict[str, str]) -> Iterator[str]:
    mounted = {remote.removeprefix("~/") for remote in mounts}
    mentioned = Counter(path for command in commands for path in PATH.findall(command))
    for path in sorted(mounted - set(mentioned)):
        yield f"~/{path} is mounted, and no command uses it"
    for path, count in sorted(mentioned.items()):
        if path not in mounted and count == 1 and path != OF_RAY_UP:
            yield f"~/{path} is mentioned once: nothing makes it, or nothing uses it"


def _start_faults(cluster: Json) -> Iterator[str]:
    starts: dict[str, dict[str, Any]] = {}
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):
        found = [START.search(command) for command in cluster.get(name, [])]
        if len(found) != 1 or found[0] is None:
            yield f"{name}: one command, which is `pagemill node start`"
            continue
        try:
            starts[name] = _options(shlex.split(found[0][1]))
        except (click.ClickException, ValueError) as error:
            yield f"{name}: {error.format_message() if isinstance(error, click.ClickException) else error}"
    if len(starts) == 2:
        yield from _disagreements(*starts.values())


def _disagreements(head: dict[str, Any], worker: dict[str, Any]) -> Iterator[str]:
    if not head["head"] or worker["head"]:
        yield "the head is started with --head, and no other node is"
    if worker["address"] != f"$RAY_HEAD_IP:{head['port']}":
        yield f"the head listens at port {head['port']}, and nodes join {worker['address']}"
    if not head["metrics_export_port"] or head["metrics_export_port"] != worker["metrics_export_port"]:
        yield "--metrics-export-port is not the same on all nodes"
    if head["dashboard_host"] != "127.0.0.1":
        yield "the dashboard is open to the network"
    if head["autoscaling_config"] != f"~/{OF_RAY_UP}":
        yield f"--autoscaling-config is not ~/{OF_RAY_UP}"
    if head["num_cpus"] != 0:
        yield "--num-cpus=0 keeps work off the head"


def _options(words: list[str]) -> dict[str, Any]:
    """Return the options of ``ray start``. Raises click.ClickException for one that is not known."""
    command: click.Command = pagemill
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    context = command.make_context("pagemill node start", words)
    arguments = list(context.params["arguments"])
    options: dict[str, Any] = ray_start.make_context("ray start", arguments).params
    return options

"""A provider of machines for ``ray up`` that are home directories of this one.

``provider: {type: external, module: tests.support.home_provider.HomeProvider, directory: ...}``
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ray.autoscaler.command_runner import CommandRunnerInterface
from ray.autoscaler.node_provider import NodeProvider

from tests.support.cluster_home import NodeHome

ADDRESS = "127.0.0.1"


class HomeRunner(CommandRunnerInterface):
    """Commands and copies in a home directory, in the place of ssh and rsync."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home

    def run(self, cmd: str | None = None, **options: Any) -> str:
        done = self._home.run(cmd or "true", **(options.get("environment_variables") or {}))
        sys.stdout.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise SystemExit(f"{cmd}\n{done.stdout}\n{done.stderr}")
        self._home.lend_packages()
        return done.stdout

    def run_rsync_up(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        place = self._home.home / target.removeprefix("~/").rstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True)
        else:
            shutil.copy(source, place)

    def run_rsync_down(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        raise NotImplementedError

    def remote_shell_command_str(self) -> str:
        return f"HOME={self._home.home} bash"

    def run_init(self, *, as_head: bool, file_mounts: dict[str, str], sync_run_yet: bool) -> bool | None:
        return None


class HomeProvider(NodeProvider):
    """Machines by their numbers; what is known of them stands in a file, for the next command."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self._directory = Path(provider_config["directory"])

    @property
    def _known(self) -> Path:
        return self._directory / "machines.json"

    def _machines(self) -> dict[str, dict[str, str]]:
        if not self._known.exists():
            return {}
        machines: dict[str, dict[str, str]] = json.loads(self._known.read_text())
        return machines

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        return [name for name, tags in self._machines().items() if tag_filters.items() <= tags.items()]

    def is_running(self, node_id: str) -> bool:
        return node_id in self._machines()

    def is_terminated(self, node_id: str) -> bool:
        return not self.is_running(node_id)

    def node_tags(self, node_id: str) -> dict[str, str]:
        return self._machines()[node_id]

    def external_ip(self, node_id: str) -> str:
        return ADDRESS

    def internal_ip(self, node_id: str) -> str:
        return ADDRESS

    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> None:
        machines = self._machines()
        self._known.write_text(json.dumps(machines | {f"machine-{len(machines)}": tags}))

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        machines = self._machines()
        machines[node_id] |= tags
        self._known.write_text(json.dumps(machines))

    def terminate_node(self, node_id: str) -> None:
        machines = self._machines()
        del machines[node_id]
        self._known.write_text(json.dumps(machines))

    def get_command_runner(self, *arguments: Any, **named: Any) -> HomeRunner:
        node_id = named.get("node_id") or arguments[1]
        return HomeRunner(NodeHome(self._directory / node_id))

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        return cluster_config

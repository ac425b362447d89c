"""The start commands of cluster.yaml: a head and a node that leaves when its machine is taken away."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from ray.autoscaler._private.util import with_head_node_ip

from benchmarks.pretended_nodes import HEAD_ENVIRONMENT, pretended
from pagemill.pools import POOL_LABEL
from pagemill.stack.ray_head import HeadPorts, choose_ports
from pagemill.stack.ray_node import NodeDirectory
from tests.support.cluster_home import NodeHome, cluster_file, operators_directory
from tests.support.instance_metadata import NOTICE, Metadata
from tests.support.processes import wait_until_gone
from tools.release.packages import build

pytestmark = [pytest.mark.long, pytest.mark.ray, pytest.mark.timeout(420)]
ROOT = Path(__file__).parents[3]
CLUSTER = cluster_file()
DEADLINE = 120.0
FILES = 65536
NODES = """
import json, ray
ray.init(address=ADDRESS, log_to_driver=False)
print("nodes", json.dumps([[n["Alive"], n["Labels"], n["Resources"]] for n in ray.nodes()]))
"""


@dataclass(frozen=True, slots=True)
class Nodes:
    """A head and a node that reads, each with a home and ports of its own on this machine."""

    head: NodeHome
    worker: NodeHome
    metadata: Metadata
    ports: HeadPorts
    more: HeadPorts
    """Ports of the node, of which ``client`` is that of metrics of the head, ``head`` that of its own."""

    def start_head(self) -> None:
        [command] = CLUSTER["head_start_ray_commands"]
        configuration = pretended(f"127.0.0.1:{self.ports.head}", idle_seconds=60, cpus_divided_by=8)
        (self.head.home / "ray_bootstrap_config.yaml").write_text(yaml.safe_dump(configuration))
        pretending = "".join(f"export {name}={value}; " for name, value in HEAD_ENVIRONMENT.items())
        self._start(
            self.head,
            pretending + command,
            CLUSTER["head_node_type"],
            f"--port={self.ports.head}",
            f"--ray-client-server-port={self.ports.client}",
            f"--dashboard-port={self.ports.dashboard}",
            f"--dashboard-agent-listen-port={self.ports.dashboard_agent}",
            f"--metrics-export-port={self.more.client}",
        )

    def start_worker(self) -> None:
        [command] = with_head_node_ip(CLUSTER["worker_start_ray_commands"], "127.0.0.1")
        metadata = "http://169.254.169.254"
        assert metadata in command
        self._start(
            self.worker,
            command.replace(metadata, self.metadata.url),
            "reading",
            f"--address=127.0.0.1:{self.ports.head}",
            f"--dashboard-agent-listen-port={self.more.dashboard_agent}",
            f"--metrics-export-port={self.more.head}",
        )

    def _start(self, home: NodeHome, command: str, node_type: str, *ports: str) -> None:
        """Run a start command with ports of its own: the last word on each counts."""
        node = CLUSTER["available_node_types"][node_type]
        assert f"ulimit -n {FILES}" in command
        command = command.replace(f"ulimit -n {FILES}", f"ulimit -n {files_allowed()}")
        changed = " ".join(
            [
                command,
                *ports,
                "--node-ip-address=127.0.0.1",
                "--min-worker-port=0",
                "--max-worker-port=0",
                f"--temp-dir={home.home / 'ray'}",
            ]
        )
        done = home.run(
            changed,
            # The machine of a test is smaller.
            RAY_OVERRIDE_RESOURCES={**node["resources"], "object_store_memory": 100 * 1024**2},
            RAY_OVERRIDE_LABELS=node["labels"],
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Ray runs" in done.stdout

    def seen(self) -> list[tuple[bool, dict[str, str], dict[str, float]]]:
        """Return the state, labels and resources of each node, as the head has them."""
        code = NODES.replace("ADDRESS", repr(f"127.0.0.1:{self.ports.head}"))
        script = self.head.home / "nodes.py"
        script.write_text(code)
        done = self.head.run(f". ~/pagemill/environment && python {script}")
        assert done.returncode == 0, done.stderr
        [line] = [line for line in done.stdout.splitlines() if line.startswith("nodes ")]
        return [(alive, labels, resources) for alive, labels, resources in json.loads(line[6:])]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    # Sockets lie below this directory, and their paths are limited to 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="pmc-", dir="/tmp"))
    build(ROOT, directory / "built")
    [wheel] = (directory / "built").glob("*.whl")
    files = operators_directory(directory / "operator", wheel)
    homes = [NodeHome(directory / name) for name in ("h", "w")]
    try:
        with Metadata() as metadata:
            for home in homes:
                home.copy(files, CLUSTER["file_mounts"])
                home.set_up(CLUSTER["setup_commands"])
            yield Nodes(*homes, metadata, choose_ports(None), choose_ports(None))
    finally:
        for home in homes:
            home.run(". ~/pagemill/environment && pagemill node stop --seconds=0")
        shutil.rmtree(directory, ignore_errors=True)


def files_allowed() -> int:
    """The files that a process may have open: those of cluster.yaml, or what the machine of a test allows."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES if most == resource.RLIM_INFINITY else min(FILES, most)


def until(condition: Callable[[], object]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def processes_of(home: NodeHome) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(home.home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def scraped(port: int) -> str:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text: str = answer.read().decode()
        return text if "ray_" in text else ""
    return ""


def test_a_cluster_starts_and_a_node_leaves(nodes: Nodes) -> None:
    nodes.start_head()
    nodes.start_worker()

    by_pool = {labels[POOL_LABEL]: resources for alive, labels, resources in nodes.seen() if alive}
    assert set(by_pool) == {"head", "reading"}
    assert by_pool["head"].get("CPU", 0) == 0
    assert by_pool["reading"]["CPU"] == 8

    for port in (nodes.more.client, nodes.more.head):
        until(lambda port=port: scraped(port))
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {ip for ip, port in listening if port == nodes.ports.dashboard} == {"127.0.0.1"}

    for home in (nodes.head, nodes.worker):
        lines = [" ".join(process.cmdline()) for process in processes_of(home)]
        assert [line for line in lines if str(home.home / "pagemill/spill") in line] != []
        raylet = next(process for process in processes_of(home) if process.name() == "raylet")
        assert raylet.rlimit(psutil.RLIMIT_NOFILE)[0] == files_allowed()

    nodes.metadata.announced = NOTICE
    until(lambda: not processes_of(nodes.worker))
    log = (nodes.worker.home / "pagemill/node/node.log").read_text()
    assert f"the machine will be taken away ({NOTICE}): Ray drains this node" in log
    assert sorted((labels[POOL_LABEL], alive) for alive, labels, _ in nodes.seen()) == [
        ("head", True),
        ("reading", False),
    ]

    # A head that dies is started again; `ray up` after a change ends it and starts another one.
    first = NodeDirectory(nodes.head.home / "pagemill/node").read()
    assert first is not None
    [ray] = psutil.Process(first.process_id).children()
    ray.kill()
    until(lambda: [one for one in psutil.Process(first.process_id).children() if one.pid != ray.pid])
    nodes.start_head()
    second = NodeDirectory(nodes.head.home / "pagemill/node").read()
    assert second is not None
    assert second != first
    wait_until_gone(first.process_id)

    assert "stopped" in nodes.head.run(". ~/pagemill/environment && pagemill node stop").stdout
    until(lambda: not processes_of(nodes.head))

"""A Ray cluster of several nodes on this machine, in the pools of cluster.yaml; each is a process of its own.

Postgres, objects, dispatchers and jobs are real; ``benchmarks.stub_applications`` says what is not.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.node_watch import NodeWatch
from benchmarks.rehearsal_pools import CLUSTER
from benchmarks.servers import DATABASE, durable_postgres
from benchmarks.stub_documents import READS
from pagemill.cluster.serve_configuration import RELEASE
from pagemill.pools import POOL_LABEL, Pool
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings, load_settings, to_environment
from pagemill.stack.probes import port_answers
from pagemill.stack.processes import child_environment, marked
from pagemill.stack.ray_head import choose_ports
from pagemill.stack.stack_configuration import worker_settings

START_SECONDS = 120.0
DEPLOY_SECONDS = 240.0
COMMAND_SECONDS = 60.0
POLL_SECONDS = 0.1
OBJECT_STORE_BYTES = 100 * 1024 * 1024
_RAY_VARIABLE = re.compile(r"^\s*(RAY_\w+)=(\d+)\s*$", re.MULTILINE)


@dataclass(slots=True)
class Node:
    """A node: ``ray start --block`` and all that it has started."""

    node_id: str
    pool: Pool
    process: subprocess.Popen[bytes]

    def processes(self) -> list[psutil.Process]:
        """Return the processes that are alive, the first one included."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def titles(self) -> list[str]:
        """Return the command lines of its processes; Ray's workers name what they run there."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline()))
        return found

    def kill(self) -> None:
        """Kill all its processes at once, as a machine that loses its power."""
        found = self.processes()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to end, as a machine that is shut down; return at once."""
        self.process.send_signal(signal.SIGTERM)


class ClusterNodes:
    """A cluster on ports and in a directory of its own; nodes come by ``add_node``, or by an autoscaler."""

    def __init__(self, directory: Path, database_url: str, changed: Mapping[str, str]) -> None:
        self.directory = directory
        self._marker = secrets.token_hex(12)
        self._ports = choose_ports(None)
        self._token = directory / "token"
        self._token.write_text(secrets.token_hex(32))
        self._nodes: list[Node] = []
        self.reads = directory / "reads"
        self.reads.touch()
        (directory / "objects").mkdir()
        self.settings: Settings = load_settings(
            {
                "PAGEMILL_DATABASE_URL": database_url,
                "PAGEMILL_OBJECTS_URL": (directory / "objects").as_uri(),
                "PAGEMILL_RAY_ADDRESS": self.address,
                "PAGEMILL_SECRET_KEYS": new_secret_key("1"),
                **changed,
            }
        )
        self.watch: NodeWatch | None = None

    @property
    def address(self) -> str:
        """Return ``host:port`` of the head."""
        return f"127.0.0.1:{self._ports.head}"

    @property
    def head(self) -> Node:
        """Return the node of the head."""
        return self._nodes[0]

    @property
    def nodes(self) -> list[Node]:
        """Return all nodes in the order of their start, those that have ended too."""
        return list(self._nodes)

    def environment(self, settings: Settings, **more: str) -> dict[str, str]:
        """Return the environment of a process that belongs to the cluster or connects to it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return child_environment(
            inherited,
            to_environment(settings),
            self._marker,
            **{
                **ray_variables(),
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN_PATH": str(self._token),
                "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
                "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
                READS: str(self.reads),
                **more,
            },
        )

    def start_head(
        self,
        autoscaling: Mapping[str, Any] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Node:
        """Start the head, which offers no CPU; with a configuration it starts and ends nodes itself."""
        arguments = [
            "--head",
            f"--port={self._ports.head}",
            f"--ray-client-server-port={self._ports.client}",
            "--include-dashboard=false",
        ]
        if autoscaling is not None:
            file = self.directory / "autoscaling.json"
            file.write_text(json.dumps(autoscaling))
            arguments.append(f"--autoscaling-config={file}")
        head = self._start(Pool.HEAD, arguments, cpus=0, gpus=0, more=environment or {})
        _wait_for(lambda: port_answers(self._ports.head), "the head to answer", head, self._log(head))
        if self.watch is not None:
            self.watch.close()
        self.watch = NodeWatch(self.address, self.environment(self.settings))
        self._wait_until_seen(head)
        return head

    def add_node(
        self, pool: Pool, *, cpus: int = 0, gpus: int = 0, environment: Mapping[str, str] | None = None
    ) -> Node:
        """Start a node of a pool, and return when the head has it; ``environment`` is added to its own."""
        address = f"--address={self.address}"
        node = self._start(pool, [address], cpus=cpus, gpus=gpus, more=environment or {})
        self._wait_until_seen(node)
        return node

    def deploy(self, *, release: str = "") -> None:
        """Deploy as the product does, with stub applications. Raises RuntimeError with what went wrong."""
        program = [sys.executable, "-m", "benchmarks.stub_applications"]
        self.run(program, DEPLOY_SECONDS, **{RELEASE: release})

    def processes(self) -> list[psutil.Process]:
        """Return the processes of all nodes."""
        return marked(self._marker)

    def drain(self, node_id: str) -> None:
        """Tell the cluster that a node is to go, without a deadline; nobody ends it."""
        self.run(
            [
                *ray_command("drain-node"),
                f"--address={self.address}",
                f"--node-id={node_id}",
                "--reason=DRAIN_NODE_REASON_PREEMPTION",
                "--reason-message=a rehearsal",
            ],
            COMMAND_SECONDS,
        )

    def run(self, command: Sequence[str], seconds: float, **more: str) -> str:
        """Run a program with the keys of the dispatcher; return its output. Raises RuntimeError."""
        done = subprocess.run(
            command,
            env=self.environment(self.settings, **more),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def close(self) -> None:
        """Kill everything."""
        if self.watch is not None:
            self.watch.close()
        deadline = time.monotonic() + START_SECONDS
        while (left := marked(self._marker)) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=POLL_SECONDS)
        for node in self._nodes:
            node.process.wait()

    def _start(
        self, pool: Pool, arguments: Sequence[str], *, cpus: int, gpus: int, more: Mapping[str, str]
    ) -> Node:
        node_id = secrets.token_hex(28)
        command = [
            *ray_command("start"),
            "--block",
            *arguments,
            "--disable-usage-stats",
            "--include-log-monitor=false",
            f"--node-ip-address={_host(self.address)}",
            "--min-worker-port=0",
            "--max-worker-port=0",
            "--dashboard-agent-listen-port=0",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            f"--labels={POOL_LABEL}={pool}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            f"--temp-dir={self.directory / 'ray'}",
        ]
        environment = self.environment(worker_settings(self.settings), **more)
        environment.setdefault("RAY_OVERRIDE_NODE_ID_FOR_TESTING", node_id)
        with (self.directory / f"{len(self._nodes)}-{pool}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        node = Node(environment["RAY_OVERRIDE_NODE_ID_FOR_TESTING"], pool, process)
        self._nodes.append(node)
        return node

    def _wait_until_seen(self, node: Node) -> None:
        watch = self.watch
        assert watch is not None
        _wait_for(
            lambda: any(seen.node_id == node.node_id for seen in watch.latest.nodes),
            f"the node {node.pool}",
            node,
            self._log(node),
        )

    def _log(self, node: Node) -> Path:
        return self.directory / f"{self._nodes.index(node)}-{node.pool}.log"


@contextlib.contextmanager
def cluster_nodes(changed: Mapping[str, str] | None = None) -> Iterator[ClusterNodes]:
    """Yield a cluster without nodes, some of its settings ``changed``; what fails leaves its directory."""
    # Sockets lie below this directory, and their paths are limited to 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="pmr-", dir="/tmp"))
    with durable_postgres() as postgres:
        cluster = ClusterNodes(directory, postgres.url(DATABASE), changed or {})
        try:
            yield cluster
        except Exception:
            print(f"what was written lies in {directory}", file=sys.stderr)
            raise
        else:
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            cluster.close()


def ray_variables(path: Path = CLUSTER) -> dict[str, str]:
    """Return the switches of Ray that cluster.yaml gives its nodes."""
    commands = "\n".join(yaml.safe_load(path.read_text())["setup_commands"])
    return dict(_RAY_VARIABLE.findall(commands))


def ray_command(name: str) -> list[str]:
    """Return the beginning of a command of Ray."""
    return [sys.executable, "-P", "-m", "ray.scripts.scripts", name]


def _host(address: str) -> str:
    return address.rpartition(":")[0]


def _wait_for(condition: Any, what: str, node: Node, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if node.process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"waited for {what}:\n{log.read_text()[-3000:]}")
        time.sleep(POLL_SECONDS)

"""How the embedded head is asked to run."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

from pagemill.stack.directory import DataDirectory
from pagemill.stack.ray_head import RESERVED_PORTS, HeadPorts, RayHead, choose_ports, head_command
from pagemill.stack.stack_configuration import StackConfiguration

PORTS = HeadPorts(
    head=40001,
    client=40002,
    dashboard=40003,
    dashboard_agent=40004,
    metrics_agent=40006,
    runtime_env_agent=40007,
    metrics=40005,
)


def test_ports_are_free_and_keep_out_of_the_workers_range() -> None:
    ports = choose_ports(None)
    chosen = dataclasses.astuple(ports)
    assert len(set(chosen)) == len(chosen) == 7
    assert not any(port in RESERVED_PORTS for port in chosen)


def test_known_ports_are_kept_unless_somebody_took_them() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        before = dataclasses.replace(PORTS, dashboard=port, metrics=port)
        kept = choose_ports(before)
        assert (kept.dashboard, kept.metrics) == (port, port)
        taken.listen()
        changed = choose_ports(before)
        assert port not in (changed.dashboard, changed.metrics)


def test_the_head_can_be_supervised_and_stays_on_this_machine() -> None:
    command = head_command(PORTS, 2, Path("/tmp/pm-x/r"))
    assert command[3:7] == ["pagemill.stack.ray_program", "start", "--head", "--block"]
    assert not any("client-server" in word for word in command)
    # Those that it would wait for.
    assert {"--dashboard-agent-grpc-port=40006", "--runtime-env-agent-port=40007"} < {*command}
    for option in (
        "--num-cpus=2",
        "--port=40001",
        "--dashboard-host=127.0.0.1",
        "--dashboard-port=40003",
        "--metrics-export-port=40005",
        "--node-ip-address=127.0.0.1",
        "--temp-dir=/tmp/pm-x/r",
        "--disable-usage-stats",
    ):
        assert option in command


def test_whoever_is_let_in_shows_the_token_and_no_http_server_is_started(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.prepare()
    configuration = StackConfiguration(directory, {}, 9443)
    head = RayHead(configuration, lambda: configuration.settings("postgresql://unused", None))
    environment = head.client_environment()
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert len(Path(environment["RAY_AUTH_TOKEN_PATH"]).read_text()) >= 32
    assert environment["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert environment["RAY_SERVE_ENABLE_DIRECT_INGRESS"] == "0"


def test_the_path_of_a_socket_is_short_enough() -> None:
    name = "/tmp/pm-abcdefgh/r/session_2026-11-24_18-58-49_123456_1234567/sockets/plasma_store.1"
    assert len(name) <= 107

"""What the embedded Ray's command does besides Ray's own."""

from __future__ import annotations

from pagemill.stack.ray_program import told_to_raylet


def test_a_raylet_is_told_the_port_of_the_agent_that_it_starts() -> None:
    agent = "python agent.py --grpc-port=40006 --listen-port=40004 --node-manager-port=PLACEHOLDER"
    command = ["raylet", "--metrics_export_port=40005", f"--dashboard_agent_command={agent}"]

    assert told_to_raylet(command) == ["--dashboard_agent_listen_port=40004"]
    assert told_to_raylet(["raylet"]) == []

"""The ``ray`` command, without what it has no options against.

``ray start --head`` starts the server of Ray's client whenever its library is there. Whoever reaches it with
the token runs code here, and nothing here uses it.

A raylet that is not told the port of the dashboard's agent waits 15 s until the agent says it, and dies. On a
busy machine the agent takes longer to start, and Ray tells the port to the agent alone.
"""

from __future__ import annotations

from typing import Any

from ray._private import ray_constants, services
from ray.scripts import scripts

AGENT_PORT = "--listen-port="
RAYLET_PORT = "--dashboard_agent_listen_port="


def main() -> None:
    """Run the command."""
    program, starting = vars(scripts), vars(services)
    program["get_ray_client_dependency_error"] = lambda: ImportError("Ray's client is not used")
    start = starting["start_ray_process"]

    def start_ray_process(command: list[str], process_type: str, *arguments: Any, **named: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_RAYLET:
            command = [*command, *told_to_raylet(command)]
        return start(command, process_type, *arguments, **named)

    starting["start_ray_process"] = start_ray_process
    program["main"]()


def told_to_raylet(command: list[str]) -> list[str]:
    """Return the option with the port that the command of the dashboard's agent, within a raylet's, has."""
    words = [word for part in command for word in part.split() if AGENT_PORT in word]
    return [RAYLET_PORT + word.partition(AGENT_PORT)[2] for word in words[:1]]


if __name__ == "__main__":
    main()

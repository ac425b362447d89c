"""Nodes of a Ray cluster over time, seen by a process that does not belong to it.

python -m benchmarks.node_watch ADDRESS   writes a line of JSON for each look, until it is ended

A driver would end with the head, and hold a lease on a node: the program asks the head alone.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

import msgspec

LOOK_SECONDS = 0.25


class SeenNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node that is alive; ``activity`` is why Ray does not call it idle."""

    node_id: str
    node_type: str
    labels: dict[str, str]
    status: str
    activity: list[str]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes at one time, in seconds since the epoch, and the GPUs that Ray Train asks for."""

    at: float
    nodes: list[SeenNode]
    wanted_gpus: float = 0.0

    def count(self, label: str, value: str) -> int:
        """Return how many nodes carry a label with a value."""
        return sum(node.labels.get(label) == value for node in self.nodes)


class NodeWatch:
    """Looks of the program, from its start to ``close``."""

    def __init__(self, address: str, environment: Mapping[str, str]) -> None:
        self.looks: list[Look] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.node_watch", address],
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._thread = threading.Thread(target=self._read, name="node watch", daemon=True)
        self._thread.start()

    @property
    def latest(self) -> Look:
        """The last look; without nodes before the first one."""
        return self.looks[-1] if self.looks else Look(at=0.0, nodes=[])

    def until(self, condition: Callable[[Look], bool], *, seconds: float, what: str) -> Look:
        """Return the first look from now on with a condition. Raises TimeoutError, which names ``what``."""
        deadline, begin = time.monotonic() + seconds, len(self.looks)
        while time.monotonic() < deadline:
            for number in range(begin, len(self.looks)):
                if condition(self.looks[number]):
                    return self.looks[number]
            begin = len(self.looks)
            time.sleep(LOOK_SECONDS / 2)
        raise TimeoutError(f"not within {seconds:g} s: {what}; the last look: {self.latest}")

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        self._thread.join(timeout=5.0)

    def _read(self) -> None:
        assert self._process.stdout is not None
        decoder = msgspec.json.Decoder(Look)
        for line in self._process.stdout:
            self.looks.append(decoder.decode(line))


def look(address: str) -> Look:
    """Ask the head for the nodes that are alive. Raises what Ray raises."""
    from ray.autoscaler.v2.sdk import get_cluster_status

    status = get_cluster_status(address)
    demands = status.resource_demands
    return Look(
        at=time.time(),
        nodes=[
            SeenNode(
                node_id=str(node.node_id),
                node_type=node.ray_node_type_name,
                labels=dict(node.labels or {}),
                status=str(node.node_status),
                activity=list(node.node_activity or []),
            )
            for node in (*status.active_nodes, *status.idle_nodes)
        ],
        wanted_gpus=sum(
            request.bundle.get("GPU", 0.0) * request.count
            # It asks for nodes first, and for a place on them then.
            for demand in (*demands.cluster_constraint_demand, *demands.placement_group_demand)
            for request in demand.bundles_by_count
        ),
    )


def main() -> None:
    """Look until the process is ended; a head that does not answer is asked again."""
    while True:
        try:
            sys.stdout.buffer.write(msgspec.json.encode(look(sys.argv[1])) + b"\n")
            sys.stdout.flush()
        except BrokenPipeError:
            return
        except Exception as error:  # noqa: BLE001 - the head may be away: Ray raises many
            print(error, file=sys.stderr)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()

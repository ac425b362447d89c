"""Configuration of a new container in the words of the Docker API: it is confined as far as an engine can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pagemill.containers.bounds import ContainerBounds, limits_as_sent
from pagemill.containers.engine import ContainerSpec
from pagemill.containers.environment import CA_PATH

CPU_UNITS: Final = 1024
"""Units of ``cpu`` that are one processor."""
MEBIBYTE: Final = 1024 * 1024
SHARED_MEMORY: Final = 16 * MEBIBYTE
LOG_SIZE: Final = "256m"
"""Most that the engine keeps of a container's output on its disk. What is kept in the log of a step is much
less, and is read while the container writes: before the engine begins to forget."""


def create_config(spec: ContainerSpec, bounds: ContainerBounds, hosts: Sequence[str]) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``; ``hosts`` are lines like ``name:address``."""
    mounts = [f"{bounds.ca_file}:{CA_PATH}:ro"] if bounds.ca_file else []
    host = {
        "NanoCpus": spec.cpu * 1_000_000_000 // CPU_UNITS,
        "Memory": spec.memory * MEBIBYTE,
        # The same for both: no swap.
        "MemorySwap": spec.memory * MEBIBYTE,
        "PidsLimit": bounds.processes,
        "Ulimits": limits_as_sent(bounds.user_limits),
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "UsernsMode": bounds.user_namespace,
        "IpcMode": "private",
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": f"rw,nosuid,nodev,size={bounds.temporary}m,mode=1777"},  # noqa: S108 - inside of it
        "ShmSize": SHARED_MEMORY,
        "Binds": mounts,
        "NetworkMode": bounds.network,
        "ExtraHosts": list(hosts),
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": LOG_SIZE}},
    }
    return {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": dict(spec.labels),
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": host,
    }

"""Network of containers: made when it is missing, without a way out of this machine."""

from __future__ import annotations

from typing import Any

from aiodocker import Docker
from aiodocker.exceptions import DockerError

BUILT_IN = ("none", "host", "bridge", "default")
OPTIONS = {"com.docker.network.bridge.enable_icc": "false"}
"""Docker then keeps containers of the network from reaching each other. Podman ignores it."""


async def ensure_network(docker: Docker, name: str) -> str:
    """Make the network unless it is there; return the address of this machine in it, empty without one.

    A new one is internal: containers in it reach this machine, and nothing beyond it. Raises DockerError.
    """
    if name in BUILT_IN:
        return gateway_of(await _show(docker, name)) if name == "bridge" else ""
    try:
        return gateway_of(await _show(docker, name))
    except DockerError as error:
        if error.status != 404:
            raise
    try:
        await docker.networks.create({"Name": name, "Driver": "bridge", "Internal": True, "Options": OPTIONS})
    except DockerError as error:
        if "already" not in str(error.message):
            raise
    return gateway_of(await _show(docker, name))


async def _show(docker: Docker, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = await docker._query_json(f"networks/{name}")
    return shown


def gateway_of(network: dict[str, Any]) -> str:
    """Return the address of this machine in a network, of IPv4 if there is one."""
    configurations = (network.get("IPAM") or {}).get("Config") or []
    gateways = [str(one["Gateway"]).partition("/")[0] for one in configurations if one.get("Gateway")]
    return min(gateways, key=lambda address: ":" in address, default="")

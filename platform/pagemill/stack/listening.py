"""Ports of a stack that others than this machine may reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from pagemill.stack.processes import marked


@dataclass(frozen=True, slots=True, order=True)
class OpenPort:
    """A port on which a process of the stack takes connections from other machines."""

    address: str
    port: int
    program: str


def ports_open_to_others(marker: str) -> list[OpenPort]:
    """Return the ports of a stack's processes that do not listen on this machine's own address alone."""
    return sorted({port for process in [psutil.Process(), *marked(marker)] for port in _open_ports(process)})


def described(ports: list[OpenPort]) -> str:
    """Return one line for the operator."""
    if not ports:
        return "nothing listens beyond this machine"
    listed = ", ".join(f"{one.program} {one.address}:{one.port}" for one in ports)
    return f"listens beyond this machine, keep it closed to others: {listed}"


def _open_ports(process: psutil.Process) -> Iterator[OpenPort]:
    try:
        name = process.name()
        connections = process.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and not _is_loopback(connection.laddr.ip):
            yield OpenPort(connection.laddr.ip, connection.laddr.port, name)


def _is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped.is_loopback
    return found.is_loopback

"""Bounds and surroundings of containers, from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagemill.settings import Settings


@dataclass(frozen=True, slots=True)
class UserLimit:
    """A limit as ``ulimit`` sets it."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerBounds:
    """Bounds of each container beside its processor and memory. ``temporary`` is MiB of ``/tmp``."""

    network: str
    processes: int
    temporary: int
    user_limits: tuple[UserLimit, ...]
    user_namespace: str
    ca_file: str


def bounds_of(settings: Settings) -> ContainerBounds:
    """Return the bounds that the settings name."""
    return ContainerBounds(
        network=settings.container_network,
        processes=settings.container_processes,
        temporary=settings.container_temporary,
        user_limits=tuple(map(_read_limit, filter(None, settings.container_ulimits.split(",")))),
        user_namespace=settings.container_user_namespace,
        ca_file=settings.container_ca_file,
    )


def _read_limit(text: str) -> UserLimit:
    """Read ``name=soft:hard`` or ``name=both``; the setting's pattern has been checked."""
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    return UserLimit(name, int(soft), int(hard or soft))


def host_entries(gateway: str, name: str) -> list[str]:
    """Return the line of ``/etc/hosts`` by which containers find this machine."""
    return [f"{name}:{gateway}"] if gateway and name else []


def limits_as_sent(limits: tuple[UserLimit, ...]) -> list[Mapping[str, Any]]:
    """Return limits as the Docker API takes them."""
    return [{"Name": one.name, "Soft": one.soft, "Hard": one.hard} for one in limits]

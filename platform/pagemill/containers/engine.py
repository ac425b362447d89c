"""Engine of containers as its users need it: few operations, which Docker, Podman and others can offer."""

from __future__ import annotations

import datetime
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from pagemill.errors import PagemillError, Unavailable

Phase: TypeAlias = Literal["created", "running", "ended"]


class EngineUnavailable(Unavailable):
    """The engine cannot be reached, or does not answer in time."""


class ContainerRefused(PagemillError):
    """The engine cannot make or start the container."""


class ImageUnavailable(PagemillError):
    """The image cannot be pulled: there is none, its registry refuses it, or it cannot be reached."""


class NameTaken(PagemillError):
    """There is a container of this name."""


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """User name and password for the registry of an image."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Description of a container. ``cpu`` is in 1/1024 of a processor, ``memory`` in MiB.

    ``seconds`` is how long its task may take: an engine that can sees to it even when nobody follows the
    container. ``login`` is for engines that pull the image when they start the container.
    """

    image: str
    environment: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str]
    cpu: int
    memory: int
    seconds: float = 1800.0
    login: RegistryLogin | None = None


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container as the engine sees it; ``started`` is None before its start.

    ``lost`` says why it ended when its program did not end by itself: its node has gone, for instance.
    """

    id: str
    phase: Phase
    exit_code: int = 0
    out_of_memory: bool = False
    started: datetime.datetime | None = None
    lost: str = ""


class LabelledContainer(NamedTuple):
    """A container in a list."""

    id: str
    labels: Mapping[str, str]


class OutputPiece(NamedTuple):
    """Bytes that a container has written to standard output (1) or standard error (2)."""

    stream: int
    data: bytes


class Engine(Protocol):
    """An engine. All operations raise EngineUnavailable."""

    async def describe(self) -> str:
        """Return the engine's name and version."""
        ...

    async def pull(self, image: str, login: RegistryLogin | None) -> None:
        """Make sure that the engine has the image. Raises ImageUnavailable.

        An engine may do so when it starts the container: ``output`` then raises it.
        """
        ...

    async def find(self, name_or_id: str) -> ContainerState | None:
        """Return a container, None when there is none."""
        ...

    async def create(self, name: str, spec: ContainerSpec) -> str:
        """Create a container and return its id. Raises NameTaken and ContainerRefused."""
        ...

    async def start(self, container_id: str) -> None:
        """Start a container that has not been started: one that has ended would begin anew.

        Raises ContainerRefused.
        """
        ...

    def output(self, container_id: str) -> AsyncGenerator[OutputPiece, None]:
        """Iterate over what a container has written since its start, and follow it until it ends.

        Raises ImageUnavailable and ContainerRefused when it cannot run, where the engine learns so late.
        """
        ...

    async def last_output(self, container_id: str, lines: int) -> list[OutputPiece]:
        """Return the last lines that a container has written; none when the engine has them no more."""
        ...

    async def wait(self, container_id: str) -> None:
        """Return when a container has ended, or is gone."""
        ...

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask a container to end, and have it killed after ``grace`` seconds.

        It may be about to end yet: ``output`` returns when it has.
        """
        ...

    async def remove(self, name_or_id: str, *, running: bool = False) -> None:
        """Remove a container if there is one. One that runs only goes with ``running``, else it stays."""
        ...

    async def labelled(self, label: str) -> list[LabelledContainer]:
        """Return all containers that have a label."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...

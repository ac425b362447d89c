"""Engine that speaks the API of Docker, as Podman does too."""

from __future__ import annotations

import asyncio
import datetime
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from weakref import WeakValueDictionary

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError
from aiodocker.jsonstream import json_stream_stream
from aiodocker.utils import compose_auth_header
from aiohttp import ClientResponse

from pagemill.containers.bounds import bounds_of, host_entries
from pagemill.containers.create_config import create_config
from pagemill.containers.engine import (
    ContainerRefused,
    ContainerSpec,
    ContainerState,
    EngineUnavailable,
    ImageUnavailable,
    LabelledContainer,
    NameTaken,
    OutputPiece,
    Phase,
    RegistryLogin,
)
from pagemill.containers.environment import api_address
from pagemill.containers.images import has_digest, is_local, registry_of, with_registry, with_tag
from pagemill.containers.networks import ensure_network
from pagemill.settings import Settings

API_VERSION: Final = "v1.41"
"""Version of the API that Docker 20.10 and Podman 4 have, and all later ones."""
CALL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
FRAME_HEADER: Final = struct.Struct(">BxxxL")
LONGEST_READ: Final = 65536
NO_CONNECTION: Final = 900
"""Status by which aiodocker says that the engine cannot be reached."""
LONGEST_REASON: Final = 1000
NEVER: Final = "0001-"
FOREVER: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
PHASES: Final[dict[str, Phase]] = {
    "created": "created",
    "configured": "created",
    "initialized": "created",
    "exited": "ended",
    "stopped": "ended",
    "dead": "ended",
    "removing": "ended",
}


class DockerEngine:
    """Client of the engine that the settings name."""

    def __init__(self, settings: Settings) -> None:
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)
        self._docker = Docker(url=settings.container_engine_url, api_version=API_VERSION, timeout=timeout)
        self._bounds = bounds_of(settings)
        address = api_address(settings)
        self._host_name = address.host if address.is_this_machine else ""
        self._pull_seconds = settings.container_pull_time
        # Names are those of users: none stays when nobody pulls it.
        self._pulling: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        """Close the connections."""
        await self._docker.close()

    async def describe(self) -> str:
        """Return the engine's name and version."""
        with _engine_errors():
            shown = await self._docker.version()
        return read_version(shown)

    async def address_of_machine(self) -> str:
        """Return the address of the engine's machine in the containers' network, empty without one."""
        with _engine_errors():
            return await ensure_network(self._docker, self._bounds.network)

    async def pull(self, image: str, login: RegistryLogin | None) -> None:
        """Make sure that the engine has the image. Raises ImageUnavailable.

        An image by digest is pulled once. What a tag means can change, so it is asked for each time; this
        also has the registry check who may use it. Local images are never pulled.
        """
        # One at a time for each image: others find it there.
        async with self._pulling.setdefault(image, asyncio.Lock()):
            if (is_local(image) or has_digest(image)) and await self._has(image):
                return
            if is_local(image):
                raise ImageUnavailable(f"The engine has no image {image}")
            await self._pull_in_time(image, login)

    async def _has(self, image: str) -> bool:
        with _engine_errors():
            try:
                await self._docker.images.inspect(image)
            except DockerError as error:
                if error.status == 404:
                    return False
                raise
        return True

    async def _pull_in_time(self, image: str, login: RegistryLogin | None) -> None:
        """Pull an image. The engine gives up when the connection is closed. Raises ImageUnavailable."""
        try:
            async with asyncio.timeout(self._pull_seconds):
                with _engine_errors(ImageUnavailable, f"Image {image} cannot be pulled"):
                    await self._pull(image, login)
        except TimeoutError:
            raise ImageUnavailable(
                f"Image {image} cannot be pulled: its registry needs more than {self._pull_seconds:g} seconds"
            ) from None

    async def _pull(self, image: str, login: RegistryLogin | None) -> None:
        headers = {}
        if login is not None:
            credentials = {"username": login.username, "password": login.password}
            headers["X-Registry-Auth"] = compose_auth_header(credentials, registry_of(image))
        asked = {"fromImage": with_tag(with_registry(image))}
        async with self._query("images/create", "POST", params=asked, headers=headers) as response:
            async for progress in json_stream_stream(response):
                if "error" in progress:
                    raise DockerError(500, str(progress["error"]))

    @asynccontextmanager
    async def _query(self, path: str, method: str = "GET", **more: Any) -> AsyncIterator[ClientResponse]:
        """Ask for an answer without a bound to its time. The connection ends with the block.

        aiodocker would leave it open, and the engine at work, when the block is left early.
        """
        async with self._docker._query(path, method, timeout=FOREVER, **more) as response:
            try:
                yield response
            finally:
                response.close()

    async def find(self, name_or_id: str) -> ContainerState | None:
        """Return a container, None when there is none."""
        with _engine_errors():
            try:
                shown = await self._docker.containers.container(name_or_id).show()
            except DockerError as error:
                if error.status == 404:
                    return None
                raise
        return read_state(shown)

    async def create(self, name: str, spec: ContainerSpec) -> str:
        """Create a container and return its id. Raises NameTaken and ContainerRefused."""
        with _engine_errors(ContainerRefused, "The container cannot be created"):
            address = await ensure_network(self._docker, self._bounds.network)
            config = create_config(spec, self._bounds, host_entries(address, self._host_name))
            try:
                created = await self._docker.containers.create(config, name=name)
            except DockerError as error:
                if is_name_conflict(error.status, str(error.message)):
                    raise NameTaken(name) from None
                raise
        return str(created.id)

    async def start(self, container_id: str) -> None:
        """Start a container that has not been started. Raises ContainerRefused."""
        with _engine_errors(ContainerRefused, "The container cannot be started"):
            await self._docker.containers.container(container_id).start()

    async def output(self, container_id: str) -> AsyncGenerator[OutputPiece, None]:
        """Iterate over what a container has written since its start, and follow it until it ends."""
        with _engine_errors():
            async for piece in self._pieces(container_id, follow="1"):
                yield piece

    async def last_output(self, container_id: str, lines: int) -> list[OutputPiece]:
        """Return the last lines that a container has written."""
        with _engine_errors():
            return [piece async for piece in self._pieces(container_id, tail=str(lines))]

    async def _pieces(self, container_id: str, **how: str) -> AsyncGenerator[OutputPiece, None]:
        # aiodocker decodes texts of two streams as one: a character divided between them would be lost.
        asked = {"stdout": "1", "stderr": "1", **how}
        path = f"containers/{container_id}/logs"
        async with self._query(path, params=asked) as response:
            while header := await _header(response.content):
                stream, length = FRAME_HEADER.unpack(header)
                while length > 0:
                    data = await response.content.read(min(length, LONGEST_READ))
                    if not data:
                        return
                    length -= len(data)
                    yield OutputPiece(stream, data)

    async def wait(self, container_id: str) -> None:
        """Return when a container has ended, or is gone."""
        with _engine_errors():
            try:
                await self._docker.containers.container(container_id).wait(timeout=FOREVER)
            except DockerError as error:
                if error.status != 404:
                    raise

    async def stop(self, container_id: str, grace: float) -> None:
        """Ask a container to end, have it killed after ``grace`` seconds, and return when it has ended."""
        with _engine_errors():
            try:
                await self._docker.containers.container(container_id).stop(t=max(1, round(grace)))
            except DockerError as error:
                if error.status not in (304, 404):
                    raise

    async def remove(self, name_or_id: str, *, running: bool = False) -> None:
        """Remove a container if there is one. One that runs only goes with ``running``, else it stays."""
        with _engine_errors():
            try:
                await self._docker.containers.container(name_or_id).delete(force=running, v=True)
            except DockerError as error:
                # It is gone, somebody else is removing it, or it runs.
                if error.status not in (404, 409) and (running or error.status != 500):
                    raise

    async def labelled(self, label: str) -> list[LabelledContainer]:
        """Return all containers that have a label."""
        with _engine_errors():
            found = await self._docker.containers.list(all="1", filters=f'{{"label": ["{label}"]}}')
        return [LabelledContainer(str(one.id), one["Labels"] or {}) for one in found]


async def _header(content: aiohttp.StreamReader) -> bytes:
    """Read the header of the next frame; empty at the end of the stream."""
    try:
        return await content.readexactly(FRAME_HEADER.size)
    except asyncio.IncompleteReadError:
        return b""


@contextmanager
def _engine_errors(
    refused: type[ContainerRefused | ImageUnavailable | EngineUnavailable] = EngineUnavailable,
    what: str = "The container engine does not work",
) -> Iterator[None]:
    """Raise EngineUnavailable when the engine is away, and ``refused`` for what else it answers."""
    try:
        yield
    except DockerError as error:
        if error.status == NO_CONNECTION:
            raise EngineUnavailable("The container engine cannot be reached") from error
        raise refused(f"{what}: {str(error.message)[:LONGEST_REASON]}") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise EngineUnavailable(f"The container engine cannot be reached: {type(error).__name__}") from error


def read_state(shown: dict[str, Any]) -> ContainerState:
    """Return the state of a container as the engine shows it."""
    state = shown["State"]
    begun = str(state.get("StartedAt") or NEVER)
    phase = PHASES.get(str(state.get("Status", "")).lower(), "running")
    if phase == "ended" and begun.startswith(NEVER):
        phase = "created"
    return ContainerState(
        id=str(shown["Id"]),
        phase=phase,
        exit_code=int(state.get("ExitCode", 0)),
        out_of_memory=bool(state.get("OOMKilled")),
        started=None if begun.startswith(NEVER) else _read_time(begun),
    )


def read_version(shown: dict[str, Any]) -> str:
    """Return name and version as an engine shows them. Podman names itself among its components."""
    names = [str(one.get("Name", "")) for one in shown.get("Components") or []]
    name = "Podman" if any("Podman" in one for one in names) else "Docker"
    return f"{name} {shown['Version']}"


def _read_time(text: str) -> datetime.datetime:
    """Read a time of the engine's, which has nanoseconds."""
    whole, _, rest = text.partition(".")
    zone = rest.lstrip("0123456789") if rest else whole[19:]
    return datetime.datetime.fromisoformat(whole[:19] + (zone.replace("Z", "+00:00") or "+00:00"))


def is_name_conflict(status: int, message: str) -> bool:
    """Return whether a container of that name exists. Podman 4 answers with status 500."""
    return status == 409 or "already in use" in message

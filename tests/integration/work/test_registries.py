"""Images come from registries: private ones, ones that hang, and ones whose answers have no end.

Skipped where no engine can be run, and the first ones where no registry can; ``.ci/run`` installs both.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
import pytest

from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings
from pagemill.work.containers import ContainerResources
from tests.support.container_steps import add_secret, begin, engine_of, log_of, run
from tests.support.directories import temporary_directory
from tests.support.registry import PASSWORD, USER, Registry, missing_registry, running_registry
from tests.support.step_dispatcher import container_resources
from tests.support.step_engine import IMAGE, NETWORK, ULIMITS, StepEngine, missing_engine, step_engine
from tests.support.tenants import Tenant

LOGIN = {"username": USER, "password": PASSWORD}
DIGEST = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def podman() -> Iterator[StepEngine]:
    if reason := missing_engine():
        pytest.skip(reason)
    with step_engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def registry(podman: StepEngine) -> Iterator[Registry]:
    if reason := missing_registry():
        pytest.skip(reason)
    with temporary_directory("pagemill-registry-") as directory, running_registry(directory) as running:
        yield running


@pytest.fixture(scope="module")
def pushed(podman: StepEngine, registry: Registry) -> str:
    """The name of an image in the registry."""
    push(podman, f"{registry.place}/step:1")
    return f"{registry.place}/step:1"


def push(podman: StepEngine, name: str, *how: str) -> str:
    """Push the image for steps to a registry, and return its digest."""
    file = podman.directory / "digest"
    login = ("--creds", f"{USER}:{PASSWORD}", "--tls-verify=false", "--digestfile", str(file))
    podman.podman("push", *login, *how, IMAGE, name)
    return file.read_text().strip()


@pytest.fixture
def settings(database_url: str, objects_directory: Path, podman: StepEngine) -> Iterator[Settings]:
    yield Settings(
        database_url=database_url,
        objects_url=objects_directory.as_uri(),
        secret_keys=new_secret_key("test"),
        container_engine_url=podman.url,
        container_network=NETWORK,
        container_ulimits=ULIMITS,
    )
    podman.clear()


@pytest.fixture
async def resources(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[ContainerResources]:
    async with opened(settings, pool) as resources:
        yield resources


@asynccontextmanager
async def opened(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[ContainerResources]:
    resources = container_resources(settings, pool)
    try:
        yield resources
    finally:
        await engine_of(resources).close()
        await resources.objects.close()


async def test_a_private_image_is_pulled_with_the_credentials_of_its_transition(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, pushed: str
) -> None:
    secret_id = await add_secret(pool, organization, resources, LOGIN)
    execution_id = await begin(pool, organization, "print('pulled')", image=pushed, secretId=secret_id)
    await run(pool, resources, execution_id)

    assert "pulled" in await log_of(pool, execution_id)


async def test_an_image_by_digest_is_pulled_once(
    pool: asyncpg.Pool,
    organization: Tenant,
    resources: ContainerResources,
    podman: StepEngine,
    registry: Registry,
) -> None:
    secret_id = await add_secret(pool, organization, resources, LOGIN)
    # In the other format, so with another digest than the image that is pulled by its tag.
    digest = push(podman, f"{registry.place}/once:1", "--format", "v2s2")
    image = f"{registry.place}/once@{digest}"
    asked = [len(registry.requests())]
    for number in ("first", "second"):
        execution_id = await begin(pool, organization, f"print('{number}')", image=image, secretId=secret_id)
        await run(pool, resources, execution_id)
        assert number in await log_of(pool, execution_id)
        asked.append(len(registry.requests()))

    assert asked[0] < asked[1], registry.log.read_text()[-3000:]
    assert asked[1] == asked[2]


async def test_a_tag_is_asked_for_each_time(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, pushed: str
) -> None:
    """Who has no credentials does not get the image that somebody else has had pulled."""
    secret_id = await add_secret(pool, organization, resources, LOGIN)
    await run(pool, resources, await begin(pool, organization, image=pushed, secretId=secret_id))
    step = await run(pool, resources, await begin(pool, organization, image=pushed))

    assert step["error"]["message"].startswith(f"Image {pushed} cannot be pulled: ")
    assert step["error"]["error"] == "Pagemill.ImageUnavailable"


@pytest.mark.parametrize("reference", ["step:2", f"step@{DIGEST}", "nobody:1"])
async def test_an_image_that_the_registry_does_not_have_is_named(
    pool: asyncpg.Pool,
    organization: Tenant,
    resources: ContainerResources,
    registry: Registry,
    pushed: str,
    reference: str,
) -> None:
    secret_id = await add_secret(pool, organization, resources, LOGIN)
    image = f"{registry.place}/{reference}"
    step = await run(pool, resources, await begin(pool, organization, image=image, secretId=secret_id))

    message = step["error"]["message"]
    assert message.startswith(f"Image {image} cannot be pulled: ")
    assert "unknown" in message


async def test_wrong_credentials_are_named(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, pushed: str
) -> None:
    secret_id = await add_secret(pool, organization, resources, {**LOGIN, "password": "another"})
    step = await run(pool, resources, await begin(pool, organization, image=pushed, secretId=secret_id))

    message = step["error"]["message"]
    assert message.startswith(f"Image {pushed} cannot be pulled: ")
    assert "authentication" in message or "unauthorized" in message
    assert "another" not in message


MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIGURATION = json.dumps(
    {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [DIGEST]}}
).encode()
CONFIGURATION_DIGEST = f"sha256:{hashlib.sha256(CONFIGURATION).hexdigest()}"
DESCRIPTION = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(CONFIGURATION),
            "digest": CONFIGURATION_DIGEST,
        },
        "layers": [{"mediaType": LAYER, "size": 1000, "digest": DIGEST}],
    }
).encode()
FIRST_BYTE_OF_TLS = b"\x16"


class Strange:
    """A registry that has every image: its answers never come, or what is ``endless`` has no end."""

    def __init__(self, endless: str) -> None:
        self._endless = endless
        self.left = asyncio.Event()
        """Set when the engine has given up what has no end."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection."""
        try:
            while True:
                first = await reader.readexactly(1)
                if not self._endless or first == FIRST_BYTE_OF_TLS:
                    await self._say_nothing(first)
                    return
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await self._answer_one(head.split(" ")[1], writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _say_nothing(self, first: bytes) -> None:
        """Hang, or end a connection with TLS, after which the engine comes without."""
        if first != FIRST_BYTE_OF_TLS:
            await asyncio.Event().wait()

    async def _answer_one(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/v2/":
            writer.write(_answer("application/json", b"{}"))
        elif path.endswith(CONFIGURATION_DIGEST):
            writer.write(_answer("application/octet-stream", CONFIGURATION))
        elif "/manifests/" in path and self._endless == "layer":
            writer.write(_answer(MANIFEST, DESCRIPTION))
        else:
            await self._pour(writer)

    async def _pour(self, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {MANIFEST}\r\n\r\n".encode())
        try:
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                # Not as fast as it can: what the engine keeps of it is on this machine's disk.
                await asyncio.sleep(0.01)
        except ConnectionError:
            self.left.set()
            raise


def _answer(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def listening(strange: Strange) -> AsyncIterator[str]:
    """Serve while the block runs; return host and port."""
    server = await asyncio.start_server(strange.answer, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("endless", ["", "layer"])
async def test_a_registry_that_does_not_come_to_an_end_is_given_up(
    pool: asyncpg.Pool, organization: Tenant, settings: Settings, endless: str
) -> None:
    strange = Strange(endless)
    short = msgspec.structs.replace(settings, container_pull_time=3.0)
    async with listening(strange) as place, opened(short, pool) as resources:
        image = f"{place}/step:1"
        step = await run(pool, resources, await begin(pool, organization, image=image))
        if endless:
            await asyncio.wait_for(strange.left.wait(), 60)

    expected = f"Image {image} cannot be pulled: its registry needs more than 3 seconds"
    assert step["error"]["message"] == expected
    assert step["error"]["error"] == "Pagemill.ImageUnavailable"


async def test_a_description_without_end_is_refused(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    strange = Strange("manifest")
    async with listening(strange) as place:
        image = f"{place}/step:1"
        step = await run(pool, resources, await begin(pool, organization, image=image))
        await asyncio.wait_for(strange.left.wait(), 60)

    assert step["error"]["message"].startswith(f"Image {image} cannot be pulled: ")

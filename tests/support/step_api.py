"""The API behind TLS on this machine, with a door for containers, as ``pagemill up`` has them."""

from __future__ import annotations

import asyncio
import datetime
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pagemill.settings import Settings, to_environment
from pagemill.stack.certificates import Certificates
from pagemill.stack.container_gateway import admit_containers
from pagemill.stack.probes import api_answers

START_SECONDS = 30.0


@asynccontextmanager
async def serving_api(settings: Settings, port: int, certificates: Certificates) -> AsyncIterator[None]:
    """Serve the API while the block runs; containers reach it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "granian", "--interface=asgi", "--factory", "--host=127.0.0.1"),
        *(f"--port={port}", "--no-ws", f"--ssl-certificate={certificates.certificate}"),
        *(f"--ssl-keyfile={certificates.key}", "pagemill.api.app:create_app"),
        env={**os.environ, **to_environment(settings)},
    )
    said: list[str] = []
    door = asyncio.create_task(admit_containers(settings, port, said.append))
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await asyncio.to_thread(api_answers, port, certificates.authority):
                assert process.returncode is None, "the API does not start"
                await asyncio.sleep(0.1)
        assert said == []
        yield
    finally:
        door.cancel()
        await asyncio.wait({door})
        process.terminate()
        await process.wait()


def made_certificates(directory: Path) -> Certificates:
    """Certificates of a stack, in a directory that the engine can mount from."""
    directory.mkdir(parents=True, exist_ok=True)
    certificates = Certificates(directory)
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    return certificates

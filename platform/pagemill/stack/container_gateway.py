"""Door for containers: the API of this machine, on the address by which their network reaches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pagemill.containers.engine import EngineUnavailable
from pagemill.containers.engines import is_kubernetes
from pagemill.containers.environment import api_address
from pagemill.settings import Settings
from pagemill.stack.forwarding import forward_from

TRY_AGAIN_SECONDS: Final = 10.0


async def admit_containers(settings: Settings, port: int, say: Callable[[str], None]) -> None:
    """Forward from the containers' network to the API on 127.0.0.1, until cancelled.

    Nothing is forwarded without an engine on this machine, or where containers reach the API by an address of
    its own. While the engine is away it is tried again.
    """
    has_machine = settings.container_engine_url and not is_kubernetes(settings)
    if not has_machine or not api_address(settings).is_this_machine:
        return
    said = ""
    while True:
        try:
            server = await _open_door(settings, port)
        except (EngineUnavailable, OSError) as error:
            reason = f"containers cannot reach the API yet: {error}"
            if reason != said:
                say(reason)
                said = reason
            await asyncio.sleep(TRY_AGAIN_SECONDS)
            continue
        async with server:
            await server.serve_forever()


async def _open_door(settings: Settings, port: int) -> asyncio.Server:
    # Only a stack that has an engine loads its client.
    from pagemill.containers.docker_engine import DockerEngine

    engine = DockerEngine(settings)
    try:
        address = await engine.address_of_machine()
    finally:
        await engine.close()
    if not address:
        raise OSError(f"network {settings.container_network} has no address of this machine")
    return await forward_from(address, port)

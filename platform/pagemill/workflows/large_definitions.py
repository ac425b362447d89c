"""Work on large definitions, done beside the event loop: the worst of 256 KiB take 0.4 s of a processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import msgspec

from pagemill.errors import BadRequest
from pagemill.workflows.definition import MEMBER, Definition

SMALL_BYTES: Final = 16 * 1024
"""Such definitions take some 25 ms at most."""

Read: TypeAlias = Callable[[Any], Definition]

# One thread: several large ones would take the processor from the loop for longer, not end sooner.
_BESIDE = ThreadPoolExecutor(max_workers=1, thread_name_prefix="definition")


async def read_beside_the_loop(read: Read, raw: Any) -> tuple[Definition, int]:
    """Return what ``read`` makes of a definition, and the definition's size as JSON in bytes.

    Raises what it raises, and BadRequest for one that is nested too deeply to be written.
    """
    try:
        size = len(msgspec.json.encode(raw))
    except RecursionError:
        raise BadRequest(f"{MEMBER}: is nested too deeply") from None
    if size <= SMALL_BYTES:
        return read(raw), size
    return await asyncio.get_running_loop().run_in_executor(_BESIDE, read, raw), size

"""Program that has attacks run by real readers of documents, and tells what became of each.

Its standard input is an ``Order``; it prints ``Outcomes``. It is a process of its own so that it can have a
secret in its environment from the start, and another user.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from pagemill.documents.thumbnails import renderer as renderer_module
from pagemill.documents.thumbnails.render_messages import RenderRequest
from pagemill.documents.thumbnails.renderer import Renderer
from pagemill.documents.thumbnails.thumbnail import PageImage
from pagemill.errors import PagemillError
from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading import reader as reader_module
from pagemill.mail_intake import reader as mail_module
from pagemill.mail_intake.mail import Delivery
from pagemill.mail_intake.reader import MailReader
from pagemill.sandbox.forked_child import ForkServer

Sandboxed: TypeAlias = Literal["reading", "rendering", "mail"]


class Order(msgspec.Struct):
    """Attacks by name; ``{parent}`` in their code is the process id of the attacker, which has a secret."""

    sandboxed: Sandboxed
    attacks: dict[str, str]


class Outcomes(msgspec.Struct):
    """Result of each attack, or the detail of its document's failure; the server's means and environment."""

    sandboxed: Sandboxed
    results: dict[str, str]
    missing: list[str]
    environment: str
    own_network: bool


def main() -> None:
    """Run the attacks, each as a document of its own."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    programs = {name: code.replace("{parent}", str(os.getpid())) for name, code in order.attacks.items()}
    run = {"reading": _read, "rendering": _render, "mail": _mail}[order.sandboxed]
    servers: list[ForkServer] = []
    results = {name: _outcome(one) for name, one in run(programs, servers).items()}
    [server] = servers
    outcomes = Outcomes(
        order.sandboxed, results, sorted(server.confinement.missing), *_seen_from_outside(server)
    )
    server.end()
    sys.stdout.buffer.write(msgspec.json.encode(outcomes))


def _outcome(found: str | PagemillError) -> str:
    return found if isinstance(found, str) else found.detail or found.message


def _seen_from_outside(server: ForkServer) -> tuple[str, bool]:
    process = Path(f"/proc/{server.process_id}")
    try:
        environment = (process / "environ").read_text()
        own_network = (process / "ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    except PermissionError:
        # Concealed from others of its user: only root may look.
        return "", True
    return environment, own_network


def _each(programs: dict[str, str], run: Callable[[bytes], str]) -> dict[str, str | PagemillError]:
    found: dict[str, str | PagemillError] = {}
    for name, code in programs.items():
        try:
            found[name] = run(code.encode())
        except PagemillError as error:
            found[name] = error
    return found


def _read(programs: dict[str, str], servers: list[ForkServer]) -> dict[str, str | PagemillError]:
    reader_module.ZYGOTE = "tests.support.attacks.attacked_reading"
    reader = PageReader(recognizer=object())  # type: ignore[arg-type]
    found = _each(programs, lambda code: str(reader.inspect(code)))
    assert reader._fork_server is not None
    servers.append(reader._fork_server)
    return found


def _render(programs: dict[str, str], servers: list[ForkServer]) -> dict[str, str | PagemillError]:
    renderer_module.FORK_SERVER = "tests.support.attacks.attacked_rendering"
    renderer = Renderer(concurrency=1)

    async def pieces(code: bytes) -> AsyncIterator[bytes]:
        yield code

    async def render(code: bytes) -> str:
        request = RenderRequest(PageImage(), "application/pdf", len(code))
        return b"".join([piece async for piece in renderer.render(request, pieces(code))]).decode()

    with asyncio.Runner() as runner:
        found = _each(programs, lambda code: runner.run(render(code)))
    assert renderer._children.server is not None
    servers.append(renderer._children.server)
    return found


def _mail(programs: dict[str, str], servers: list[ForkServer]) -> dict[str, str | PagemillError]:
    mail_module.FORK_SERVER = "tests.support.attacks.attacked_mail"
    reader = MailReader(authenticate=False)

    async def read(code: bytes) -> str:
        delivery = Delivery(content=code, sender="", client_address="192.0.2.1", client_name="")
        return str(await reader.read(delivery))

    with asyncio.Runner() as runner:
        found = _each(programs, lambda code: runner.run(read(code)))
    assert reader._fork_server is not None
    servers.append(reader._fork_server)
    return found


if __name__ == "__main__":
    main()

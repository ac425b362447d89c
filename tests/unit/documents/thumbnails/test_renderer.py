"""Child processes of the renderer are bounded, and a failure of one is one document's failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from pagemill.documents.thumbnails import renderer as parent
from pagemill.documents.thumbnails.render_messages import RenderRequest
from pagemill.documents.thumbnails.renderer import Renderer
from pagemill.documents.thumbnails.thumbnail import LightPdf, PageImage, Thumbnail
from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.sandbox import child_process
from tests.support.pictures import opened, pdf, picture
from tests.support.processes import PATIENCE_SECONDS, wait_until_gone

# Stands in for the fork server; its children do what the document's first word says.
MISBEHAVING = """
import gc, os, socket, time
import pagemill.documents.thumbnails.fork_server as fork_server
class Promise(bytes):
    def __new__(cls, content, length):
        promise = super().__new__(cls, content)
        promise.length = length
        return promise
    def __len__(self): return self.length
def misbehave(request, content):
    what = content.split()[0]
    if what == b"crash": os.abort()
    if what == b"sleep": time.sleep(600)
    if what == b"spin":
        while True: pass
    if what == b"hoard": return bytes(len(content) * 10**9)
    if what == b"write": os.write(os.open(content.split()[1], os.O_CREAT | os.O_WRONLY), b"x")
    if what == b"environment": return repr(sorted(os.environ)).encode()
    if what == b"promise": return Promise(b"x", 2**40)
    if what == b"stall":
        os._exit = lambda status: time.sleep(600)
        return Promise(b"x", 10)
    if what == b"trickle":
        connection = next(one for one in gc.get_objects() if isinstance(one, socket.socket))
        os._exit = lambda status: [(time.sleep(0.05), connection.send(b"x")) for _ in range(12_000)]
        return Promise(b"x", 2**20)
    if what == b"error": raise RuntimeError("secret")
    return content
fork_server._render = misbehave
fork_server.RENDER_SECONDS = {seconds}
fork_server.main()
"""


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    renderer = Renderer(concurrency=2)
    yield renderer
    await renderer.close()


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        child_process,
        "child_command",
        lambda _, descriptor: [sys.executable, "-c", misbehaving_program(), str(descriptor)],
    )


def misbehaving_program() -> str:
    return MISBEHAVING.replace("{seconds}", str(parent.RENDER_SECONDS))


@pytest.fixture
def two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each rendering two seconds."""
    monkeypatch.setattr(parent, "RENDER_SECONDS", 2)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), 65536):
        yield content[begin : begin + 65536]


async def render(renderer: Renderer, content: bytes, thumbnail: Thumbnail | None = None) -> bytes:
    kind = "image/png" if content.startswith(b"\x89PNG") else "application/pdf"
    request = RenderRequest(thumbnail or PageImage(width=10), kind, len(content))
    return b"".join([piece async for piece in renderer.render(request, pieces(content))])


def fork_server_of(renderer: Renderer) -> psutil.Process:
    assert renderer._children.server is not None
    return psutil.Process(renderer._children.server.process_id)


async def test_the_fork_server_starts_when_it_is_needed(renderer: Renderer) -> None:
    assert renderer._children.server is None
    assert opened(await render(renderer, picture())).size == (10, 5)
    assert await render(renderer, pdf((72, 72)), LightPdf()) == b""


async def test_concurrent_requests_each_get_their_own_thumbnail(renderer: Renderer) -> None:
    sizes = range(1, 20)
    made = await asyncio.gather(*(render(renderer, picture(), PageImage(width=size)) for size in sizes))
    assert [opened(one).size[0] for one in made] == list(sizes)


@pytest.mark.usefixtures("misbehaving")
@pytest.mark.parametrize("does", [b"sleep", b"spin"])
async def test_a_document_that_takes_too_long_is_refused(
    renderer: Renderer, two_seconds: None, does: bytes
) -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        await render(renderer, does)
    assert refused.value.message == "The document takes longer than 2 seconds to render"
    assert await render(renderer, b"fine") == b"fine"


@pytest.mark.usefixtures("misbehaving")
@pytest.mark.parametrize(
    ("does", "message"),
    [
        (b"crash", "The document is damaged: its renderer failed"),
        (b"hoard", "The document needs more memory to render than is allowed"),
        (b"error", "The document is damaged: it cannot be rendered"),
    ],
)
async def test_a_document_that_harms_its_child_is_refused(
    renderer: Renderer, does: bytes, message: str
) -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        await render(renderer, does)
    assert refused.value.message == message
    assert await render(renderer, b"fine") == b"fine"


@pytest.mark.usefixtures("misbehaving")
async def test_the_operator_is_told_how_a_child_ended(renderer: Renderer) -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        await render(renderer, b"crash")
    assert refused.value.detail == "its renderer failed: it ended with SIGABRT"


@pytest.mark.usefixtures("misbehaving")
async def test_a_child_is_not_trusted(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "RENDER_SECONDS", 600)
    with pytest.raises(DocumentUnreadable, match="is too large"):
        await render(renderer, b"promise")
    monkeypatch.setattr(parent, "GRACE_SECONDS", 0.3)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(render(renderer, b"stall"), PATIENCE_SECONDS)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(render(renderer, b"trickle"), PATIENCE_SECONDS)
    assert fork_server_of(renderer).children() == []
    monkeypatch.setattr(parent, "GRACE_SECONDS", PATIENCE_SECONDS)
    assert await render(renderer, b"others") == b"others"


@pytest.mark.usefixtures("misbehaving")
async def test_a_child_writes_no_file_and_sees_no_secret(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGEMILL_TOKEN_KEY", "secret")
    target = tmp_path / "written"
    with pytest.raises(DocumentUnreadable):
        await render(renderer, b"write " + str(target).encode())
    assert not target.exists() or target.stat().st_size == 0
    assert b"PAGEMILL" not in await render(renderer, b"environment")


@pytest.mark.usefixtures("misbehaving")
async def test_large_documents_go_through(renderer: Renderer) -> None:
    large = b"large " + os.urandom(20 * 1024 * 1024)
    assert await render(renderer, large) == large


@pytest.mark.usefixtures("misbehaving")
async def test_an_error_of_the_source_reaches_the_caller(renderer: Renderer) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"fine"
        raise Unavailable("storage")

    with pytest.raises(Unavailable, match="storage"):
        async for _ in renderer.render(RenderRequest(PageImage(), "application/pdf", 100), failing()):
            pass
    assert await render(renderer, b"fine") == b"fine"


@pytest.mark.usefixtures("misbehaving")
async def test_a_cancelled_rendering_frees_its_slot(renderer: Renderer) -> None:
    content = b"large " + os.urandom(5 * 1024 * 1024)
    for _ in range(5):
        request = RenderRequest(PageImage(), "application/pdf", len(content))
        async with contextlib.aclosing(renderer.render(request, pieces(content))) as rendering:
            await anext(rendering)
    assert await render(renderer, b"fine") == b"fine"


async def test_without_the_fork_server_thumbnails_are_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "FORK_SERVER", "pagemill.documents.thumbnails.missing")
    renderer = Renderer(concurrency=1)
    with pytest.raises(Unavailable) as refused:
        await render(renderer, picture())
    assert refused.value.detail == "it ended with status 1"


async def test_children_leave_nothing_behind(renderer: Renderer) -> None:
    for _ in range(3):
        await render(renderer, picture())
    process = fork_server_of(renderer)
    assert process.num_threads() == 1
    assert process.children() == []
    assert process.num_fds() <= 9
    await renderer.close()
    await asyncio.to_thread(wait_until_gone, process.pid)


def test_nothing_outlives_a_killed_parent() -> None:
    program = """
import os, signal
from pagemill.documents.thumbnails.renderer import FORK_SERVER
from pagemill.sandbox.forked_child import ForkServer
print(ForkServer(FORK_SERVER, start_seconds=60).process_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    wait_until_gone(int(ran.stdout))

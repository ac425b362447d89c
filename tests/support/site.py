"""The API as a server of its own, over TLS, and a page of an app that people sign in to."""

from __future__ import annotations

import asyncio
import datetime
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template

import psutil

from pagemill.api.server import APPLICATION, SERVER_OPTIONS
from pagemill.settings import Settings, to_environment
from pagemill.stack.certificates import Certificates
from tests.support.processes import PATIENCE_SECONDS, kill

APP_PAGE = Path(__file__).parents[1] / "sign_in" / "app.html"


@asynccontextmanager
async def https_server(settings: Settings, directory: Path) -> AsyncIterator[int]:
    """Run the API with a certificate of its own; yields the port that it has chosen."""
    certificates = Certificates(directory)
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    command = [
        *(sys.executable, "-m", "granian", *SERVER_OPTIONS, "--host=127.0.0.1", "--port=0"),
        f"--ssl-certificate={certificates.certificate}",
        f"--ssl-keyfile={certificates.key}",
        APPLICATION,
    ]
    with (directory / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | to_environment(settings), stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (port := await asyncio.to_thread(_listening_port, process.pid)):
                assert process.returncode is None, (directory / "server.log").read_text()
                await asyncio.sleep(0.2)
        yield port
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        await process.wait()
        kill(children)


def _listening_port(process_id: int) -> int:
    """The port on which a server listens; 0 while it does not."""
    process = psutil.Process(process_id)
    for one in [process, *process.children(recursive=True)]:
        for connection in one.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return int(connection.laddr.port)
    return 0


@asynccontextmanager
async def app_server() -> AsyncIterator[AppServer]:
    """Serve the page of an app, whatever its path, on a port of this machine."""
    server = AppServer()
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    server.url = f"http://localhost:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


class AppServer:
    """An app of one page. It is told where the API is, and which app client it is, before it is opened."""

    def __init__(self) -> None:
        self.url = ""
        self.api = ""
        self.client_id = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request with the page."""
        await reader.readuntil(b"\r\n\r\n")
        page = Template(APP_PAGE.read_text()).substitute(
            api=self.api, client_id=self.client_id, callback=f"{self.url}/callback", bye=f"{self.url}/bye"
        )
        body = page.encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

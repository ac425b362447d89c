"""The official clients in tests: which of their operations were called, and on whose behalf."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import httpx
import las
from las.credentials import Credentials

from db.pool import connect
from db.statements import Connection
from examples.local_stack import LocalStack
from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import EmbeddedPostgres
from pagemill.stack.reachable import server_directory
from tests.support.contract import violations
from tests.support.tenants import Tenant, create_tenant

Answer = dict[str, Any]
Value = TypeVar("Value")
PORT_LINE = 3
"""Of postmaster.pid: https://www.postgresql.org/docs/current/storage-file-layout.html"""


def public_methods(kind: type) -> set[str]:
    """What a caller may use of a class."""
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


METHODS = public_methods(las.Client)


class RecordingClient(las.Client):
    """The official client as it is; notes which of its methods a test has used."""

    used: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if name in METHODS:
            RecordingClient.used.add(name)
        return super().__getattribute__(name)


def client_of(tenant: Tenant, environment: Mapping[str, str]) -> RecordingClient:
    """The client of another organization of the same stack."""
    credentials = Credentials(
        tenant.client_id,
        tenant.client_secret,
        environment["LAS_AUTH_ENDPOINT"],
        environment["LAS_API_ENDPOINT"],
    )
    return RecordingClient(credentials)


def new_organization(data_directory: Path, *, allowed: Mapping[str, float] | None = None) -> Tenant:
    """Another organization in a running stack's own database, with a plan that allows so much."""
    return _in_database(data_directory, lambda connection: create_tenant(connection, allowed=allowed))


def _in_database(data_directory: Path, act: Callable[[Connection], Awaitable[Value]]) -> Value:
    postgres = DataDirectory(data_directory).postgres
    lines = (server_directory(postgres) / "data" / "postmaster.pid").read_text().splitlines()
    url = EmbeddedPostgres(postgres, port=int(lines[PORT_LINE])).url()

    async def run() -> Value:
        connection = await connect(url, application_name="pagemill-tests")
        try:
            return await act(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def pages(read: Callable[..., Answer], name: str, size: int) -> Iterator[list[Answer]]:
    """Every page of a list, read as the client's documentation says."""
    token: str | None = None
    while True:
        answer = read(max_results=size, next_token=token)
        assert len(answer[name]) <= size
        yield answer[name]
        token = answer["nextToken"]
        if token is None:
            return


def listed(read: Callable[..., Answer], name: str, size: int = 1000) -> list[Answer]:
    """All items of a list, page by page."""
    return [item for page in pages(read, name, size) for item in page]


def check_answer(method: str, url: str, status: int, body: object) -> None:
    """Fail unless an answer of the API follows the reference; files and tokens are not in it."""
    path = urlsplit(url).path
    if path.startswith("/v1/") and not path.startswith("/v1/files/"):
        assert violations(method, path, status, body) == []


@contextmanager
def plain_client(stack: LocalStack, token: str) -> Iterator[httpx.Client]:
    """Plain HTTPS; every answer follows the reference."""

    def check(response: httpx.Response) -> None:
        response.read()
        check_answer(response.request.method, str(response.url), response.status_code, response.content)

    trust = ssl.create_default_context(cafile=stack.environment["REQUESTS_CA_BUNDLE"])
    with httpx.Client(
        base_url=stack.environment["LAS_API_ENDPOINT"],
        headers={"Authorization": f"Bearer {token}"},
        verify=trust,
        timeout=60,
        event_hooks={"response": [check]},
    ) as session:
        yield session

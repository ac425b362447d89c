"""Files of documents through HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from pagemill.settings import Settings
from tests.support.samples import BY_TYPE, JPEG, PDF
from tests.support.tenants import Tenant
from tests.support.tokens import token_of

MEBIBYTE = 1024 * 1024


@pytest.fixture
async def file_url(api: httpx.AsyncClient) -> str:
    """Create an empty document and return the path of its fileUrl."""
    url = (await api.post("/v1/documents", json={})).json()["fileUrl"]
    return str(url).removeprefix("https://localhost:8443")


def document_path(file_url: str) -> str:
    return file_url.replace("/files/", "/documents/")


def stored_files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def pieces(size: int, start: bytes = PDF) -> AsyncIterator[bytes]:
    """Yield a body of ``size`` bytes without a Content-Length."""
    yield start
    left = size - len(start)
    while left > 0:
        yield bytes(min(left, MEBIBYTE))
        left -= MEBIBYTE


@pytest.mark.parametrize("content_type", BY_TYPE)
async def test_upload_and_download(api: httpx.AsyncClient, file_url: str, content_type: str) -> None:
    content = BY_TYPE[content_type]
    stored = await api.put(file_url, content=content, headers={"Content-Type": "text/plain"})
    assert stored.status_code == 200
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert (stored.json()["contentType"], stored.json()["contentMD5"]) == (content_type, md5)
    document = (await api.get(document_path(file_url))).json()
    assert (document["contentType"], document["contentMD5"]) == (content_type, md5)
    got = await api.get(file_url)
    assert got.content == content
    assert got.headers["content-type"] == content_type
    assert got.headers["etag"] == f'"{md5}"'
    assert got.headers["x-content-type-options"] == "nosniff"


async def test_the_largest_file_is_streamed(
    api: httpx.AsyncClient, file_url: str, objects_directory: Path
) -> None:
    stored = await api.put(file_url, content=pieces(64 * MEBIBYTE))
    assert stored.status_code == 200
    assert [file.stat().st_size for file in stored_files(objects_directory)] == [64 * MEBIBYTE]
    document = (await api.get(document_path(file_url))).json()
    assert "content" not in document
    last = await api.get(file_url, headers={"Range": f"bytes={64 * MEBIBYTE - 2}-"})
    assert (last.status_code, last.content) == (206, b"\0\0")


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
async def test_a_larger_file_is_refused(
    api: httpx.AsyncClient, file_url: str, objects_directory: Path, announced: bool
) -> None:
    await api.put(file_url, content=JPEG)
    size = 64 * MEBIBYTE + 1
    headers = {"Content-Length": str(size)} if announced else {}
    refused = await api.put(file_url, content=pieces(size), headers=headers)
    assert refused.status_code == 400
    assert refused.json() == {"message": "file: must not be larger than 64 MB"}
    assert (await api.get(file_url)).content == JPEG
    assert len(stored_files(objects_directory)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file: must not be empty"),
        (b"plain text", "file: is not a PDF, JPEG, PNG, TIFF or WebP"),
        (b"x" * 5000, "file: is not a PDF, JPEG, PNG, TIFF or WebP"),
    ],
)
async def test_files_of_other_types_are_refused(
    api: httpx.AsyncClient, file_url: str, objects_directory: Path, content: bytes, message: str
) -> None:
    refused = await api.put(file_url, content=content)
    assert (refused.status_code, refused.json()) == (400, {"message": message})
    assert stored_files(objects_directory) == []
    assert (await api.get(document_path(file_url))).json()["contentType"] is None


async def test_the_type_is_recognised_across_pieces(api: httpx.AsyncClient, file_url: str) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for byte in PDF:
            yield bytes([byte])

    assert (await api.put(file_url, content=slowly())).status_code == 200
    assert (await api.get(file_url)).content == PDF


async def test_a_new_file_replaces_the_old_one(
    api: httpx.AsyncClient, file_url: str, objects_directory: Path
) -> None:
    await api.put(file_url, content=PDF)
    await api.put(file_url, content=JPEG)
    assert (await api.get(file_url)).content == JPEG
    assert len(stored_files(objects_directory)) == 1


async def test_concurrent_uploads_leave_one_content(
    api: httpx.AsyncClient, file_url: str, objects_directory: Path
) -> None:
    contents = [PDF + bytes([number]) for number in range(6)]
    answers = await asyncio.gather(*(api.put(file_url, content=content) for content in contents))
    assert [answer.status_code for answer in answers] == [200] * 6
    got = await api.get(file_url)
    assert got.content in contents
    md5 = hashlib.md5(got.content, usedforsecurity=False).hexdigest()
    assert (await api.get(document_path(file_url))).json()["contentMD5"] == md5
    assert len(stored_files(objects_directory)) == 1


async def test_the_document_is_deleted_during_the_upload(
    api: httpx.AsyncClient, file_url: str, objects_directory: Path
) -> None:
    async def deleting() -> AsyncIterator[bytes]:
        yield PDF
        assert (await api.delete(document_path(file_url))).status_code == 200
        yield b"rest"

    assert (await api.put(file_url, content=deleting())).status_code == 404
    assert stored_files(objects_directory) == []


async def call(app: Litestar, scope: dict[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages that the application sends when it receives these."""
    sent: list[dict[str, Any]] = []
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("end", ["disconnect", "early end"])
async def test_an_incomplete_upload_leaves_nothing_behind(
    app: Litestar,
    api: httpx.AsyncClient,
    settings: Settings,
    organization: Tenant,
    file_url: str,
    objects_directory: Path,
    end: str,
) -> None:
    token = await token_of(app, organization.organization_id, organization.app_client_id)
    scope = {
        "type": "http",
        "method": "PUT",
        "path": file_url,
        "raw_path": file_url.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode()), (b"content-length", b"5000")],
        "http_version": "1.1",
        "scheme": "https",
        "server": ("localhost", 443),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "asgi": {"version": "3.0"},
    }
    received = [{"type": "http.request", "body": PDF, "more_body": end == "disconnect"}]
    sent = await call(app, scope, received)
    assert sent[0]["status"] == 400
    assert stored_files(objects_directory) == []
    assert (await api.get(document_path(file_url))).json()["contentType"] is None


async def test_ranges_and_validators(api: httpx.AsyncClient, file_url: str) -> None:
    content = PDF + bytes(range(100))
    await api.put(file_url, content=content)
    etag = (await api.get(file_url)).headers["etag"]
    part = await api.get(file_url, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, content[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(content)}"
    assert part.headers["content-length"] == "5"
    tail = await api.get(file_url, headers={"Range": "bytes=-3", "If-Range": etag})
    assert (tail.status_code, tail.content) == (206, content[-3:])
    other = await api.get(file_url, headers={"Range": "bytes=-3", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, content)
    outside = await api.get(file_url, headers={"Range": "bytes=999-"})
    assert (outside.status_code, outside.json()["message"]) == (416, "The range lies outside the file")
    assert outside.headers["content-range"] == f"bytes */{len(content)}"
    unchanged = await api.get(file_url, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_file_before_its_upload(api: httpx.AsyncClient, file_url: str) -> None:
    response = await api.get(file_url)
    assert response.status_code == 404
    assert "no content" in response.json()["message"]


async def test_file_whose_object_is_lost(
    api: httpx.AsyncClient, file_url: str, objects_directory: Path
) -> None:
    await api.put(file_url, content=PDF)
    [file] = stored_files(objects_directory)
    file.unlink()
    assert (await api.get(file_url)).status_code == 404

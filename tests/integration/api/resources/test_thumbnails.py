"""Thumbnails of files through HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from db.documents import get_document
from pagemill.documents.content import content_of
from pagemill.documents.thumbnails import cache, renderer
from pagemill.documents.thumbnails.cache import ThumbnailCache
from pagemill.documents.thumbnails.renderer import Renderer
from pagemill.documents.thumbnails.thumbnail import PageImage
from pagemill.ids import DocumentId
from pagemill.objects import ObjectStore
from tests.support.pictures import BLUE, RED, is_near, opened, pdf, picture, scan, sizes_of, tiff
from tests.support.samples import PDF


async def upload(api: httpx.AsyncClient, content: bytes) -> str:
    """Upload a new document and return the path of its file."""
    url = (await api.post("/v1/documents", json={})).json()["fileUrl"]
    path = str(url).removeprefix("https://localhost:8443")
    assert (await api.put(path, content=content)).status_code == 200
    return path


def stored_files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record the thumbnails that the renderer is asked for."""
    requested: list[Any] = []
    render = Renderer.render

    def recorded(self: Renderer, request: Any, content: Any) -> Any:
        requested.append(request.thumbnail)
        return render(self, request, content)

    monkeypatch.setattr(Renderer, "render", recorded)
    return requested


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"width": 100}, (100, 50)),
        ({"height": 100}, (200, 100)),
        ({"width": 30, "height": 70}, (30, 70)),
        ({"rotation": 0}, (40, 20)),
        ({"rotation": 90}, (20, 40)),
        ({"rotation": 180, "width": 20}, (20, 10)),
        ({"rotation": 270, "width": 10}, (10, 20)),
        ({"page": 0}, (40, 20)),
        ({"page": -1, "quality": "low"}, (40, 20)),
        ({"density": 300}, (40, 20)),
    ],
)
async def test_an_image(api: httpx.AsyncClient, parameters: dict[str, Any], size: tuple[int, int]) -> None:
    path = await upload(api, picture((40, 20)))
    answer = await api.get(path, params=parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    image = opened(answer.content)
    assert image.size == size
    turns = {0: (RED, BLUE), 90: (RED, BLUE), 180: (BLUE, RED), 270: (BLUE, RED)}
    first, last = turns[parameters.get("rotation", 0)]
    assert is_near(image, (0, 0), first)
    assert is_near(image, (size[0] - 1, size[1] - 1), last)


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"page": 0}, (150, 300)),
        ({"page": 1}, (600, 300)),
        ({"page": -1, "width": 100}, (100, 50)),
        ({"density": 72}, (72, 144)),
        ({"density": 36, "rotation": 90}, (72, 36)),
        ({"density": 600, "width": 10}, (10, 20)),
        ({"width": 300, "height": 10}, (300, 10)),
    ],
)
async def test_a_pdf(api: httpx.AsyncClient, parameters: dict[str, Any], size: tuple[int, int]) -> None:
    answer = await api.get(await upload(api, pdf((72, 144), (288, 144))), params=parameters)
    assert opened(answer.content).size == size


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"page": 1}, (30, 60)),
        ({"page": -2}, (100, 50)),
        ({"density": 100}, (50, 25)),
        ({"density": 100, "height": 10}, (20, 10)),
    ],
)
async def test_a_tiff(api: httpx.AsyncClient, parameters: dict[str, Any], size: tuple[int, int]) -> None:
    answer = await api.get(await upload(api, tiff((100, 50), (30, 60), dpi=200)), params=parameters)
    assert opened(answer.content).size == size


async def test_density_of_a_tiff_without_one(api: httpx.AsyncClient) -> None:
    answer = await api.get(await upload(api, tiff((100, 50))), params={"density": 600})
    assert opened(answer.content).size == (100, 50)


@pytest.mark.parametrize(("kind", "orientation"), [("JPEG", 6), ("WEBP", 8), ("JPEG", 1)])
async def test_an_image_with_an_exif_orientation(api: httpx.AsyncClient, kind: str, orientation: int) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = await upload(api, picture((400, 200), kind, exif=exif))
    image = opened((await api.get(path, params={"width": 20})).content)
    assert image.size == ((20, 10) if orientation == 1 else (20, 40))
    upper, lower = {1: (RED, BLUE), 6: (RED, BLUE), 8: (BLUE, RED)}[orientation]
    assert is_near(image, (0, 0), upper)
    assert is_near(image, (image.width - 1, image.height - 1), lower)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", "0"),
        ("width", "4097"),
        ("width", "wide"),
        ("height", "-1"),
        ("height", "1.5"),
        ("page", "first"),
        ("page", "999999"),
        ("page", "2"),
        ("page", "-3"),
        ("rotation", "45"),
        ("rotation", "360"),
        ("rotation", "left"),
        ("density", "0"),
        ("density", "601"),
        ("quality", "high"),
        ("quality", ""),
    ],
)
async def test_bad_parameters_are_named(
    api: httpx.AsyncClient, objects_directory: Path, name: str, value: str
) -> None:
    path = await upload(api, pdf((72, 144), (288, 144)))
    answer = await api.get(path, params={name: value})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{name}:")
    assert len(stored_files(objects_directory)) == 1


async def test_an_image_that_would_be_too_large_is_refused(api: httpx.AsyncClient) -> None:
    path = await upload(api, pdf((3000, 3000), (1, 3000)))
    for parameters in ({"density": 600}, {"page": 1, "width": 4096}):
        answer = await api.get(path, params=parameters)
        assert answer.status_code == 400
        assert "more than 40 megapixels" in answer.json()["message"]
    usual = await api.get(path, params={"page": 0})
    assert opened(usual.content).size == (4096, 4096)


async def test_a_parameter_that_is_not_known_is_ignored(api: httpx.AsyncClient) -> None:
    content = picture()
    assert (await api.get(await upload(api, content), params={"colour": "red"})).content == content


async def test_low_quality_makes_scans_lighter(api: httpx.AsyncClient) -> None:
    content = scan()
    path = await upload(api, content)
    answer = await api.get(path, params={"quality": "low"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert len(answer.content) < 0.6 * len(content)
    assert sizes_of(answer.content) == sizes_of(content)
    assert (await api.get(path)).content == content


async def test_low_quality_of_a_file_that_cannot_be_smaller_is_the_original(
    api: httpx.AsyncClient, rendered: list[Any]
) -> None:
    content = pdf((72, 144))
    path = await upload(api, content)
    for _ in range(2):
        answer = await api.get(path, params={"quality": "low"})
        assert (answer.content, answer.headers["content-type"]) == (content, "application/pdf")
    assert len(rendered) == 1
    image = picture()
    assert (await api.get(await upload(api, image), params={"quality": "low"})).content == image
    assert len(rendered) == 1


async def test_ranges_and_validators(api: httpx.AsyncClient, rendered: list[Any]) -> None:
    path = await upload(api, picture())
    whole = await api.get(path, params={"width": 10})
    etag = whole.headers["etag"]
    assert whole.headers["cache-control"] == "private, no-cache"
    part = await api.get(path, params={"width": 10}, headers={"Range": "bytes=5-9", "If-Range": etag})
    assert (part.status_code, part.content) == (206, whole.content[5:10])
    assert part.headers["content-type"] == "image/jpeg"
    outside = await api.get(path, params={"width": 10}, headers={"Range": "bytes=999999-"})
    assert outside.status_code == 416
    unchanged = await api.get(path, params={"width": 10}, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    other = await api.get(path, params={"width": 11}, headers={"If-None-Match": etag})
    assert other.status_code == 200
    original = await api.get(path, headers={"If-None-Match": etag})
    assert original.status_code == 200
    assert len({etag, other.headers["etag"], original.headers["etag"]}) == 3
    assert len(rendered) == 2


async def test_a_thumbnail_is_made_once(
    api: httpx.AsyncClient, rendered: list[Any], objects_directory: Path
) -> None:
    path = await upload(api, picture())
    answers = await asyncio.gather(*(api.get(path, params={"width": 10}) for _ in range(8)))
    again = await api.get(path, params={"width": 10, "page": 0, "rotation": 0})
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {again.content}
    assert len(rendered) == 1
    assert len(stored_files(objects_directory)) == 2


async def test_a_new_file_has_new_thumbnails(api: httpx.AsyncClient, objects_directory: Path) -> None:
    path = await upload(api, picture((40, 20)))
    first = await api.get(path, params={"width": 10})
    await api.put(path, content=picture((40, 80)))
    assert len(stored_files(objects_directory)) == 1
    second = await api.get(path, params={"width": 10})
    assert (opened(first.content).size, opened(second.content).size) == ((10, 5), (10, 20))
    assert first.headers["etag"] != second.headers["etag"]


async def test_thumbnails_are_deleted_with_their_document(
    api: httpx.AsyncClient, objects_directory: Path
) -> None:
    path = await upload(api, picture())
    await api.get(path, params={"width": 10})
    assert len(stored_files(objects_directory)) == 2
    await api.delete(path.replace("/files/", "/documents/"))
    assert stored_files(objects_directory) == []
    assert (await api.get(path, params={"width": 10})).status_code == 404


@pytest.mark.parametrize("change", ["deleted", "replaced"])
async def test_a_change_while_a_thumbnail_is_made_leaves_nothing_behind(
    api: httpx.AsyncClient, objects_directory: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = await upload(api, picture((40, 20)))
    render = Renderer.render
    changed = False

    async def changing(self: Renderer, request: Any, content: Any) -> Any:
        nonlocal changed
        async for piece in render(self, request, content):
            yield piece
        if not changed:
            changed = True
            if change == "deleted":
                await api.delete(path.replace("/files/", "/documents/"))
            else:
                await api.put(path, content=picture((40, 80)))

    monkeypatch.setattr(Renderer, "render", changing)
    answer = await api.get(path, params={"width": 10})
    if change == "deleted":
        assert answer.status_code == 404
        assert stored_files(objects_directory) == []
    else:
        assert opened(answer.content).size == (10, 20)
        assert len(stored_files(objects_directory)) == 2


async def test_the_number_of_stored_thumbnails_is_bounded(
    api: httpx.AsyncClient, objects_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAXIMUM_THUMBNAILS", 3)
    path = await upload(api, picture())
    for width in range(1, 9):
        assert (await api.get(path, params={"width": width})).status_code == 200
        assert len(stored_files(objects_directory)) <= 1 + 3


@pytest.mark.parametrize(
    "content",
    [PDF, picture()[:60], b"%PDF-1.7\n" + os.urandom(500), b"II*\0" + b"\xff" * 300],
    ids=["no pages", "cut off", "garbage", "tiff"],
)
async def test_damaged_documents_are_refused(
    api: httpx.AsyncClient, objects_directory: Path, content: bytes
) -> None:
    path = await upload(api, content)
    for parameters in ({"width": 10}, {"quality": "low"}):
        if parameters == {"quality": "low"} and not content.startswith(b"%PDF"):
            continue
        answer = await api.get(path, params=parameters)
        assert answer.status_code == 400, answer.content
        assert answer.json()["message"].startswith("The document is damaged")
    assert len(stored_files(objects_directory)) == 1


async def test_a_bomb_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.get(await upload(api, picture((9000, 9000), "PNG")), params={"width": 10})
    assert answer.status_code == 400
    assert answer.json()["message"] == "The image has more than 40 megapixels"


async def test_a_killed_fork_server_is_started_again(api: httpx.AsyncClient, app: Litestar) -> None:
    path = await upload(api, picture())
    await api.get(path, params={"width": 10})
    process = app.state.pagemill.thumbnails._renderer._children.server._process.process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (await api.get(path, params={"width": 11})).status_code == 200


async def test_too_many_at_a_time_are_answered_503(
    api: httpx.AsyncClient, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(app.state.pagemill.thumbnails._renderer, "_slots", asyncio.Semaphore(0))
    answer = await api.get(await upload(api, picture()), params={"width": 10})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_client_that_disconnects_does_not_cancel_the_thumbnail_for_others(
    api: httpx.AsyncClient, pool: Any, objects: ObjectStore, organization: Any
) -> None:
    path = await upload(api, picture())
    owner, document_id = organization.organization_id, DocumentId(path.rsplit("/", 1)[1])
    async with pool.acquire() as connection:
        row = await get_document(connection, organization_id=owner, document_id=document_id)
    assert row is not None
    content = content_of(row)
    assert content is not None
    ours = ThumbnailCache(pool, objects, Renderer(concurrency=1))
    gone, stays = (
        asyncio.create_task(ours.download(owner, document_id, content, PageImage(width=10))) for _ in range(2)
    )
    while not ours._rendering:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).content_type == "image/jpeg"
    assert gone.cancelled()
    await ours.close()

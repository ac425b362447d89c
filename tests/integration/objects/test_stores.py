"""A directory, and a bucket behind the real S3 protocol, behave alike."""

from __future__ import annotations

import datetime
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pagemill.errors import Unavailable
from pagemill.objects import ObjectMissing, ObjectStore, local, open_objects
from pagemill.objects.discarding import discard
from pagemill.objects.s3 import PART_BYTES
from pagemill.objects.store import InvalidKey
from pagemill.settings import Settings, load_settings
from pagemill.stack.postgres import free_port
from tests.support.s3 import BUCKET, running_s3, s3_client, s3_environment

MEBIBYTE = 1024 * 1024
KEY = "organizations/acme/documents/1/content/a"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with running_s3(BUCKET) as endpoint:
        yield endpoint


def s3_settings(endpoint: str) -> Settings:
    return load_settings(
        {"PAGEMILL_DATABASE_URL": "postgresql://unused", **s3_environment(endpoint, "some/prefix")}
    )


@pytest.fixture(params=["directory", "bucket"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    if request.param == "bucket":
        settings = s3_settings(request.getfixturevalue("s3_endpoint"))
    else:
        settings = Settings(database_url="postgresql://unused", objects_url=(tmp_path / "o").as_uri())
    opened = open_objects(settings)
    yield opened
    await opened.delete_prefix("organizations/")
    await opened.close()


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


async def test_a_stored_object_is_read_back(store: ObjectStore) -> None:
    assert await store.put(KEY, b"content") == 7
    assert await store.get(KEY) == b"content"
    assert await store.size(KEY) == 7


async def test_pieces_become_one_object(store: ObjectStore) -> None:
    large = os.urandom(5 * MEBIBYTE)
    assert await store.put(KEY, pieces(b"head", large, b"", large, b"tail")) == 2 * len(large) + 8
    assert await store.get(KEY) == b"head" + large + large + b"tail"


@pytest.mark.parametrize("size", [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES])
async def test_sizes_around_those_of_parts(store: ObjectStore, size: int) -> None:
    content = os.urandom(size)
    for source in (content, pieces(content[: size // 2], content[size // 2 :])):
        assert await store.put(KEY, source) == size
        assert await store.size(KEY) == size
        assert await store.get(KEY) == content


async def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    assert await store.put(KEY, pieces()) == 0
    assert await store.get(KEY) == b""


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 3), (2, 5), (4, None), (9, 99), (3, 3)])
async def test_a_range_is_a_slice(store: ObjectStore, start: int, end: int | None) -> None:
    await store.put(KEY, b"0123456789")
    assert b"".join([piece async for piece in store.stream(KEY, start, end)]) == b"0123456789"[start:end]


async def test_a_failed_upload_keeps_the_former_object(store: ObjectStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield os.urandom(9 * MEBIBYTE)
        raise ConnectionResetError("the client went away")

    await store.put(KEY, b"before")
    with pytest.raises(ConnectionResetError, match="went away"):
        await store.put(KEY, broken())
    with pytest.raises(ConnectionResetError):
        await store.put("organizations/acme/other", broken())
    assert await store.get(KEY) == b"before"
    assert [key async for key in store.list("organizations/")] == [KEY]


async def test_a_missing_object_is_an_error(store: ObjectStore) -> None:
    for attempt in (store.get(KEY), store.size(KEY)):
        with pytest.raises(ObjectMissing):
            await attempt
    with pytest.raises(ObjectMissing):
        [piece async for piece in store.stream(KEY)]
    await store.delete(KEY)


async def test_a_prefix_is_deleted_and_its_neighbours_stay(store: ObjectStore) -> None:
    kept = "organizations/acme/documents/10/content/a"
    for key in (KEY, "organizations/acme/documents/1/words/a", kept):
        await store.put(key, b"x")
    assert await store.delete_prefix("organizations/acme/documents/1/") == 2
    assert await store.delete_prefix("organizations/acme/documents/1/") == 0
    assert [key async for key in store.list("organizations/")] == [kept]


async def test_names_that_others_give_are_deleted_too(s3_endpoint: str) -> None:
    """Ray Train writes below a prefix of ours: its runs have colons, its directories end in a slash."""
    others = ["run/", "run/las:model-training:1/", "run/las:model-training:1/checkpoint"]
    client = s3_client(s3_endpoint)
    for name in others:
        client.put_object(Bucket="pages", Key=f"some/prefix/trainings/{name}", Body=b"")
    store = open_objects(s3_settings(s3_endpoint))

    assert await store.delete_prefix("trainings/run/") == len(others)
    assert [key async for key in store.list("trainings/")] == []
    await store.close()


async def test_a_scan_is_in_the_order_of_keys(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SCAN_BATCH_SIZE", 2)
    keys = [
        f"organizations/acme/{rest}"
        for rest in ("a-b/x", "a.json", "a/b/c", "a/b-c", "a/B", "a0/x", "a_b", "aa", "a/b.c", "a/b/0/z")
    ]
    for key in keys:
        await store.put(key, b"x")
    await store.put("organizations/acme0", b"x")
    begun = datetime.datetime.now(datetime.UTC)
    found = [one async for one in store.scan("organizations/acme/")]
    assert [one.key for one in found] == sorted(keys)
    assert all(abs((begun - one.modified_time).total_seconds()) < 60 for one in found)


async def test_a_scan_of_nothing_finds_nothing(store: ObjectStore) -> None:
    assert [one async for one in store.scan("organizations/none/")] == []
    with pytest.raises(InvalidKey):
        [one async for one in store.scan("../outside/")]


async def test_a_directory_that_is_deleted_during_a_scan_is_skipped(tmp_path: Path) -> None:
    store = open_objects(Settings(database_url="postgresql://unused", objects_url=tmp_path.as_uri()))
    for key in ("a/1/x", "a/2/x", "a/3"):
        await store.put(key, b"x")
    found = local._walk(tmp_path / "a", "a/")
    assert next(found).key == "a/1/x"
    await store.delete_prefix("a/2/")
    await store.delete("a/3")
    assert list(found) == []


async def test_keys_outside_are_refused(store: ObjectStore) -> None:
    with pytest.raises(InvalidKey):
        await store.put("organizations/../../etc/passwd", b"x")


@pytest.mark.parametrize("durable", [True, False])
async def test_what_can_be_lost_is_not_flushed(
    tmp_path: Path, durable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    store = local.LocalObjectStore(tmp_path)
    assert await store.put("a/b", b"content", durable=durable) == 7
    assert await store.get("a/b") == b"content"
    # The file, and the directory that has its name.
    assert len(flushed) == (2 if durable else 0)


async def test_a_directory_leaves_no_temporary_files(tmp_path: Path) -> None:
    store = open_objects(Settings(database_url="postgresql://unused", objects_url=tmp_path.as_uri()))
    await store.put(KEY, b"x")
    assert _files(tmp_path) == ["a"]


def _files(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*") if path.is_file()]


async def test_unreachable_storage_is_a_retryable_error() -> None:
    store = open_objects(s3_settings(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Unavailable) as caught:
        await store.get(KEY)
    assert caught.value.retryable
    await store.close()


async def test_a_full_or_broken_disk_is_a_retryable_error(tmp_path: Path) -> None:
    (tmp_path / "o").write_text("a file where the directory should be")
    store = open_objects(Settings(database_url="postgresql://unused", objects_url=(tmp_path / "o").as_uri()))
    with pytest.raises(Unavailable):
        await store.put(KEY, b"x")


async def test_removal_takes_keys_and_prefixes_and_survives_failures(store: ObjectStore) -> None:
    for key in (KEY, "organizations/acme/trainings/1/a", "organizations/acme/kept"):
        await store.put(key, b"x")
    await discard(store, keys=["../outside", KEY], prefixes=["organizations/acme/trainings/1/"])
    assert [key async for key in store.list("organizations/")] == ["organizations/acme/kept"]

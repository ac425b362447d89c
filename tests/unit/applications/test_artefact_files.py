"""Artefacts as files of a node: fetched once, verified, bounded, and gone when they are old."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from pagemill.applications import artefact_files
from pagemill.applications.artefact_files import ArtefactFiles
from pagemill.applications.training_artefacts import CONFIGURATION_FILE, WEIGHTS_FILE, save_artefact
from pagemill.errors import ModelDamaged, ModelMissing, ModelTooLarge
from pagemill.extraction.artefact import Artefact
from pagemill.objects import ObjectStore
from pagemill.objects.local import LocalObjectStore

ARTEFACT = Artefact(weights=b"weights" * 100, configuration=b"{}")
SIZE = len(ARTEFACT.weights)
KEYS = [f"organizations/o/trainings/{number}/artefact/" for number in range(4)]


class CountingStore(LocalObjectStore):
    """An object storage that counts the weights that are fetched."""

    fetched = 0

    async def get(self, key: str) -> bytes:
        self.fetched += key.endswith(WEIGHTS_FILE)
        return await super().get(key)


@pytest.fixture
async def store(tmp_path: Path) -> CountingStore:
    made = CountingStore(tmp_path / "objects")
    for key in KEYS:
        await save_artefact(made, key, ARTEFACT)
    return made


def files_of(
    store: ObjectStore, directory: Path, *, maximum_bytes: int = 10**6, storage: str = "one"
) -> ArtefactFiles:
    return ArtefactFiles(store, directory, storage=storage, maximum_bytes=maximum_bytes, maximum_age=3600.0)


def entries(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if not path.name.startswith(".")]


async def test_replicas_of_a_node_fetch_once(store: CountingStore, tmp_path: Path) -> None:
    replicas = [files_of(store, tmp_path / "node") for _ in range(4)]
    found = await asyncio.gather(*(replica.load(KEYS[0], largest=SIZE) for replica in replicas))
    assert {one.weights.read_bytes() for one in found} == {ARTEFACT.weights}
    assert {(one.configuration, one.size) for one in found} == {(b"{}", SIZE)}
    assert store.fetched == 1
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700


async def test_two_storages_do_not_share(store: CountingStore, tmp_path: Path) -> None:
    for storage in ("one", "other"):
        await files_of(store, tmp_path / "node", storage=storage).load(KEYS[0], largest=SIZE)
    assert (store.fetched, len(entries(tmp_path / "node"))) == (2, 2)


@pytest.mark.parametrize("name", [WEIGHTS_FILE, CONFIGURATION_FILE, "digests.json"])
@pytest.mark.parametrize("damage", [b"", b"[]", None])
async def test_a_damaged_file_is_fetched_again(
    store: CountingStore, tmp_path: Path, name: str, damage: bytes | None
) -> None:
    files = files_of(store, tmp_path / "node")
    first = await files.load(KEYS[0], largest=SIZE)
    path = first.weights.parent / name
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    again = await files.load(KEYS[0], largest=SIZE)
    assert (again.weights.read_bytes(), again.configuration) == (ARTEFACT.weights, b"{}")
    assert store.fetched == 2


async def test_missing_and_damaged_weights_are_named(store: CountingStore, tmp_path: Path) -> None:
    files = files_of(store, tmp_path / "node")
    with pytest.raises(ModelMissing):
        await files.load("nothing/there/", largest=SIZE)
    await store.put(f"{KEYS[0]}{WEIGHTS_FILE}", b"others")
    with pytest.raises(ModelDamaged):
        await files.load(KEYS[0], largest=SIZE)
    assert entries(tmp_path / "node") == []


async def test_an_artefact_of_a_release_that_wrote_no_digests_is_loaded(
    store: CountingStore, tmp_path: Path
) -> None:
    await store.delete(f"{KEYS[0]}digests.json")
    found = await files_of(store, tmp_path / "node").load(KEYS[0], largest=SIZE)
    assert found.weights.read_bytes() == ARTEFACT.weights


async def test_what_is_too_large_is_not_fetched(store: CountingStore, tmp_path: Path) -> None:
    files = files_of(store, tmp_path / "node")
    with pytest.raises(ModelTooLarge):
        await files.load(KEYS[0], largest=SIZE - 1)
    assert store.fetched == 0
    await files.load(KEYS[0], largest=SIZE)
    with pytest.raises(ModelTooLarge):
        await files.load(KEYS[0], largest=SIZE - 1)


async def test_the_least_recently_used_makes_room(
    store: CountingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefact_files, "GRACE_SECONDS", 0.0)
    directory = tmp_path / "node"
    files = files_of(store, directory, maximum_bytes=3 * SIZE)
    loaded = [await files.load(key, largest=SIZE) for key in KEYS[:2]]
    for number, one in enumerate(loaded):
        os.utime(one.weights.parent, (0.0, time.time() - 100.0 + number))
    await files.load(KEYS[0], largest=SIZE)
    await files.load(KEYS[2], largest=SIZE)
    assert loaded[0].weights.exists()
    assert not loaded[1].weights.exists()


async def test_what_was_just_used_stays(store: CountingStore, tmp_path: Path) -> None:
    files = files_of(store, tmp_path / "node", maximum_bytes=1)
    found = [await files.load(key, largest=SIZE) for key in KEYS]
    assert all(one.weights.exists() for one in found)


async def test_what_is_old_goes_however_often_it_was_used(store: CountingStore, tmp_path: Path) -> None:
    files = files_of(store, tmp_path / "node")
    found = await files.load(KEYS[0], largest=SIZE)
    os.utime(found.weights, (0.0, time.time() - 3601.0))
    await files.sweep()
    assert not found.weights.exists()

    kept = await files.load(KEYS[1], largest=SIZE)
    os.utime(kept.weights, (0.0, time.time() - 3601.0))
    await store.delete_prefix(KEYS[1])
    with pytest.raises(ModelMissing):
        await files.load(KEYS[1], largest=SIZE)
    assert not kept.weights.exists()


async def test_what_a_killed_replica_left_goes(store: CountingStore, tmp_path: Path) -> None:
    files = files_of(store, tmp_path / "node")
    left, under_way = tmp_path / "node" / ".left", tmp_path / "node" / ".under-way"
    for path in (left, under_way):
        path.mkdir()
    os.utime(left, (0.0, time.time() - 2 * artefact_files.LEFT_SECONDS))
    await files.sweep()
    assert (left.exists(), under_way.exists()) == (False, True)

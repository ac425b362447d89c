"""Artefacts as files of a node: fetched once for all replicas that run there."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pagemill.applications.training_artefacts import (
    CONFIGURATION_FILE,
    DIGESTS_FILE,
    WEIGHTS_FILE,
    digests_of,
    load_artefact,
)
from pagemill.errors import ModelMissing, ModelTooLarge, Unavailable
from pagemill.extraction.artefact import Artefact
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.private_directory import private_directory

GRACE_SECONDS = 60.0
"""For so long after its use an artefact is not removed to make room: a replica may be about to load it."""
LEFT_SECONDS = 3600.0
"""Age from which an unfinished artefact is what a killed replica has left."""
LOCKS = 256
LOCK_SECONDS = 60.0
"""Longest wait for another replica that fetches the same artefact; then it is fetched once more."""
POLL_SECONDS = 0.05
TRIES = 3
SETTING = "prediction_files_directory"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LocalArtefact:
    """An artefact whose weights are a file of this node, verified a moment ago."""

    weights: Path
    configuration: bytes
    size: int
    """Bytes of its weights, about what they take in memory."""


class ArtefactFiles:
    """Artefacts of an object storage in a directory that replicas of one node share.

    A file is never changed: it is written aside and renamed, and stays readable for those who have it open.
    What is damaged is fetched again. All that is older than ``maximum_age`` seconds is removed, used or not:
    what was deleted from object storage goes from here too.
    """

    def __init__(
        self,
        objects: ObjectStore,
        directory: Path,
        *,
        storage: str,
        maximum_bytes: int,
        maximum_age: float,
    ) -> None:
        self._objects, self._storage = objects, storage
        self._directory = private_directory(directory, SETTING)
        self._maximum_bytes, self._maximum_age = maximum_bytes, maximum_age

    async def load(self, artefact_key: str, *, largest: int) -> LocalArtefact:
        """Return the artefact below a prefix, whose weights have at most ``largest`` bytes.

        Raises ModelMissing, ModelDamaged, ModelTooLarge, Unavailable.
        """
        entry = self._directory / hashlib.sha256(f"{self._storage}\0{artefact_key}".encode()).hexdigest()
        for _ in range(TRIES):
            found = await asyncio.to_thread(_open, entry, self._maximum_age)
            if found is None:
                async with self._lock(entry):
                    # Another replica may have fetched it meanwhile.
                    found = await asyncio.to_thread(_open, entry, self._maximum_age)
                    if found is None:
                        await self._fetch(artefact_key, entry, largest)
                        continue
            if found.size > largest:
                raise too_large(artefact_key, found.size, largest)
            return found
        raise _no_place(f"{entry} is gone as soon as it is there")

    async def sweep(self) -> None:
        """Remove what is too old, and what is too much, the least recently used first."""
        await asyncio.to_thread(_sweep, self._directory, self._maximum_bytes, self._maximum_age)

    async def _fetch(self, artefact_key: str, entry: Path, largest: int) -> None:
        # Only with the lock: without it, what another replica has just fetched would go too.
        await asyncio.to_thread(shutil.rmtree, entry, ignore_errors=True)
        try:
            size = await self._objects.size(f"{artefact_key}{WEIGHTS_FILE}")
            if size > largest:
                raise too_large(artefact_key, size, largest)
            artefact = await load_artefact(self._objects, artefact_key)
        except ObjectMissing as error:
            raise ModelMissing("The training's weights are not there", detail=error.detail) from error
        try:
            await asyncio.to_thread(_write, artefact, entry)
        except OSError as error:
            raise _no_place(str(error)) from error
        await self.sweep()

    @contextlib.asynccontextmanager
    async def _lock(self, entry: Path) -> AsyncIterator[None]:
        """Hold back other replicas that want to fetch the same artefact; some others share its lock."""
        path = self._directory / f".lock-{int(entry.name[:4], 16) % LOCKS}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            # Another process gives the lock back: it can only be asked for.
            while not _try_lock(descriptor) and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)


def too_large(artefact_key: str, size: int, largest: int) -> ModelTooLarge:
    """Return the error that names both sizes."""
    return ModelTooLarge(
        "The training's weights are too large for the prediction replicas",
        detail=f"{artefact_key}: {size} bytes, of at most {largest}",
    )


def _no_place(detail: str) -> Unavailable:
    return Unavailable("The training's weights cannot be kept on this node", detail=detail)


def _open(entry: Path, maximum_age: float) -> LocalArtefact | None:
    """Return what is there if it is whole and young enough."""
    try:
        if time.time() - (entry / WEIGHTS_FILE).stat().st_mtime <= maximum_age:
            weights, configuration = (entry / name for name in (WEIGHTS_FILE, CONFIGURATION_FILE))
            artefact = Artefact(weights=weights.read_bytes(), configuration=configuration.read_bytes())
            if msgspec.json.decode((entry / DIGESTS_FILE).read_bytes()) == digests_of(artefact):
                os.utime(entry)
                return LocalArtefact(weights, artefact.configuration, len(artefact.weights))
            logger.warning("the artefact in %s is damaged and is fetched again", entry)
    except FileNotFoundError:
        pass
    except (OSError, msgspec.MsgspecError) as error:
        logger.warning("the artefact in %s is fetched again: %s", entry, error)
    return None


def _write(artefact: Artefact, entry: Path) -> None:
    """Write aside and rename; where another replica was faster its files stay."""
    aside = entry.parent / f".{uuid.uuid4().hex}"
    aside.mkdir(mode=0o700)
    try:
        (aside / WEIGHTS_FILE).write_bytes(artefact.weights)
        (aside / CONFIGURATION_FILE).write_bytes(artefact.configuration)
        (aside / DIGESTS_FILE).write_bytes(msgspec.json.encode(digests_of(artefact)))
        aside.rename(entry)
    except OSError:
        if not entry.is_dir():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    size: int
    fetched: float
    used: float


def _sweep(directory: Path, maximum_bytes: int, maximum_age: float) -> None:
    now, kept = time.time(), []
    for entry in _entries(directory, now):
        if now - entry.fetched > maximum_age:
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            kept.append(entry)
    total = sum(entry.size for entry in kept)
    for entry in sorted(kept, key=lambda entry: entry.used):
        if total <= maximum_bytes or now - entry.used < GRACE_SECONDS:
            return
        shutil.rmtree(entry.path, ignore_errors=True)
        total -= entry.size


def _entries(directory: Path, now: float) -> Iterator[_Entry]:
    for path in directory.iterdir():
        # Others remove files at the same time.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            used = path.stat().st_mtime
            if not path.name.startswith("."):
                size = sum(file.stat().st_size for file in path.iterdir())
                yield _Entry(path, size, (path / WEIGHTS_FILE).stat().st_mtime, used)
            elif path.is_dir() and now - used > LEFT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

"""What a killed process leaves on a node's disk goes with the next sweep; nothing of a living one does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pagemill import working_directories
from pagemill.objects.local import TEMPORARY, LocalObjectStore
from pagemill.work.file_sweep import sweep_files
from pagemill.working_directories import (
    LOCK,
    PREFIX,
    WorkingDirectory,
    sweep_working_directories,
    working_directory,
)
from tests.support.processes import PATIENCE_SECONDS

# It holds a working directory and is amid an object when it is killed.
WORKING = """
import asyncio, sys
from pathlib import Path
from pagemill.objects.local import LocalObjectStore
from pagemill.working_directories import WorkingDirectory
directory = WorkingDirectory()
(directory.path / "words").write_text("of a document")
async def content():
    yield b"of a document"
    print("working", flush=True)
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(LocalObjectStore(Path(sys.argv[1])).put("organizations/1/content", content()))
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of temporary files of our own, in which nothing is too young to be swept."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.setattr(working_directories, "LOCKING_SECONDS", -1.0)
    return directory


def everything_in(*directories: Path) -> list[Path]:
    return [file for one in directories for file in one.rglob("*") if file.is_file()]


def test_what_a_killed_process_was_working_on_is_removed(temporary: Path, tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    store = LocalObjectStore(objects)
    process = subprocess.Popen(
        [sys.executable, "-c", WORKING, str(objects)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"TMPDIR": str(temporary)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"working\n"
        held = everything_in(temporary, objects / TEMPORARY)
        assert len(held) == 3

        asyncio.run(sweep_files(store))
        assert everything_in(temporary, objects / TEMPORARY) == held
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)

    assert everything_in(temporary, objects / TEMPORARY) == held
    asyncio.run(sweep_files(store))
    assert everything_in(temporary, objects / TEMPORARY) == []
    assert list(temporary.iterdir()) == []


async def test_an_object_that_is_being_written_is_finished_despite_a_sweep(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "objects")

    async def content() -> AsyncIterator[bytes]:
        yield b"one"
        await sweep_files(store)
        yield b"two"

    assert await store.put("organizations/1/content", content()) == 6
    assert await store.get("organizations/1/content") == b"onetwo"


def test_a_directory_is_its_own_and_goes_with_its_work() -> None:
    with working_directory() as path:
        assert list(path.iterdir()) == []
        (path / "file").write_text("of a document")
        assert sweep_working_directories() == 0
        assert path.exists()
    assert not path.parent.exists()


def test_what_is_young_is_left_alone(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Between its making and its lock.
    (temporary / f"{PREFIX}young").mkdir()
    monkeypatch.setattr(working_directories, "LOCKING_SECONDS", 3600.0)
    assert sweep_working_directories() == 0
    monkeypatch.setattr(working_directories, "LOCKING_SECONDS", -1.0)
    assert sweep_working_directories() == 1


def test_nothing_else_is_touched(temporary: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK).touch()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").touch()
    (temporary / "of-others").mkdir()
    directory = WorkingDirectory()
    assert sweep_working_directories() == 0
    directory.remove()
    assert {one.name for one in temporary.iterdir()} == {f"{PREFIX}link", f"{PREFIX}file", "of-others"}
    assert (elsewhere / LOCK).exists()

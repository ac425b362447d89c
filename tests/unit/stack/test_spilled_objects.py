"""What a Ray that was killed had moved to disk goes before the next one starts."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pagemill.stack.directory import DataDirectory
from pagemill.stack.ray_head import RayHead
from pagemill.stack.ray_node import RayNode
from pagemill.stack.spilled_objects import spilling_directories
from pagemill.stack.stack_configuration import StackConfiguration


def spilled_in(directory: Path) -> Path:
    spilled = directory / "ray_spilled_objects_0123" / "object"
    spilled.parent.mkdir(parents=True)
    spilled.write_text("words of a document")
    return spilled


def test_a_stack_removes_it_and_keeps_the_logs(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.prepare()
    configuration = StackConfiguration(directory, {}, 9443)
    session = directory.logs / "ray-sessions" / "session_2026-11-24_18-58-49_123456_1"
    spilled = spilled_in(session)
    log = session / "logs" / "gcs_server.out"
    log.parent.mkdir()
    log.touch()
    head = RayHead(configuration, lambda: configuration.settings("postgresql://unused", None))
    link = head._prepare_directory()
    link.unlink()
    link.parent.rmdir()
    assert log.exists()
    assert not spilled.parent.exists()


def test_a_node_removes_it(tmp_path: Path) -> None:
    spilled = spilled_in(tmp_path)
    (tmp_path / "others").touch()
    program = [sys.executable, "-c", "pass"]
    node = RayNode(
        [f"--object-spilling-directory={tmp_path}"], notices=None, restarts=False, say=print, program=program
    )
    assert asyncio.run(node._run_once()) == 0
    assert not spilled.parent.exists()
    assert (tmp_path / "others").exists()


def test_only_the_option_of_ray_names_a_directory() -> None:
    arguments = ["start", "--port=6379", "--object-spilling-directory=~/spill", "--temp-dir=/tmp/ray"]
    assert spilling_directories(arguments) == [Path.home() / "spill"]

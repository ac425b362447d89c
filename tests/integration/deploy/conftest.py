"""The images of a release, built once without a registry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.support.directories import temporary_directory
from tests.support.manifests.documents import DEPLOY, ROOT
from tests.support.manifests.engine import Engine, EngineMissing, find_engine


@pytest.fixture(scope="package")
def engine() -> Iterator[Engine]:
    with temporary_directory("pagemill-images-") as directory:
        try:
            found = find_engine(directory)
        except EngineMissing as missing:
            pytest.skip(str(missing))
        yield found
        found.remove()


@pytest.fixture(scope="package")
def build(engine: Engine) -> Callable[[str], str]:
    """Build an image by its name, of a working tree with a release in it."""
    try:
        base = engine.base()
    except EngineMissing as missing:
        pytest.skip(str(missing))
    tree = engine.directory / "tree"
    shutil.copytree(DEPLOY / "containers", tree / "deploy" / "containers")
    shutil.copytree(ROOT / "default_flow", tree / "default_flow")
    command = [sys.executable, "-m", "tools.release", "--fast", "--directory", tree / "dist"]
    subprocess.run(command, cwd=ROOT, check=True)
    engine.use_local_files(tree / "dist")
    return lambda name: engine.build(
        DEPLOY / "containers" / f"Containerfile.{name}", tree, f"pagemill-test-{name}", BASE=base
    )

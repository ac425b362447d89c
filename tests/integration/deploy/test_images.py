"""Both images are built of a release, without a registry, and run as compose.yaml and Kubernetes run them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.directories import temporary_directory
from tests.support.manifests.documents import DEPLOY, ROOT
from tests.support.manifests.engine import LIMITS, Engine, EngineMissing, find_engine

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
CONFINED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")
READ = """
import io
from PIL import Image
from pagemill.extraction.reading import PageReader

picture = io.BytesIO()
Image.new("RGB", (60, 40), "white").save(picture, "PNG")
with PageReader() as reader:
    print(reader.inspect(picture.getvalue()).number_of_pages)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with temporary_directory("pagemill-images-") as directory:
        try:
            found = find_engine(directory)
        except EngineMissing as missing:
            pytest.skip(str(missing))
        yield found
        found.remove()


@pytest.fixture(scope="module")
def base(engine: Engine) -> str:
    try:
        return engine.base()
    except EngineMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def context(engine: Engine) -> Path:
    """A working tree with a release in it."""
    context = engine.directory / "tree"
    shutil.copytree(DEPLOY / "containers", context / "deploy" / "containers")
    command = [sys.executable, "-m", "tools.release", "--fast", "--directory", context / "dist"]
    subprocess.run(command, cwd=ROOT, check=True)
    engine.use_local_files(context / "dist")
    return context


@pytest.mark.parametrize("name", ["api", "ray"])
def test_an_image_is_built_and_runs(engine: Engine, base: str, context: Path, name: str) -> None:
    image = engine.build(
        DEPLOY / "containers" / f"Containerfile.{name}", context, f"pagemill-test-{name}", BASE=base
    )

    assert "pagemill, version" in run(engine, image, "pagemill", "--version")
    assert run(engine, image, "id", "-u") == "10001"
    if name == "ray":
        assert run(engine, image, "python", "-c", READ) == "1"
        assert "ray, version" in run(engine, image)


def run(engine: Engine, image: str, *command: str) -> str:
    return engine.run("run", "--rm", *LIMITS, "--network", "none", *CONFINED, image, *command, seconds=120)

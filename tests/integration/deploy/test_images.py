"""Both images are built of a release, without a registry, and run as compose.yaml and Kubernetes run them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pagemill.stack.postgres import free_port
from tests.support.manifests.containers import words_of
from tests.support.manifests.documents import DEPLOY
from tests.support.manifests.engine import LIMITS, Engine
from tests.support.processes import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(3000)]
API = DEPLOY / "containers" / "Containerfile.api"
CONFINED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")
CONTAINER = "pagemill-test-api"
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
def api_image(build: Callable[[str], str]) -> str:
    return build("api")


def run(engine: Engine, image: str, *command: str) -> str:
    return engine.run("run", "--rm", *LIMITS, "--network", "none", *CONFINED, image, *command, seconds=120)


async def test_the_api_answers_in_its_container(
    engine: Engine, api_image: str, database_url: str, tmp_path: Path
) -> None:
    assert "pagemill, version" in run(engine, api_image, "pagemill", "--version")
    assert run(engine, api_image, "id", "-u") == "10001"
    assert await asyncio.to_thread(status_after_answering, engine, api_image, database_url, tmp_path) == "0"


def status_after_answering(engine: Engine, image: str, database_url: str, directory: Path) -> str:
    """Start the API, wait until its health check says so, stop it, and return its exit status."""
    secrets, port = directory / "secrets", str(free_port())
    subprocess.run([DEPLOY / "make-secrets", secrets], check=True, capture_output=True)
    (secrets / "url").write_text(database_url)
    settings = ("DATABASE_URL_FILE=/run/secrets/url", "OBJECTS_URL=s3://pagemill")
    keys = ("TOKEN_KEY_FILE=/run/secrets/token-key", "SECRET_KEYS_FILE=/run/secrets/secret-keys")
    variables = [word for one in (*settings, *keys) for word in ("--env", f"PAGEMILL_{one}")]
    mounts = ("--volume", f"{secrets}:/run/secrets:ro", "--volume", f"{secrets}:/run/tls:ro")
    command = [word.replace("8443", port) for word in words_of(API, "CMD")]
    where = ("--detach", "--name", CONTAINER, "--network", "host")
    check = [word.replace("8443", port) for word in words_of(API, "HEALTHCHECK")]
    # The directory is its owner's alone: in compose.yaml its files are mounted one by one.
    secrets.chmod(0o755)
    try:
        engine.run("run", *where, *LIMITS, *CONFINED, *variables, *mounts, image, *command)
        eventually(lambda: engine.answers("exec", CONTAINER, *check), bool, seconds=60)
        engine.run("stop", "--time", "90", CONTAINER)
        return engine.run("inspect", "--format", "{{.State.ExitCode}}", CONTAINER)
    finally:
        engine.run("rm", "--force", "--ignore", CONTAINER)


def test_a_node_of_ray_reads_in_its_container(engine: Engine, build: Callable[[str], str]) -> None:
    image = build("ray")

    assert run(engine, image, "id", "-u") == "10001"
    assert run(engine, image, "python", "-c", READ) == "1"
    assert "ray, version" in run(engine, image)


def test_the_steps_of_the_default_flow_start(engine: Engine, build: Callable[[str], str]) -> None:
    image = build("default-flow")
    arguments = ("run", "--rm", *LIMITS, "--network", "none", *CONFINED)

    assert engine.run(*arguments, "--entrypoint", "id", image, "-u") == "10001"
    for step in ("preprocess", "postprocess"):
        with pytest.raises(AssertionError, match=r"LAS_CLIENT_ID|TRANSITION_ID|[Cc]redentials"):
            engine.run(*arguments, "--env", f"STEP={step}", image)

"""compose.yaml as a whole: each service in its container, on networks, volumes and secrets as it says.

The images of Postgres and of the S3 server come from a registry. Those of ``tests/support/stand_ins`` take
the same variables, commands, secrets and health checks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import las
import pytest
import requests
from las.credentials import Credentials

from examples.demo import job
from pagemill.stack.postgres import free_port
from tests.support.manifests.compose import example
from tests.support.manifests.documents import DEPLOY, ROOT
from tests.support.manifests.engine import NESTED, Engine
from tests.support.processes import eventually
from tests.unit.extraction.documents import text_pdf

pytestmark = [pytest.mark.long, pytest.mark.ray, pytest.mark.timeout(3600)]
STAND_INS = ROOT / "tests" / "support" / "stand_ins"
NAME = "pagemill-test"
UP_SECONDS = 900.0
WORK_SECONDS = 300.0
# Podman finds no systemd in a container, which would have it look after health.
HEALTH_SECONDS = 4.0
INIT = Path("/usr/libexec/podman/catatonit")
# Containers inside of containers may not raise what a process may open.
LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]\n'
# Podman 4 starts no container whose requirements have requirements of their own.
PODMAN = """#!/bin/sh
for word; do
	shift
	case $word in --requires=*) ;; *) set -- "$@" "$word" ;; esac
done
exec {program} {options} "$@"
"""
HERE = {
    "    ulimits: {nofile: 65536}\n": "",
    # podman-compose knows this of networks alone.
    "pid: service:node": f"pid: container:{NAME}_node_1",
    "ipc: service:node": f"ipc: container:{NAME}_node_1",
}
"""What is another word in this place: of what compose.yaml says, what it comes to."""


@dataclass(frozen=True, slots=True)
class Project:
    """The services of a compose.yaml, and where their API is."""

    directory: Path
    port: int

    def compose(self, *arguments: str, seconds: float = UP_SECONDS) -> str:
        """Return what podman-compose says."""
        program = shutil.which("podman-compose")
        assert program is not None
        done = subprocess.run(
            [
                program,
                "--podman-path",
                str(self.directory / "podman"),
                "--in-pod=false",
                "-p",
                NAME,
                *arguments,
            ],
            cwd=self.directory,
            env={**os.environ, "CONTAINERS_CONF": str(self.directory / "containers.conf")},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def podman(self, *arguments: str) -> str:
        """Return what Podman says, whatever its exit status."""
        environment = {**os.environ, "CONTAINERS_CONF": str(self.directory / "containers.conf")}
        command = [str(self.directory / "podman"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout

    def look_after_health(self, ending: threading.Event) -> None:
        """Run all health checks again and again."""
        while not ending.wait(HEALTH_SECONDS):
            for name in self.podman("ps", "--format", "{{.Names}}").split():
                if name.startswith(f"{NAME}_"):
                    self.podman("healthcheck", "run", name)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def certificate(self) -> str:
        return str(self.directory / "secrets" / "tls.crt")

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", verify=self.certificate, timeout=10).ok
        except requests.RequestException:
            return False

    def client(self) -> las.Client:
        given = json.loads((self.directory / "secrets" / "credentials.json").read_text())
        where = (f"localhost:{self.port}", f"{self.url}/v1")
        return las.Client(Credentials(given["client_id"], given["client_secret"], *where))


@pytest.fixture(scope="module")
def images(engine: Engine, build: Callable[[str], str]) -> dict[str, str]:
    """The images by the variables of compose.env.example that name them."""
    api, ray = build("api"), build("ray")
    moto = re.findall(r"^moto==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    packages = " ".join(one.replace("moto", "moto[s3,server]") for one in moto)

    def stand_in(name: str) -> str:
        tag = f"pagemill-test-{name}"
        return engine.build(
            STAND_INS / "Containerfile", STAND_INS, tag, BASE=ray, PACKAGES=packages, NAME=name
        )

    return {
        "API_IMAGE": api,
        "RAY_IMAGE": ray,
        "POSTGRES_IMAGE": stand_in("postgres"),
        "S3_IMAGE": stand_in("s3"),
    }


@pytest.fixture
def project(images: dict[str, str], tmp_path: Path) -> Iterator[Project]:
    """The services, started as deploy/README.md says."""
    if shutil.which("podman-compose") is None:
        pytest.skip("there is no podman-compose: pip install podman-compose, in an environment of its own")
    if not INIT.exists():
        pytest.skip("Podman has no init for containers: apt-get install catatonit")
    project = Project(tmp_path, free_port())
    subprocess.run([DEPLOY / "make-secrets", tmp_path / "secrets"], check=True, capture_output=True)
    given = {**images, "API_PORT": str(project.port), "PUBLIC_URL": project.url}
    variables = {**example(DEPLOY), **given}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    described = (DEPLOY / "compose.yaml").read_text()
    for word, here in HERE.items():
        assert word in described
        described = described.replace(word, here)
    (tmp_path / "compose.yaml").write_text(described)
    (tmp_path / "containers.conf").write_text(LIMITS)
    (tmp_path / "podman").write_text(PODMAN.format(program=shutil.which("podman"), options=" ".join(NESTED)))
    (tmp_path / "podman").chmod(0o755)
    ending = threading.Event()
    looking = threading.Thread(target=project.look_after_health, args=(ending,), name="health")
    looking.start()
    try:
        project.compose("up", "-d")
        yield project
    finally:
        ending.set()
        looking.join()
        project.compose("down", "--volumes", "--timeout", "20")


def test_all_services_work_together(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", project.certificate)
    eventually(project.answers, bool, seconds=UP_SECONDS)
    eventually(
        lambda: project.compose("logs", "deployer"),
        lambda said: re.search(r"release \S+ runs", said) is not None,
        seconds=UP_SECONDS,
    )

    client = project.client()
    dataset_id = client.create_dataset()["datasetId"]
    client.create_document(text_pdf(), dataset_id=dataset_id, ground_truth=[{"label": "total", "value": "1"}])
    model_id = job.create_model(client)
    bundle = client.create_data_bundle(model_id, [dataset_id])
    ended = eventually(
        lambda: client.get_data_bundle(model_id, bundle["dataBundleId"]),
        lambda found: found["status"] in ("succeeded", "failed"),
        seconds=WORK_SECONDS,
    )
    assert ended["status"] == "succeeded", ended
    assert [one for one in ended["summary"]["errors"] if one["code"] == "DE001"] == [], ended

    listed = project.compose(
        "exec", "-T", "api", "entrypoint", "pagemill", "jobs", "list", "--state", "succeeded"
    )
    assert "data-bundle" in listed

"""Containerfiles and the programs of the images: a typo is found, and secrets may lie in files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pagemill.api.server import APPLICATION, SERVER_OPTIONS
from tests.support.manifests.containers import environment_of, faults_in, instructions, words_of
from tests.support.manifests.documents import DEPLOY, ROOT, load, pods_in

CONTAINERS = DEPLOY / "containers"
API, RAY = CONTAINERS / "Containerfile.api", CONTAINERS / "Containerfile.ray"
FLOW = CONTAINERS / "Containerfile.default-flow"
FILES = [API, RAY]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_containerfile_holds(path: Path) -> None:
    assert faults_in(path) == []


def test_the_containerfile_of_the_default_flow_holds(tmp_path: Path) -> None:
    assert faults_in(FLOW, serves=False) == []
    planted = tmp_path / FLOW.name
    for right, wrong in (("default_flow/fields.py", "default_flow/field.py"), ("--require-hashes ", "")):
        planted.write_text(FLOW.read_text().replace(right, wrong))
        assert faults_in(planted, serves=False) != []


def test_the_default_flow_has_the_versions_of_the_tests() -> None:
    pinned = dict(re.findall(r"^(\S+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    installed = dict(
        re.findall(r"^(\S+)==(\S+) ", (CONTAINERS / "default-flow.txt").read_text(), re.MULTILINE)
    )

    assert {"lucidtech-las", "requests", "certifi"} <= installed.keys()
    assert {name: pinned[name] for name in installed} == installed


def test_the_image_of_the_default_flow_has_all_that_its_steps_import() -> None:
    [copied] = [value for name, value in instructions(FLOW) if name == "COPY" and "default_flow/" in value]

    assert set(copied.split()[:-1]) == {
        str(path.relative_to(ROOT)) for path in (ROOT / "default_flow").glob("*.py")
    }
    assert words_of(FLOW, "ENTRYPOINT")[-1].startswith("exec python -m default_flow.")


def test_the_step_of_an_image_is_written_by_a_command() -> None:
    """Podman 4 takes an ENV with another value of an ARG for the same one, and both steps for one image."""
    names = [name for name, value in instructions(FLOW) if "STEP" in value]

    assert names == ["ARG", "RUN", "ENTRYPOINT"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ARG BASE", "ARG BASSE"),
        ("FROM ${BASE} AS", "FORM ${BASE} AS"),
        ("FROM ${BASE}\n", "FROM python:3\n"),
        ("USER 10001:10001", "USER root"),
        ("USER 10001:10001\n", ""),
        ("--require-hashes", "--require-hash"),
        ("deploy/containers/entrypoint", "deploy/containers/entry"),
        ('["entrypoint"]', "['entrypoint']"),
        ("HEALTHCHECK", "HEALTCHECK"),
        ("ENTRYPOINT", "ENTRIPOINT"),
        ("EXPOSE", "EXPOSES"),
        ("COPY --from=build", "COPPY --from=build"),
    ],
)
def test_a_typo_is_found(tmp_path: Path, path: Path, right: str, wrong: str) -> None:
    before = path.read_text()
    planted = tmp_path / path.name
    planted.write_text(before.replace(right, wrong))

    assert planted.read_text() != before
    assert faults_in(planted) != []


def test_the_ports_are_those_of_the_manifests() -> None:
    pods = list(pods_in(load(DEPLOY / "kubernetes")))
    [api] = [pod for pod in pods if pod.labels["app.kubernetes.io/component"] == "api"]
    [head] = [pod for pod in pods if pod.labels.get("ray.io/group") == "headgroup"]

    assert exposed(API) == set(api.ports.values())
    assert f"--port={api.ports['https']}" in words_of(API, "CMD")
    assert exposed(RAY) == {head.ports["gcs-server"], head.ports["metrics"]}


def test_the_server_has_the_bounds_of_the_others() -> None:
    words = words_of(API, "CMD")
    assert words[0] == "granian"
    assert tuple(words[1 : 1 + len(SERVER_OPTIONS)]) == SERVER_OPTIONS
    assert words[-1] == APPLICATION


def exposed(path: Path) -> set[int]:
    return {int(port) for name, value in instructions(path) if name == "EXPOSE" for port in value.split()}


def test_a_server_that_is_told_to_end_lets_predictions_end() -> None:
    [seconds] = [word.split("=")[1] for word in words_of(API, "CMD") if "workers-kill-timeout" in word]
    [api] = [pod for pod in pods_in(load(DEPLOY / "kubernetes")) if "https" in pod.ports]

    assert 60 < int(seconds) < api.specification["terminationGracePeriodSeconds"]


def test_the_build_is_given_what_an_image_is_made_of_and_nothing_else() -> None:
    kept = (ROOT / ".containerignore").read_text().splitlines()

    assert kept[1:] == [
        "*",
        "!dist/SHA256SUMS",
        "!dist/constraints-hashed*.txt",
        "!dist/*.whl",
        "!deploy/containers/",
        "!default_flow/*.py",
    ]
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


WITHOUT_PACKAGES = """
import re, sys
class LeftOut:
    def find_spec(self, name, path=None, target=None):
        package = name.partition('.')[0].replace('_', '-').replace('cv2', 'opencv-python')
        if any(re.fullmatch(pattern, package) for pattern in LEFT_OUT):
            raise ModuleNotFoundError(name, name=name)
LEFT_OUT = sys.argv[1].split()
sys.meta_path.insert(0, LeftOut())
exec(sys.argv[2])
try:
    import ray
except ModuleNotFoundError:
    print('without Ray')
"""


def test_the_api_starts_without_what_its_image_leaves_out() -> None:
    """The imports of the build succeed here without these packages."""
    left_out = (CONTAINERS / "only-for-ray.txt").read_text()
    [build] = [value for name, value in instructions(API) if name == "RUN" and "only-for-ray" in value]
    imports = build.rpartition(" -c ")[2].strip("'")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGES, left_out, imports],
        capture_output=True,
        text=True,
        check=False,
    )

    assert {"pagemill.api.app", "db.migrate", "pagemill.cli"} <= set(imports.replace(",", " ").split())
    assert (done.returncode, done.stdout) == (0, "without Ray\n"), done.stderr


def entrypoint(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CONTAINERS / "entrypoint", *command],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a 'quoted' $value\n")
    done = entrypoint({"PAGEMILL_TOKEN_KEY_FILE": str(tmp_path / "key"), "PAGEMILL_LOG_LEVEL": "INFO"}, "env")

    lines = done.stdout.splitlines()
    assert "PAGEMILL_TOKEN_KEY=a 'quoted' $value" in lines
    assert "PAGEMILL_LOG_LEVEL=INFO" in lines
    assert not [line for line in lines if "_FILE=" in line]


def test_a_file_that_is_not_there_keeps_the_container_from_starting(tmp_path: Path) -> None:
    done = entrypoint({"PAGEMILL_TOKEN_KEY_FILE": str(tmp_path / "key")}, "echo", "started")

    assert done.returncode != 0
    assert "started" not in done.stdout


class Answers(BaseHTTPRequestHandler):
    """A part that is healthy below one path alone."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(("path", "healthy"), [("/health", True), ("/ill", False)])
def test_health_is_what_the_part_answers(server: str, path: str, healthy: bool) -> None:
    done = subprocess.run([CONTAINERS / "healthy", server + path], capture_output=True, check=False)

    assert (done.returncode == 0) == healthy


def test_programs_of_the_image_are_found_by_its_path() -> None:
    for path in FILES:
        assert environment_of(path)["PATH"].startswith("/opt/pagemill/bin:")
        assert shutil.which(words_of(path, "CMD")[0], path=Path(sys.executable).parent) is not None

"""``pagemill up`` without Ray: starts, keeps its data, survives what is killed, leaves nothing behind."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import smtplib
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import free_port
from pagemill.stack.reachable import binaries, server_directory
from tests.support.directories import temporary_directory
from tests.support.processes import eventually, kill
from tests.support.s3 import BUCKET, running_s3, s3_environment
from tests.support.stack import (
    RunningStack,
    pagemill,
    running_stack,
    stack_processes,
    wait_until_stopped,
)
from tests.unit.extraction.documents import text_pdf

RECOVERY_SECONDS = 60.0

pytestmark = pytest.mark.stack


@pytest.fixture
def data_directory() -> Iterator[Path]:
    with temporary_directory("pagemill-") as directory:
        yield directory / "data"
        kill(stack_processes(directory / "data"))


def token(environment: dict[str, str]) -> str:
    """An access token, fetched as the official clients do."""
    basic = f"{environment['LAS_CLIENT_ID']}:{environment['LAS_CLIENT_SECRET']}".encode()
    request = urllib.request.Request(
        f"https://{environment['LAS_AUTH_ENDPOINT']}/token?grant_type=client_credentials",
        data=b"",
        headers={
            "Authorization": f"Basic {base64.b64encode(basic).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    answer = json.load(urllib.request.urlopen(request, context=trust(environment), timeout=60))
    return str(answer["access_token"])


def trust(environment: dict[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=environment["CURL_CA_BUNDLE"])


def report(stack: RunningStack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        pagemill("status", "--json", "--data-dir", str(stack.data_directory)).stdout
    )
    return found


def status(stack: RunningStack) -> dict[str, str]:
    return {name: part["status"] for name, part in report(stack)["parts"].items()}


def find(stack: RunningStack, word: str) -> list[psutil.Process]:
    return [item for item in stack.processes() if word in command_line(item)]


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_it_runs_stops_and_finds_its_data_again(data_directory: Path) -> None:
    port = free_port()
    with running_stack(data_directory, port, "--without-ray") as stack:
        environment = stack.environment()
        assert token(environment)
        assert environment["LAS_API_ENDPOINT"] == f"https://localhost:{port}/v1"
        assert status(stack) == {
            "postgres": "up",
            "objects": "up",
            "api": "up",
            "mail": "off",
            "containers": "off",
            "ray": "off",
            "apps": "off",
            "dispatcher": "off",
        }
        [exporter] = report(stack)["metrics"]
        assert exporter["status"] == "up"
        with urllib.request.urlopen(exporter["url"], timeout=60) as answer:
            page = answer.read().decode()
        assert 'pagemill_http_requests_total{method="POST",route="/token",status="200"} 1.0' in page
        assert "pagemill_postgres_up 1.0" in page
        done = pagemill("down", "--data-dir", str(data_directory))
        assert (done.returncode, done.stdout) == (0, "stopped\n")
        assert stack.process.wait(60) == 0
        wait_until_stopped(data_directory)

    mail_port = free_port()
    settings = {"PAGEMILL_MAIL_INTAKE_PORT": str(mail_port)}
    with running_stack(data_directory, port, "--without-ray", settings=settings) as stack:
        assert status(stack)["mail"] == "up"
        with smtplib.SMTP("localhost", mail_port, timeout=10) as client:
            client.starttls(context=trust(environment))
            assert client.ehlo()[0] == 250
        again = stack.environment()
        assert again == environment
        assert token(again)
    wait_until_stopped(data_directory)


def send_document(environment: dict[str, str], access_token: str, content: bytes) -> str:
    """The id of a new document."""
    request = urllib.request.Request(
        f"{environment['LAS_API_ENDPOINT']}/documents",
        data=json.dumps({"content": base64.b64encode(content).decode()}).encode(),
        headers={"Authorization": f"Bearer {access_token}", "Content-Type": "application/json"},
    )
    answer = json.load(urllib.request.urlopen(request, context=trust(environment), timeout=60))
    return str(answer["documentId"])


def content_of(environment: dict[str, str], access_token: str, document_id: str) -> bytes:
    """The bytes of a document, as it is shown."""
    request = urllib.request.Request(
        f"{environment['LAS_API_ENDPOINT']}/documents/{document_id}",
        headers={"Authorization": f"Bearer {access_token}"},
    )
    answer = json.load(urllib.request.urlopen(request, context=trust(environment), timeout=60))
    return base64.b64decode(answer["content"])


def test_a_copy_of_its_directory_is_a_backup(data_directory: Path) -> None:
    with running_stack(data_directory, free_port(), "--without-ray") as stack:
        environment = stack.environment()
        access_token = token(environment)
        document_id = send_document(environment, access_token, text_pdf())
        content = content_of(environment, access_token, document_id)

    kept = data_directory.with_name("kept")
    subprocess.run(["cp", "-a", data_directory, kept], check=True)
    shutil.rmtree(data_directory)

    with running_stack(kept, free_port(), "--without-ray") as stack:
        again = stack.environment()
        assert again["LAS_CLIENT_SECRET"] == environment["LAS_CLIENT_SECRET"]
        # Tokens are for the address at which they were issued.
        assert content_of(again, token(again), document_id) == content
        [report] = json.loads(pagemill("objects", "sweep", "--json", "--data-dir", str(kept)).stdout)
        assert (report["objects"], report["missing"], report["orphans"]) == (1, 0, 0)


def test_a_client_that_does_not_know_the_authority_refuses(data_directory: Path) -> None:
    with running_stack(data_directory, free_port(), "--without-ray") as stack:
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"https://localhost:{stack.port}/health", timeout=60)
        refused = pagemill("up", "--data-dir", str(data_directory), "--port", str(free_port()))
        assert refused.returncode == 1
        assert f"already runs in {data_directory} (process {stack.process.pid})" in refused.stderr
        taken = pagemill("up", "--data-dir", f"{data_directory}-2", "--port", str(stack.port))
        assert (taken.returncode, "in use" in taken.stderr) == (1, True)


@pytest.mark.parametrize("part", ["granian", "postgres"])
def test_a_part_that_is_killed_comes_back(data_directory: Path, part: str) -> None:
    with running_stack(data_directory, free_port(), "--without-ray") as stack:
        environment = stack.environment()
        before = {process.pid for process in find(stack, part)}
        kill(find(stack, part))
        eventually(
            lambda: {item.pid for item in find(stack, part)},
            lambda now: bool(now) and not now & before,
            seconds=RECOVERY_SECONDS,
        )
        eventually(attempt(lambda: token(environment)), bool, seconds=RECOVERY_SECONDS)
        eventually(
            lambda: set(status(stack).values()),
            lambda found: found == {"up", "off"},
            seconds=RECOVERY_SECONDS,
        )
        assert stack.process.poll() is None


def attempt(act: Callable[[], str]) -> Callable[[], str]:
    def tried() -> str:
        try:
            return act()
        except OSError:
            return ""

    return tried


def test_what_a_killed_supervisor_leaves_behind_is_ended(data_directory: Path) -> None:
    port = free_port()
    with running_stack(data_directory, port, "--without-ray") as stack:
        os.kill(stack.process.pid, signal.SIGKILL)
        stack.process.wait()
        assert find(stack, "postgres")
        done = pagemill("down", "--data-dir", str(data_directory))
        assert done.returncode == 0
        wait_until_stopped(data_directory)
    with running_stack(data_directory, port, "--without-ray") as stack:
        assert token(stack.environment())


def test_a_real_database_replaces_the_embedded_one(data_directory: Path, database_url: str) -> None:
    settings = {"PAGEMILL_DATABASE_URL": database_url}
    with running_stack(data_directory, free_port(), "--without-ray", settings=settings) as stack:
        assert token(stack.environment())
        assert find(stack, "postgres") == []
        assert status(stack)["postgres"] == "up"


def test_a_bucket_replaces_the_directory(data_directory: Path, s3_endpoint: str) -> None:
    settings = s3_environment(s3_endpoint, "prefix")
    with running_stack(data_directory, free_port(), "--without-ray", settings=settings) as stack:
        report = json.loads(pagemill("status", "--json", "--data-dir", str(data_directory)).stdout)
        assert report["parts"]["objects"] == {"status": "up", "detail": "s3://pages/prefix"}
        installed = subprocess.check_output([binaries() / "postgres", "--version"], text=True).split()[-1]
        assert report["parts"]["postgres"]["detail"] == f"Postgres {installed}"
        assert stack.process.poll() is None


@pytest.fixture
def s3_endpoint() -> Iterator[str]:
    with running_s3(BUCKET) as endpoint:
        yield endpoint


def test_what_cannot_start_is_said_and_nothing_stays(data_directory: Path) -> None:
    settings = {"PAGEMILL_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    done = pagemill("up", "--data-dir", str(data_directory), "--port", str(free_port()), settings=settings)
    assert done.returncode == 1
    assert done.stderr.startswith("pagemill: postgres: the database cannot be used: ")
    assert done.stderr.count("\n") == 1
    wait_until_stopped(data_directory)


def test_below_a_directory_that_is_closed_to_others(data_directory: Path) -> None:
    """As in a home of root: Postgres then runs as somebody who may not enter it."""
    closed = data_directory.parent / "closed"
    closed.mkdir(mode=0o700)
    postgres = DataDirectory(closed / "data").postgres
    try:
        for _ in range(2):
            with running_stack(closed / "data", free_port(), "--without-ray") as stack:
                assert token(stack.environment())
                assert find(stack, str(server_directory(postgres)))
            wait_until_stopped(closed / "data")
    finally:
        shutil.rmtree(server_directory(postgres), ignore_errors=True)

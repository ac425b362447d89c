"""``pagemill status`` asks every part, and says of each what it found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pagemill.containers.engine import EngineUnavailable
from pagemill.errors import Unavailable
from pagemill.extraction.recognition.device import find_device
from pagemill.objects import ObjectMissing
from pagemill.sandbox.means import Confinement, Means
from pagemill.stack import status as module
from pagemill.stack.directory import DataDirectory
from pagemill.stack.state_file import PartPhase, PartState, StackState
from pagemill.stack.status import APPLICATIONS, StackReport, examine

DASHBOARD = "http://127.0.0.1:8265"
SETTINGS = {
    "PAGEMILL_DATABASE_URL": "postgresql://user:password@127.0.0.1:1/pagemill",
    "PAGEMILL_OBJECTS_URL": "file:///nowhere",
    "PAGEMILL_TOKEN_KEY": "a key of at least thirty-two characters",
}
ANSWERS: dict[str, Any] = {
    "/api/version": {"ray_version": "2.60.0"},
    APPLICATIONS: {"applications": {"reading": {"status": "RUNNING"}, "prediction": {"status": "RUNNING"}}},
}


class Store:
    """An object store in which nothing lies."""

    async def size(self, _key: str) -> int:
        raise ObjectMissing("nothing")

    async def close(self) -> None:
        return


class BrokenStore(Store):
    """An object store that is away."""

    async def size(self, _key: str) -> int:
        raise Unavailable("The object storage is not available")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDirectory:
    """The data directory of a stack whose parts all answer; Postgres alone is not there."""
    made = DataDirectory(tmp_path)
    made.prepare()
    made.write_ray_token()
    monkeypatch.setattr(DataDirectory, "supervisor", lambda _: 4711)
    monkeypatch.setattr(module, "api_answers", lambda *_: True)
    monkeypatch.setattr(module, "open_objects", lambda _: Store())
    monkeypatch.setattr(module, "dashboard_json", answer(ANSWERS))
    return made


def answer(answers: dict[str, Any]) -> Callable[..., Any]:
    def dashboard(_url: str, path: str, _token: Path) -> Any:
        found = next(value for key, value in answers.items() if key in path)
        if isinstance(found, Exception):
            raise found
        return found

    return dashboard


def state(**changed: Any) -> StackState:
    parts = {name: PartState(phase="up", process_id=1) for name in ("postgres", "api", "ray", "apps")}
    values: dict[str, Any] = {
        "process_id": 4711,
        "url": "https://localhost:8443",
        "port": 8443,
        "parts": parts,
        "settings": SETTINGS,
        "ray_address": "127.0.0.1:6379",
        "dashboard_url": DASHBOARD,
        "ready": True,
    }
    return StackState(**(values | changed))


def report(directory: DataDirectory, found: StackState) -> StackReport:
    directory.write(directory.state, found)
    return asyncio.run(examine(directory))


def test_every_part_is_asked(directory: DataDirectory) -> None:
    parts = report(directory, state()).parts
    assert {name: part.status for name, part in parts.items()} == {
        "postgres": "down",
        "objects": "up",
        "api": "up",
        "mail": "off",
        "containers": "off",
        "ray": "up",
        "apps": "up",
        "dispatcher": "down",
    }
    assert parts["ray"].detail == f"Ray 2.60.0, dashboard {DASHBOARD}"
    recognised = f"pages are recognised on {find_device(1)}"
    assert parts["apps"].detail == f"prediction running, reading running; {recognised}"
    assert parts["api"].detail.startswith("https://localhost:8443, answered in ")
    assert parts["objects"].detail == "file:///nowhere"


def test_the_walls_of_the_sandbox_are_told(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = report(directory, state()).sandbox
    assert sandbox is not None
    assert {*sandbox.means, *sandbox.missing} == set(Means)
    assert all(one in sandbox.detail for one in Means)

    def nothing_starts() -> Confinement:
        raise OSError("it was stopped")

    monkeypatch.setattr(module, "confinement_here", nothing_starts)
    sandbox = report(directory, state()).sandbox
    assert sandbox is not None
    assert sandbox.detail == "no child can be confined: it was stopped"


def test_one_part_that_is_down_makes_the_stack_unhealthy(directory: DataDirectory) -> None:
    found = report(directory, state())
    assert (found.running, found.healthy, found.queue) == (True, False, None)


@pytest.mark.parametrize(
    ("path", "answered", "part", "detail"),
    [
        ("/api/version", ConnectionRefusedError("refused"), "ray", "refused"),
        ("/api/version", {}, "ray", "'ray_version'"),
        (APPLICATIONS, {"applications": {}}, "apps", "not deployed yet"),
        (APPLICATIONS, {"applications": {"reading": {"status": "DEPLOYING"}}}, "apps", "reading deploying"),
        (APPLICATIONS, ValueError("no JSON"), "apps", "no JSON"),
    ],
)
def test_what_the_dashboard_says_is_told(
    directory: DataDirectory,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    answered: Any,
    part: str,
    detail: str,
) -> None:
    monkeypatch.setattr(module, "dashboard_json", answer(ANSWERS | {path: answered}))
    found = report(directory, state()).parts[part]
    assert (found.status, found.detail) == ("down", detail)


class Answering:
    """An engine of containers."""

    async def describe(self) -> str:
        return "Podman 4.3.1"

    async def close(self) -> None:
        return


class Away(Answering):
    """One that is away."""

    async def describe(self) -> str:
        raise EngineUnavailable("The container engine cannot be reached")


@pytest.mark.parametrize(
    ("engine", "status", "detail"),
    [
        (Answering(), "up", "Podman 4.3.1, unix:///run/podman/podman.sock"),
        (Away(), "down", "The container engine cannot be reached"),
    ],
)
def test_the_engine_of_containers_is_asked(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, engine: Answering, status: str, detail: str
) -> None:
    monkeypatch.setattr(module, "open_engine", lambda _: engine)
    settings = {**SETTINGS, "PAGEMILL_CONTAINER_ENGINE_URL": "unix:///run/podman/podman.sock"}
    found = report(directory, state(settings=settings)).parts["containers"]
    assert (found.status, found.detail) == (status, detail)


def test_a_silent_api_is_down(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "api_answers", lambda *_: False)
    found = report(directory, state()).parts["api"]
    assert (found.status, found.detail) == ("down", "no answer")


def test_storage_that_is_away_is_down(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_objects", lambda _: BrokenStore())
    found = report(directory, state()).parts["objects"]
    assert (found.status, found.detail) == ("down", "The object storage is not available")


def test_why_a_part_ended_last_is_told_while_it_is_down(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "api_answers", lambda *_: False)
    known = state()
    known.parts["api"] = PartState(phase="down", restarts=3, reason="exit status 1")
    found = report(directory, known).parts["api"]
    assert (found.detail, found.restarts) == ("exit status 1", 3)


@pytest.mark.parametrize(
    ("phase", "reason", "status", "detail"),
    [
        ("up", None, "up", "deployed"),
        ("starting", None, "down", "starting"),
        ("down", "exit status 1", "down", "exit status 1"),
    ],
)
def test_a_ray_of_the_operators_own_is_believed(
    directory: DataDirectory, phase: PartPhase, reason: str | None, status: str, detail: str
) -> None:
    known = state(dashboard_url=None)
    known.parts["apps"] = PartState(phase=phase, reason=reason)
    parts = report(directory, known).parts
    assert parts["ray"].detail == "127.0.0.1:6379, not supervised by this stack"
    assert (parts["apps"].status, parts["apps"].detail) == (status, detail)


def test_the_addresses_of_metrics_are_asked_too(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, ray = "http://127.0.0.1:9464/metrics", "http://127.0.0.1:40005/metrics"
    monkeypatch.setattr(module, "url_answers", lambda url: url == api)
    found = report(directory, state(metrics_url=api, ray_metrics_url=ray))
    assert [(one.url, one.status) for one in found.metrics] == [(api, "up"), (ray, "down")]
    assert report(directory, state(metrics_url=None, ray_metrics_url=None)).metrics == []


def test_a_stack_without_ray_says_so(directory: DataDirectory) -> None:
    parts = {name: PartState(phase="up") for name in ("postgres", "api")}
    found = report(directory, state(parts=parts, dashboard_url=None, ray_address=None))
    assert {name for name, part in found.parts.items() if part.status == "off"} == {
        "mail",
        "containers",
        "ray",
        "apps",
        "dispatcher",
    }


def test_a_stack_that_has_just_begun_is_starting(directory: DataDirectory) -> None:
    found = report(directory, state(settings={}))
    assert (found.running, found.healthy, found.url) == (True, False, "https://localhost:8443")
    assert {part.detail for part in found.parts.values()} == {"starting"}


def test_nothing_runs(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DataDirectory, "supervisor", lambda _: None)
    found = report(directory, state())
    assert (found.running, found.healthy, found.url) == (False, False, None)
    assert {part.status for part in found.parts.values()} == {"down"}


def test_a_part_that_hangs_is_down(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_state: StackState, _directory: DataDirectory) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(module, "_ray", hang)
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    found = report(directory, state()).parts["ray"]
    assert (found.status, found.detail) == ("down", "TimeoutError")

"""Ray's dashboard says which training and which bundle it shows, of which release; it wants the token."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examples.local_stack import LocalStack
from pagemill import __version__
from pagemill.release import release
from pagemill.stack.probes import dashboard_json
from tests.acceptance.conftest import Trained

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def dashboard_url(stack: LocalStack) -> str:
    return str(stack.status()["ray"]["dashboardUrl"])


@pytest.fixture(scope="module")
def ask(stack: LocalStack, dashboard_url: str) -> Ask:
    """The answer of the dashboard at a path."""
    token = stack.data_directory / "ray-token"
    return lambda path: dashboard_json(dashboard_url, path, token)


@pytest.fixture(scope="module")
def deployment(ask: Ask) -> dict[str, Any]:
    """The job of the only deployment: all that is detached belongs to it."""
    [found] = [job for job in ask("/api/jobs/") if job["metadata"].get("job_name")]
    return dict(found)


def test_the_job_of_a_deployment_names_its_release(deployment: dict[str, Any]) -> None:
    assert deployment["metadata"] == {
        "job_name": f"pagemill {release()}",
        "release": release(),
        "version": __version__,
    }


def test_a_training_is_a_run_of_its_id(ask: Ask, trained: Trained) -> None:
    runs = {run["name"]: run["status"] for run in ask("/api/train/v2/runs/v1")["train_runs"]}
    assert runs[trained.training["trainingId"]] == "FINISHED"


def test_a_bundle_is_a_data_set_and_a_task_of_its_id(
    ask: Ask, trained: Trained, deployment: dict[str, Any]
) -> None:
    bundle_id = trained.data_bundle["dataBundleId"]
    datasets = ask(f"/api/data/datasets/{deployment['job_id']}")["datasets"]
    assert [one["state"] for one in datasets if one["dataset"].startswith(f"{bundle_id}_")] == ["FINISHED"]
    assert f"bundle_documents({bundle_id})" in listed(ask, "tasks", "name")


def test_actors_say_what_they_are(ask: Ask, trained: Trained) -> None:
    names = listed(ask, "actors", "repr_name")
    for role in ("interactive", "long", "housekeeping"):
        assert f"DispatcherActor(dispatcher-{role}-1-0)" in names
    assert "UsageCounterActor(shard 1 of 1)" in names
    assert f"TrainingActor({trained.training['trainingId']})" in names


def listed(ask: Ask, kind: str, column: str) -> set[str]:
    """One column of what Ray's state API lists."""
    answer = ask(f"/api/v0/{kind}?detail=true&limit=10000")
    return {str(row[column]) for row in answer["data"]["result"]["result"]}


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/v0/actors", "/api/serve/applications/"])
def test_without_the_token_nothing_is_told(dashboard_url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(dashboard_url + path, timeout=60)
    assert refused.value.code == 401
    refused.value.close()


@pytest.mark.parametrize(
    ("command", "shown"), [(("status", "-v"), "Active"), (("list", "nodes", "--limit=1"), "ALIVE")]
)
def test_ray_answers_the_operator(stack: LocalStack, command: tuple[str, ...], shown: str) -> None:
    programs = Path(sys.executable).parent
    script = f'eval "$({programs}/pagemill env --ray --data-dir "$1")" && shift && {programs}/ray "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(stack.data_directory), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_up_says_where_it_is(stack: LocalStack, dashboard_url: str) -> None:
    assert dashboard_url.startswith("http://127.0.0.1:")
    token = stack.data_directory / "ray-token"
    assert f"Ray's dashboard {dashboard_url}, for the token in {token}\n" in Path(stack.log).read_text()

"""``pagemill status`` names troubles that leave all parts up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.job_reports import UnusableModelRow
from pagemill import cli
from pagemill.cluster.scaling.asking import APPLICATION_NAME
from pagemill.errors import ModelUnusable
from pagemill.settings import Settings
from pagemill.stack import status
from pagemill.stack.directory import DataDirectory
from pagemill.stack.state_file import StackState
from pagemill.stack.status import RayReport, StackReport, examine
from pagemill.stack.troubles import MODEL_FAILURES, application_troubles, scheduling_troubles
from tests.support.everything import insert
from tests.support.tenants import create_tenant

NO_NODE = (
    "Deployment 'PageReading' in application 'reading' has 3 replicas that have taken more than 30s to be "
    "scheduled.\n Resources required for each replica: {'CPU': 4}"
)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, objects_url=tmp_path.as_uri(), token_key="k" * 32)


async def fail_a_prediction(pool: asyncpg.Pool, error_class: str) -> str:
    """Add a job that has failed with an error of this class; return the training that it predicted with."""
    async with pool.acquire() as connection:
        own = {"organization_id": (await create_tenant(connection)).organization_id}
        training_id = f"training of {own['organization_id']}"
        prediction_id = await insert(connection, "prediction", **own, id=training_id, training_id=training_id)
        await insert(
            connection,
            "job",
            **own,
            id=f"job of {prediction_id}",
            kind="prediction",
            subject_id=prediction_id,
            state="failed",
            error_class=error_class,
            ended_time=datetime.now(UTC),
        )
    return training_id


@pytest.mark.parametrize("error_class", MODEL_FAILURES)
async def test_a_model_that_cannot_be_used_is_named(
    pool: asyncpg.Pool, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error_class: str
) -> None:
    training_id = await fail_a_prediction(pool, error_class)
    await fail_a_prediction(pool, "BadRequest")
    directory = DataDirectory(tmp_path)
    directory.prepare()
    monkeypatch.setattr(DataDirectory, "supervisor", lambda _: 1)
    monkeypatch.setattr(status, "api_answers", lambda *_: True)
    environment = {
        "PAGEMILL_DATABASE_URL": settings.database_url,
        "PAGEMILL_OBJECTS_URL": settings.objects_url,
        "PAGEMILL_TOKEN_KEY": settings.token_key,
    }
    directory.write(
        directory.state,
        StackState(process_id=1, url="https://localhost:1", port=1, parts={}, settings=environment),
    )

    report = await examine(directory)

    [named] = report.unusable_models
    assert (named.error_class, named.training_id, named.jobs) == (error_class, training_id, 1)
    assert report.parts["postgres"].status == "up"


def test_every_way_in_which_a_model_fails_is_asked_for() -> None:
    assert {error.__name__ for error in ModelUnusable.__subclasses__()} == set(MODEL_FAILURES)
    assert len(MODEL_FAILURES) == 4


def test_the_table_shows_the_training_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    row = UnusableModelRow("ModelDamaged", "las:model-training:a", 14, datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    cli._show(
        StackReport(
            running=True,
            healthy=True,
            url=None,
            parts={},
            queue=None,
            ray=RayReport(),
            unusable_models=[row],
        )
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert "las:model-training:a ModelDamaged 14 predictions have failed" in shown


@pytest.mark.parametrize(
    ("job", "training", "expected"),
    [
        ("running", "pending", ["trainings that wait for a node: 1, the first for 0 min"]),
        ("queued", "pending", []),
        ("running", "running", []),
    ],
)
async def test_trainings_that_wait_for_a_node_are_counted(
    pool: asyncpg.Pool, settings: Settings, job: str, training: str, expected: list[str]
) -> None:
    async with pool.acquire() as connection:
        own = {"organization_id": (await create_tenant(connection)).organization_id}
        await insert(connection, "model", **own, id="model")
        await insert(connection, "training", **own, id="training", model_id="model", status=training)
        started = {"started_time": datetime.now(UTC)}
        ids = {"id": "job", "kind": "training", "subject_id": "training"}
        await insert(connection, "job", **own, **ids, state=job, **started)
        await connection.execute(f"SET application_name = '{APPLICATION_NAME}'")
        assert await scheduling_troubles(settings) == expected
        await connection.execute("RESET application_name")


def healthy(**changed: Any) -> dict[str, Any]:
    deployment = {"status": "HEALTHY", "message": ""}
    return {"status": "RUNNING", "message": "", "deployments": {"one": deployment | changed}}


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        (healthy(), []),
        (healthy(message="is as it should be"), []),
        (healthy(status="UPSCALING", message=NO_NODE), [f"reading: {' '.join(NO_NODE.split())}"]),
        (healthy(status="UPSCALING"), []),
        ({"status": "DEPLOY_FAILED", "message": "No module\nnamed x"}, ["reading: No module named x"]),
        (
            {
                **healthy(status="UNHEALTHY", message="it crashes"),
                "status": "UNHEALTHY",
                "message": "sick",
            },
            ["reading: it crashes"],
        ),
        ({"status": "RUNNING"}, []),
    ],
)
def test_what_serve_says_of_an_application_is_told(application: dict[str, Any], expected: list[str]) -> None:
    assert application_troubles({"reading": application}) == expected

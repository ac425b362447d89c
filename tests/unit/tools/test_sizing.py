"""Sizes follow from what was measured, and from what the product itself decides."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from pagemill.settings import load_settings
from tests.support.mentioned import known_settings
from tools.sizing.__main__ import main
from tools.sizing.measured import RESULTS, Measured, load_measured
from tools.sizing.plan import Demand, SizingPlan, plan_cluster, plan_machine, postgres_connections

PLACES = {"PAGEMILL_DATABASE_URL": "postgresql://there", "PAGEMILL_OBJECTS_URL": "s3://there"}
READERS_OF_A_NODE = 8
NODES_ALLOWED = 20


@pytest.fixture(scope="module")
def measured() -> Measured:
    return load_measured()


def planned(measured: Measured, pages: float, **demand: Any) -> SizingPlan:
    return plan_cluster(Demand(pages_per_hour=pages, **demand), measured)


def with_serving(directory: Path, serving: dict[str, Any] | None) -> Measured:
    """The figures with those of serving, or without any."""
    for file in RESULTS.glob("*.json"):
        shutil.copy(file, directory)
    (directory / "serving.json").unlink(missing_ok=True)
    if serving is not None:
        (directory / "serving.json").write_text(json.dumps(serving))
    return load_measured(directory)


def test_a_page_takes_what_all_cores_needed_for_it(tmp_path: Path) -> None:
    processes = {"ray::ServeReplica:reading:PageReading": 300.0, "granian": 50.0, "postgres": 50.0}
    section = {
        "pagesPerSecond": 4.0,
        "cpuMillisecondsPerPage": 400.0,
        "cpuMillisecondsPerPageByProcess": processes,
    }
    sections = {"efficiency": section, "text": {**section, "pagesPerSecond": 40.0}}
    machine = {"cores": 2, "cpu_model": "Ours"}
    found = with_serving(tmp_path, {"sections": sections, "machine": machine})
    assert (found.scanned.reading, found.scanned.beside) == (0.375, 0.125)
    assert found.text.whole == pytest.approx(0.05)
    assert (found.source.partition(":")[0], found.machine) == ("serving.json", machine)


def test_without_it_the_parts_are_added(tmp_path: Path) -> None:
    reading = json.loads((RESULTS / "reading.json").read_text())
    found = with_serving(tmp_path, None)
    assert found.scanned.reading == reading["batch"]["threads"] / reading["batch"]["pagesPerSecond"]
    assert found.scanned.beside == found.text.beside > 0
    assert found.machine == reading["machine"]


def test_the_newest_figures_make_sense(measured: Measured) -> None:
    assert measured.text.whole < measured.scanned.whole
    assert measured.burst.value >= 1
    assert all(figure.value > 0 and ".json: " in figure.source for figure in measured.figures)


def test_another_machine_is_slower_in_everything(measured: Measured) -> None:
    slower = measured.on_machine(3 * measured.scanned.whole)
    assert slower.text.beside == pytest.approx(3 * measured.text.beside)
    assert planned(slower, 50_000).cores == pytest.approx(3 * planned(measured, 50_000).cores)


def test_replicas_carry_a_burst(measured: Measured) -> None:
    plan = planned(measured, 100_000)
    pages = 100_000 / 3600
    assert plan.reading_replicas == math.ceil(pages * measured.scanned.reading * measured.burst.value)
    assert plan.cores == pytest.approx(pages * measured.scanned.whole)
    # Replicas of both kinds take one CPU of a node of eight.
    replicas = plan.reading_replicas + plan.prediction_replicas
    assert plan.nodes == {"head": 1, "reading": math.ceil(replicas / READERS_OF_A_NODE)}
    assert plan.gpus == 0
    assert plan.beyond == {}


@pytest.mark.parametrize("pages", [1, 1_000, 40_000, 300_000])
def test_twice_the_pages_take_no_less_and_no_more_than_twice(measured: Measured, pages: int) -> None:
    one, two = planned(measured, pages), planned(measured, 2 * pages)
    assert one.reading_replicas <= two.reading_replicas <= 2 * one.reading_replicas
    assert one.postgres_connections <= two.postgres_connections
    assert one.nodes["reading"] <= two.nodes["reading"] <= 2 * one.nodes["reading"]


def test_text_layers_take_less(measured: Measured) -> None:
    scanned, mixed, text = (planned(measured, 100_000, text_share=share) for share in (0.0, 0.5, 1.0))
    assert scanned.cores > mixed.cores > text.cores
    assert mixed.cores == pytest.approx((scanned.cores + text.cores) / 2)


def test_trainings_have_nodes_of_their_own(measured: Measured) -> None:
    plan = planned(measured, 10_000, trainings=3)
    assert plan.nodes["training"] == 3
    assert plan.gpus == 3
    assert plan.settings["PAGEMILL_TRAINING_CONCURRENCY"] == "3"


def test_prediction_replicas_share_gpus(measured: Measured) -> None:
    plan = planned(measured, 1_000_000, gpu_per_prediction_replica=0.25)
    assert plan.nodes["serving"] == math.ceil(plan.prediction_replicas / 4)
    assert plan.nodes["reading"] == math.ceil(plan.reading_replicas / READERS_OF_A_NODE)


def test_what_cluster_yaml_does_not_allow_is_said(
    measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = planned(measured, 1_000_000)
    assert plan.beyond == {"reading": NODES_ALLOWED}
    assert main(["--pages-per-hour", "1000000"]) == 0
    said = (
        f"cluster.yaml allows {NODES_ALLOWED} nodes of reading: raise max_workers to {plan.nodes['reading']}"
    )
    assert said in capsys.readouterr().out


def test_a_machine_is_divided(measured: Measured) -> None:
    plan = plan_machine(32, 0.0, measured)
    readers, predictors = (
        int(plan.settings[f"PAGEMILL_{name}_REPLICAS_MAX"]) for name in ("READING", "PREDICTION")
    )
    assert readers + predictors == 32
    assert plan.pages_per_hour == pytest.approx(32 * 3600 / measured.scanned.whole)
    assert plan_machine(2, 1.0, measured).settings["PAGEMILL_READING_REPLICAS_MAX"] == "2"


def test_settings_can_be_set(measured: Measured) -> None:
    for settings in (
        planned(measured, 200_000, trainings=2, gpu_per_prediction_replica=0.5).settings,
        plan_machine(16, 0.0, measured).settings,
    ):
        assert {name.removeprefix("PAGEMILL_") for name in settings} <= known_settings()
        load_settings({**PLACES, **settings})


def test_connections_grow_with_every_process() -> None:
    settings = load_settings(PLACES)
    more = load_settings({**PLACES, "PAGEMILL_DISPATCHERS": "2"})
    process = settings.database_pool_size + 1
    assert postgres_connections(settings, 2) - postgres_connections(settings, 1) == process
    assert postgres_connections(more, 1) - postgres_connections(settings, 1) == 2 * process


def test_a_price_makes_it_a_cost(capsys: pytest.CaptureFixture[str], measured: Measured) -> None:
    assert main(["--pages-per-hour", "50000", "--price", "head=0.5", "--price", "reading=2"]) == 0
    plan = planned(measured, 50_000)
    cost = (0.5 + 2 * plan.nodes["reading"]) / 50
    assert capsys.readouterr().out.splitlines()[-1] == f"a thousand pages cost {cost:.4f}"
    with pytest.raises(SystemExit):
        main(["--pages-per-hour", "50000", "--price", "head=0.5"])
    assert "the price of a node is missing: reading" in capsys.readouterr().err


def test_programs_read_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pages-per-hour", "50000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nodes"]["head"] == 1
    assert main(["--cores", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cores"] == 8

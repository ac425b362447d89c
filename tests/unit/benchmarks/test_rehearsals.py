"""Rehearsals: the nodes that cluster.yaml's pools would get, and what the file says of each rehearsal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import rehearsals
from benchmarks.rehearsal import Outcome, Rehearsal
from benchmarks.rehearsal_pools import CLUSTER, Cluster, Work, readers_and_trainings, run
from benchmarks.rehearsals import main, merged, rehearse
from pagemill.pools import Pool, coordinator, prediction_replica, training_worker


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster()


def test_readers_and_trainings_get_their_nodes() -> None:
    outcome = run()

    assert outcome.holds, outcome.seen
    assert outcome.seen["readingNodes"] == 8
    assert outcome.seen["gpuNodes"] == 8
    assert outcome.seen["infeasible"] == 0


@pytest.mark.parametrize(("readers", "trainings"), [(0, 0), (1, 0), (9, 1), (60, 8), (160, 8)])
def test_no_more_nodes_than_the_work_fills(cluster: Cluster, readers: int, trainings: int) -> None:
    plan = cluster.plan(readers_and_trainings(cluster.settings(), readers, trainings))

    assert plan.nodes(cluster.types_in(Pool.READING)) == -(-readers // 8)
    assert plan.nodes(cluster.types_in(Pool.TRAINING)) == trainings
    assert plan.nodes(cluster.types_in(Pool.SERVING)) == 0
    assert plan.infeasible == 0


def test_what_belongs_to_the_head_starts_no_node(cluster: Cluster) -> None:
    plan = cluster.plan(Work((coordinator(),) * 20))

    assert plan.started == {}
    assert plan.infeasible == 0


def test_prediction_replicas_share_the_gpus_that_serve(cluster: Cluster) -> None:
    settings = cluster.settings({"PAGEMILL_GPU_PER_PREDICTION_REPLICA": "0.25"})

    plan = cluster.plan(Work((prediction_replica(settings),) * 9))

    assert plan.started == {"serving-spot": 3}


def test_a_serving_node_is_no_place_for_a_training(cluster: Cluster) -> None:
    work = Work(gangs=((training_worker(cluster.settings()),),))

    assert cluster.plan(work, idle={"serving": 1}).started == {"training-spot": 1}
    assert cluster.plan(work, idle={"training": 1}).started == {}


def test_where_spot_is_refused_of_one_type_the_others_stay(cluster: Cluster) -> None:
    work = readers_and_trainings(cluster.settings(), 16, 2)

    plan = cluster.plan(work, unavailable=["training-spot"])

    assert plan.started == {"reading-spot": 2, "training": 2}


def test_more_trainings_than_nodes_wait(cluster: Cluster) -> None:
    worker = training_worker(cluster.settings())

    plan = cluster.plan(Work(gangs=((worker,),) * 9), unavailable=cluster.spot_types())

    assert plan.started == {"training": 8, "training-spot": 1}
    assert cluster.plan(Work(gangs=((worker,),) * 33)).infeasible > 0


def test_the_workers_of_a_training_get_a_node_each(cluster: Cluster) -> None:
    settings = cluster.settings({"PAGEMILL_TRAINING_WORKERS": "2"})

    plan = cluster.plan(readers_and_trainings(settings, 0, 3))

    assert plan.started == {"training-spot": 6}


def without_a_pool_for_trainings(described: dict[str, Any]) -> None:
    for node in described["available_node_types"].values():
        if "GPU" in node["resources"]:
            node["labels"] = {"pagemill/pool": "serving"}


def with_processors_and_no_pool_on_gpu_nodes(described: dict[str, Any]) -> None:
    for name, node in described["available_node_types"].items():
        if name.startswith("training"):
            node["resources"] = {**node["resources"], "CPU": 8}
            node["labels"] = {"pagemill/pool": "reading"}


def with_few_gpu_nodes(described: dict[str, Any]) -> None:
    for name, node in described["available_node_types"].items():
        if name.startswith("training"):
            node["max_workers"] = 2


def with_a_low_bound(described: dict[str, Any]) -> None:
    described["max_workers"] = 12


def with_spot_last(described: dict[str, Any]) -> None:
    for node in described["available_node_types"].values():
        node["priority"] = -node.get("priority", 0)


@pytest.mark.parametrize(
    "change",
    [
        without_a_pool_for_trainings,
        with_processors_and_no_pool_on_gpu_nodes,
        with_few_gpu_nodes,
        with_a_low_bound,
        with_spot_last,
    ],
)
def test_a_cluster_that_breaks_a_promise_is_found_out(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    described = yaml.safe_load(CLUSTER.read_text())
    change(described)
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(described))

    assert not run(path).holds


def test_the_newest_figures_of_each_rehearsal_are_kept() -> None:
    before = [{"number": 3, "seen": "old"}, {"number": 1, "seen": "old"}]

    assert merged(before, [{"number": 3, "seen": "new"}, {"number": 2, "seen": "new"}]) == [
        {"number": 1, "seen": "old"},
        {"number": 2, "seen": "new"},
        {"number": 3, "seen": "new"},
    ]


def test_figures_say_what_was_promised_and_seen() -> None:
    kept = Rehearsal(7, "keeping", "at most 1", lambda: Outcome({"most": 1}, True))

    assert rehearse([kept]) == [
        {"number": 7, "name": "keeping", "bound": "at most 1", "seen": {"most": 1}, "holds": True}
    ]


def test_a_broken_bound_is_an_exit_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Rehearsal(1, "keeping", "at most 1", lambda: Outcome({"most": 1}, True))
    broken = Rehearsal(2, "breaking", "at most 1", lambda: Outcome({"most": 2}, False))
    monkeypatch.setattr(rehearsals, "REHEARSALS", (kept, broken))
    out = tmp_path / "rehearsals.json"

    assert main(["--out", str(out)]) == 1
    assert main(["--only", "1", "--out", str(out)]) == 0

    written = json.loads(out.read_text())["rehearsals"]
    assert [(one["number"], one["holds"]) for one in written] == [(1, True), (2, False)]


def test_every_rehearsal_has_a_number_of_its_own() -> None:
    numbers = [rehearsal.number for rehearsal in rehearsals.REHEARSALS]

    assert numbers == sorted(set(numbers))

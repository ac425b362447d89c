"""Where each part runs on Ray, judged by Ray's own matching of labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ray._common.ray_option_utils import validate_actor_options
from ray._private.label_utils import validate_label_selector
from ray._raylet import node_labels_match_selector

from pagemill.pools import (
    POOL_LABEL,
    Placement,
    Pool,
    coordinator,
    job_driver,
    prediction_replica,
    reading_replica,
    training_worker,
)
from pagemill.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).parents[2]
REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"}
PRODUCT = [path for room in ("platform", "serve_apps", "train_jobs") for path in (ROOT / room).rglob("*.py")]


def settings(**changed: object) -> Settings:
    return load_settings(
        REQUIRED | {f"PAGEMILL_{name.upper()}": str(value) for name, value in changed.items()}
    )


PARTS: list[Callable[[Settings], Placement]] = [
    reading_replica,
    prediction_replica,
    training_worker,
    job_driver,
    lambda _settings: coordinator(),
]


@pytest.mark.parametrize("pool", Pool)
def test_only_nodes_of_the_pool_and_unlabelled_ones_match(pool: Pool) -> None:
    selector = Placement(pool=pool).label_selector
    assert [one for one in Pool if node_labels_match_selector({POOL_LABEL: one}, selector)] == [pool]
    assert node_labels_match_selector({}, selector)
    assert node_labels_match_selector({"zone": "a"}, selector)


@pytest.mark.parametrize("part", PARTS)
def test_ray_takes_the_options(part: Callable[[Settings], Placement]) -> None:
    for one in (settings(), settings(training_gpu=True, gpu_per_prediction_replica=0.3, training_memory=2.5)):
        placement = part(one)
        validate_actor_options(placement.actor_options, in_options=True)
        assert validate_label_selector(placement.label_selector) is None


@pytest.mark.parametrize("part", PARTS)
def test_no_memory_is_reserved_on_a_machine_of_unknown_size(part: Callable[[Settings], Placement]) -> None:
    assert "memory" not in part(settings()).actor_options
    assert "memory" not in part(settings()).bundle


def test_the_defaults_fit_on_two_processors() -> None:
    defaults = settings()
    taken = [reading_replica(defaults)] * defaults.reading_replicas_max
    taken += [prediction_replica(defaults)] * defaults.prediction_replicas_max
    taken += [training_worker(defaults), job_driver(defaults), coordinator()]
    assert sum(placement.cpus for placement in taken) <= 2
    assert all(placement.gpus == 0 for placement in taken)


def test_without_gpus_work_is_done_on_the_reading_nodes() -> None:
    parts = (reading_replica, prediction_replica, training_worker)
    assert {part(settings()).pool for part in parts} == {Pool.READING}


def test_what_takes_part_of_a_gpu_goes_to_the_nodes_that_serve_and_takes_no_processor() -> None:
    on_gpus = settings(gpu_per_prediction_replica=0.25, gpu_per_reading_replica=0.5, prediction_memory=2)
    predicting = prediction_replica(on_gpus)
    assert predicting == Placement(pool=Pool.SERVING, gpus=0.25, memory=2)
    assert predicting.actor_options["num_gpus"] == 0.25
    assert predicting.actor_options["num_cpus"] == 0
    assert predicting.actor_options["memory"] == 2 * 1024**3
    assert reading_replica(on_gpus) == Placement(pool=Pool.SERVING, gpus=0.5)


def test_a_training_on_gpus_takes_a_whole_one_for_each_worker() -> None:
    worker = training_worker(settings(training_gpu=True, training_memory=1.5))
    assert worker.pool is Pool.TRAINING
    assert worker.bundle == {"GPU": 1.0, "memory": 1.5 * 1024**3}


def test_a_training_without_gpus_takes_its_processors() -> None:
    assert training_worker(settings(training_cpus=3)).bundle == {"CPU": 3.0}


def test_what_takes_no_processor_and_no_gpu_runs_on_the_head_where_it_keeps_no_node() -> None:
    for one in (settings(), settings(training_gpu=True, gpu_per_prediction_replica=0.3)):
        for part in PARTS:
            placement = part(one)
            idle = placement.cpus == 0 and placement.gpus == 0
            assert idle == (placement.pool is Pool.HEAD)


def test_drivers_reserve_memory_of_the_head() -> None:
    assert job_driver(settings(driver_memory=1)).actor_options["memory"] == 1024**3
    assert coordinator().memory == 0


@pytest.mark.parametrize("name", ["gpu_per_prediction_replica", "gpu_per_reading_replica"])
@pytest.mark.parametrize("part", [-0.1, 1.5])
def test_a_replica_cannot_take_more_than_a_gpu(name: str, part: float) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**{name: part})


def test_nothing_else_says_what_work_takes_of_a_node() -> None:
    saying = re.compile(r"num_cpus|num_gpus|label_selector\"|scheduling_strategy")
    assert [path.name for path in PRODUCT if saying.search(path.read_text())] == ["pools.py", "fitting.py"]


def test_everything_that_is_started_on_ray_says_where() -> None:
    """A remote function or class becomes work by its options; one without a placement would go anywhere."""
    starting = re.compile(r"\bray\.remote\b|\bserve\.deployment\(")
    started = {path.name: path.read_text() for path in PRODUCT if starting.search(path.read_text())}
    assert set(started) == {
        "dispatchers.py",
        "actor.py",
        "prediction.py",
        "reading.py",
        "bundle.py",
        "train.py",
    }
    for name, source in started.items():
        assert len(starting.findall(source)) == source.count(".actor_options"), name

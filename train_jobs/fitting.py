"""Ray Train's part of a training: its workers are started, and started again from the last checkpoint."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

from pagemill.errors import PagemillError
from pagemill.settings import Settings
from train_jobs.worker_group import WorkerGroup, has_lost_node, lost_nodes, nodes_that_are_there

if TYPE_CHECKING:
    from ray.train import WorkerGroupError
    from ray.train.torch import TorchTrainer

    from train_jobs.worker import WorkerTask

Result = TypeVar("Result")
TrainLoop = Callable[[dict[str, Any]], None]

WORKER_FAILURES = 2
START_FAILURES = 1
NOTICE_SECONDS = 20.0
TOO_LATE = "WorkerGroupStartupTimeoutError"
"""Ray Train's error, which it does not export, for workers that found no place in time."""
# Ray Train reads these when it is imported.
RAY_TRAIN = {
    # Its controller takes reports at this pace; its default of 2 s would be slower than small epochs.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # A node takes minutes to come, and Ray Train would give up each minute. Then there may be fewer workers.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "150",
    # An actor without CPUs on any node, which it would keep from going. Without it a node that is taken away
    # is noticed when its workers die; what is lost is the same, the time since the last checkpoint.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Without it Ray's dashboard does not show trainings. An actor on the head keeps them.
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
}

logger = logging.getLogger(__name__)


def import_ray_train() -> None:
    """Import Ray Train with its settings for trainings of minutes; it takes seconds."""
    for name, value in RAY_TRAIN.items():
        os.environ.setdefault(name, value)
    importlib.import_module("ray.train.torch")


def in_thread(function: Callable[[], Result]) -> Future[Result]:
    """Run a function in a thread of its own, which ends with the process at the latest."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - the one who waits for the future raises it
            future.set_exception(error)

    threading.Thread(target=run, name="ray-train", daemon=True).start()
    return future


def fit(settings: Settings, task: WorkerTask, group: WorkerGroup, loop: TrainLoop) -> None:
    """Train with Ray Train, from the last checkpoint if there is one.

    What fails while the cluster loses a node is tried again; anything else WORKER_FAILURES times. After a
    lost node, and when the workers find no place for some minutes, there are as many as the nodes that are
    there take. Raises the workers' error at once where it is one of Pagemill's, else Ray Train's.
    """
    from ray.train import ControllerError, TrainingFailedError, WorkerGroupError

    failures = 0
    while True:
        lost = lost_nodes()
        try:
            make_trainer(settings, task, group, loop).fit()
            return
        except TrainingFailedError as error:
            if isinstance(error, WorkerGroupError) and (named := error_of_workers(error)) is not None:
                raise named from error
            too_late = (
                isinstance(error, ControllerError) and type(error.controller_failure).__name__ == TOO_LATE
            )
            # The other workers may know of a lost node before the cluster does.
            notice = NOTICE_SECONDS if group.number > 1 else 0.0
            if too_late or has_lost_node(lost, notice):
                group = group.resized(nodes_that_are_there())
            else:
                failures += 1
                if failures > WORKER_FAILURES:
                    raise
            logger.warning("%s goes on with %d workers: %s", task.job.subject_id, group.number, error)


def error_of_workers(error: WorkerGroupError) -> PagemillError | None:
    """Return the first error of Pagemill that a worker raised."""
    raised = (getattr(failure, "_base_exc", failure) for failure in error.worker_failures.values())
    return next((each for each in raised if isinstance(each, PagemillError)), None)


def make_trainer(settings: Settings, task: WorkerTask, group: WorkerGroup, loop: TrainLoop) -> TorchTrainer:
    """Return Ray Train's trainer for some workers, each of which runs ``loop``."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    return TorchTrainer(
        loop,
        train_loop_config={"task": task},
        # Two megabytes of gradients a step: NCCL would gain nothing, and fail where torch cannot use the GPU
        # before a worker could say so.
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(
            use_gpu=group.gpu,
            resources_per_worker=group.placement.bundle,
            # Ray's types are those of Train's first version.
            **cast("Any", {"num_workers": group.number, "label_selector": group.placement.label_selector}),
        ),
        run_config=RunConfig(
            name=task.job.subject_id,
            # ``fit`` counts failures: some are final, and some are no fault of the training.
            failure_config=FailureConfig(
                max_failures=0,
                **cast("Any", {"max_preemption_failures": -1, "controller_failure_limit": START_FAILURES}),
            ),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            **checkpoint_storage(settings, task.keys.checkpoints),
        ),
        **_data(settings, task) if group.number > 1 else {},
    )


def _data(settings: Settings, task: WorkerTask) -> Mapping[str, Any]:
    from train_jobs.bundle_dataset import examples_dataset
    from train_jobs.shards import DATASET, Shards

    return {
        "datasets": {DATASET: examples_dataset(settings, task.job.subject_id, task.bundle_keys)},
        "dataset_config": Shards(),
    }


def checkpoint_storage(settings: Settings, prefix: str) -> dict[str, Any]:
    """Return the arguments that make Ray Train keep its checkpoints below ``prefix`` in object storage."""
    url = urlsplit(settings.objects_url)
    if url.scheme == "file":
        return {"storage_path": f"{unquote(url.path).rstrip('/')}/{prefix.rstrip('/')}"}
    from pyarrow.fs import S3FileSystem  # type: ignore[import-untyped]

    endpoint = urlsplit(settings.s3_endpoint_url or "")
    # Keys go in the file system object, never in a URL: Ray logs URLs.
    filesystem = S3FileSystem(
        access_key=settings.s3_access_key_id,
        secret_key=settings.s3_secret_access_key,
        region=settings.s3_region,
        scheme=endpoint.scheme or "https",
        endpoint_override=endpoint.netloc or None,
    )
    parts = [url.netloc, url.path.strip("/"), prefix.rstrip("/")]
    return {"storage_path": "/".join(part for part in parts if part), "storage_filesystem": filesystem}
